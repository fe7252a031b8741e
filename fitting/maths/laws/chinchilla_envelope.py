"""Chinchilla approach 1: the run with the least loss at each compute along all loss curves."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from fitting.maths.allocation import BUDGET, allocate_lines, list_allocation
from fitting.maths.loss_line import LOSS_LINE_PARAMS, fit_loss_lines
from fitting.maths.types import (
    BoolArray,
    Exclusion,
    FloatArray,
    IntArray,
    Law,
    LawInput,
    LawOption,
    LawParam,
    Objective,
    Options,
    Params,
    Point,
    Procedure,
    Published,
    Refusal,
    Rows,
    Settings,
)
from fitting.maths.uncertainty import draw_counts, stack_replicas

MIN_CURVES = 3
HORIZON_SHARE = 0.95
N_LOSSES = 64  # points of the envelope that L*(C) is fitted to


def smooth_curve(values: FloatArray, window: int) -> FloatArray:
    """Return the centred moving average; the window shrinks at the ends.

    Parameters
    ----------
    values : ndarray, shape (n,), losses of one curve in order
    window : rows of the average

    Returns
    -------
    ndarray, shape (n,)

    References
    ----------
    Hoffmann et al. 2022, arXiv 2203.15556, section 3.1
    """
    if window <= 1:
        return values
    half = window // 2
    total = np.concatenate([[0.0], np.cumsum(values)])
    place = np.arange(values.size)
    reach = np.minimum(half, np.minimum(place, values.size - 1 - place))
    mean: FloatArray = (total[place + reach + 1] - total[place - reach]) / (2 * reach + 1)
    return mean


@dataclass(frozen=True)
class _Curves:
    """All curves on one grid of budgets; infinite where a curve has no value."""

    log_c: FloatArray  # (m,)
    size: FloatArray  # (k,)
    loss: FloatArray  # (k, m)

    def find_winners(self, chosen: IntArray) -> tuple[IntArray, FloatArray, BoolArray, BoolArray]:
        """Return winner, its loss, whether there is one and whether it counts, at each budget."""
        winner = chosen[np.argmin(self.loss[chosen], axis=0)]
        least = self.loss[winner, np.arange(self.log_c.size)]
        covered = np.isfinite(least)
        size, sizes = self.size[winner], self.size[chosen]
        used = covered & (size != sizes.min()) & (size != sizes.max())
        return winner, least, covered, used

    def fit(self, winner: IntArray, used: BoolArray) -> dict[str, float]:
        """Regress log N* and log D* on log C."""
        x, log_n = self.log_c[used], np.log(self.size[winner[used]])
        dx = x - x.mean()
        a = float(dx @ log_n / (dx @ dx))
        log_n_factor = float(log_n.mean() - a * x.mean())
        log_6 = float(np.log(6.0))
        return {
            "a": a,
            "b": 1.0 - a,
            "log_n_factor": log_n_factor,
            "log_d_factor": -log_6 - log_n_factor,
        }

    def fit_losses(self, loss: FloatArray) -> dict[str, FloatArray]:
        """Fit L*(C) to the losses (B, m) of the winners that count, NaN for the others."""
        thin = np.arange(0, self.log_c.size, max(1, self.log_c.size // N_LOSSES))
        return fit_loss_lines(self.log_c[thin], loss[:, thin])


def _read_curves(rows: Rows, options: Options) -> _Curves:
    window, n_samples = int(str(options["window"])), int(str(options["samples"]))
    all_c = rows.columns["flops"]
    log_c = np.linspace(np.log(all_c.min()), np.log(all_c.max()), n_samples)
    sizes, losses = [], []
    for places in rows.split_groups().values():
        order = places[np.argsort(all_c[places])]
        x = np.log(all_c[order])
        smooth = smooth_curve(rows.target[order], window)
        losses.append(np.interp(log_c, x, smooth, left=np.inf, right=np.inf))
        sizes.append(float(rows.columns["n_params"][order[0]]))
    return _Curves(log_c, np.array(sizes), np.array(losses))


def run(rows: Rows, options: Options) -> Point | Refusal:
    """Interpolate every curve in log C, take the winners and fit their sizes."""
    n_curves = len(rows.split_groups())
    if n_curves < MIN_CURVES:
        return Refusal(
            "too_few_groups",
            f"the envelope needs loss curves of >= {MIN_CURVES} sizes; have {n_curves}",
            "map the group to the run of each row",
        )
    curves = _read_curves(rows, options)
    winner, least, covered, used = curves.find_winners(np.arange(n_curves))
    n_winners = np.unique(winner[used]).size
    if n_winners < MIN_CURVES:
        return Refusal(
            "not_interior",
            f"only {n_winners} sizes other than the smallest and the largest "
            f"win anywhere; the envelope needs {MIN_CURVES}",
            "train more sizes to more compute",
        )
    won = zip(curves.log_c, curves.size[winner], least, used, covered, strict=True)
    table = tuple(
        {"flops": float(np.exp(c)), "n_params": float(n), "loss": float(loss), "used": bool(u)}
        for c, n, loss, u, is_covered in won
        if is_covered
    )
    sentence = "budgets won by the smallest or the largest size"
    dropped = Exclusion("edge_winner", sentence, int((covered & ~used).sum()))
    line = curves.fit_losses(np.where(used, least, np.nan)[None, :])
    known = {name: float(values[0]) for name, values in line.items() if np.isfinite(values[0])}
    params = {**curves.fit(winner, used), **known}
    return Point(params, table=table, exclusions=(dropped,) if dropped.count else ())


def replicate(rows: Rows, settings: Settings) -> Params:
    """Resample whole curves; the winners of each replica are those among its curves."""
    curves = _read_curves(rows, LAW.read_options(settings.options))
    names = tuple(rows.split_groups())
    once = Rows({}, np.zeros(len(names)), names)
    draws, losses = [], []
    for counts in draw_counts(once, settings.replicas, settings.seed):
        winner, least, _, used = curves.find_winners(np.flatnonzero(counts))
        enough = np.unique(winner[used]).size >= MIN_CURVES
        draws.append(curves.fit(winner, used) if enough else {})
        losses.append(np.where(used & enough, least, np.nan))
    return {**stack_replicas(draws), **curves.fit_losses(np.array(losses))}


def refuse(rows: Rows, options: Options) -> Refusal | None:
    """Refuse curves that end before their learning-rate schedule does."""
    if "horizon_flops" not in rows.columns:
        return None
    cut = 0
    for places in rows.split_groups().values():
        last = rows.columns["flops"][places].max()
        cut += bool(last < HORIZON_SHARE * rows.columns["horizon_flops"][places].max())
    if cut == 0:
        return None
    return Refusal(
        "schedule",
        f"{cut} curves end before their learning-rate schedule: a run cut out of a longer cosine "
        "is not a run of that length",
        "train each horizon with its own schedule, or use approach 3 on finished runs",
    )


LAW = Law(
    slug="chinchilla_envelope",
    title="Chinchilla, approach 1 (envelope of loss curves)",
    formula="N* = exp(log_n_factor) C^a, D* = exp(log_d_factor) C^b, "
    "L* = L_inf + exp(log_l_factor) C^-l",
    tex=r"N^* \propto C^{a}, \quad D^* \propto C^{b}, \quad L^* - L_\infty \propto C^{-l}",
    inputs=(
        LawInput("n_params", "N", "parameters", octaves=2.0),
        LawInput("flops", "C", "FLOPs spent at the row", octaves=2.0),
        LawInput("horizon_flops", "", "FLOPs at which the schedule ends", optional=True),
    ),
    target=LawInput("loss", "L", "nats per token"),
    params=(
        LawParam("a", "exponent of N* in C"),
        LawParam("b", "exponent of D* in C"),
        LawParam("log_n_factor", "natural log of the factor of N*"),
        LawParam("log_d_factor", "natural log of the factor of D*"),
        *LOSS_LINE_PARAMS,
    ),
    structure=Procedure(run, "groups", replicate),
    objective=Objective("least_squares", "linear"),
    source="Hoffmann et al. 2022, arXiv 2203.15556, section 3.1 and Table 2",
    group="curve",
    procedure="Smooth, interpolate each curve in log C, take the least loss at 1,500 log-spaced C, "
    "drop those won by the smallest or largest size, regress log N* and log D* on log C; a power "
    "law with a constant through the envelope.",
    pitfalls=("Valid only when each curve's learning-rate schedule ends where the curve ends.",),
    options=(
        LawOption("window", 1, "rows of the moving average", least=1),
        LawOption("samples", 1500, "number of budgets", least=10, most=100_000),
        BUDGET,
    ),
    version=2,
    derived=list_allocation(allocate_lines),
    allocate=allocate_lines,
    refuse=refuse,
    published=(
        Published("Hoffmann et al. 2022", {"a": 0.50, "b": 0.50}, "arXiv 2203.15556, Table 2"),
    ),
)
