"""Chinchilla approach 1: the run with the least loss at each compute along all loss curves."""

from __future__ import annotations

import numpy as np

from fitting.maths.allocation import allocate_lines, list_allocation
from fitting.maths.loss_line import LOSS_LINE_PARAMS, fit_loss_lines
from fitting.maths.types import (
    Exclusion,
    FloatArray,
    Law,
    LawInput,
    LawOption,
    LawParam,
    Objective,
    Options,
    Point,
    Procedure,
    Published,
    Refusal,
    Rows,
)

MIN_CURVES = 3
HORIZON_SHARE = 0.95
N_LOSSES = 64  # points of the envelope that L*(C) is fitted to


def smooth_curve(values: FloatArray, window: int) -> FloatArray:
    """Return the centred moving average; the window shrinks at the ends."""
    if window <= 1:
        return values
    half = window // 2
    total = np.concatenate([[0.0], np.cumsum(values)])
    place = np.arange(values.size)
    reach = np.minimum(half, np.minimum(place, values.size - 1 - place))
    mean: FloatArray = (total[place + reach + 1] - total[place - reach]) / (2 * reach + 1)
    return mean


def run(rows: Rows, options: Options) -> Point | Refusal:
    """Interpolate every curve in log C, take the winners and fit their sizes."""
    groups = rows.split_groups()
    if len(groups) < MIN_CURVES:
        return Refusal(
            "too_few_groups",
            f"the envelope needs loss curves of >= {MIN_CURVES} sizes; have {len(groups)}",
            "map the group to the run of each row",
        )
    window, n_samples = int(str(options["window"])), int(str(options["samples"]))
    all_c = rows.columns["flops"]
    log_c = np.linspace(np.log(all_c.min()), np.log(all_c.max()), n_samples)
    sizes, losses = [], []
    for places in groups.values():
        order = places[np.argsort(all_c[places])]
        x = np.log(all_c[order])
        smooth = smooth_curve(rows.target[order], window)
        losses.append(np.interp(log_c, x, smooth, left=np.inf, right=np.inf))
        sizes.append(float(rows.columns["n_params"][order[0]]))
    size = np.array(sizes)
    winner = np.argmin(losses, axis=0)
    covered = np.isfinite(np.min(losses, axis=0))
    edge = (size[winner] == size.min()) | (size[winner] == size.max())
    used = covered & ~edge
    if np.unique(winner[used]).size < MIN_CURVES:
        return Refusal(
            "not_interior",
            f"only {np.unique(winner[used]).size} sizes other than the smallest and the largest "
            f"win anywhere; the envelope needs {MIN_CURVES}",
            "train more sizes to more compute",
        )
    log_n = np.log(size[winner[used]])
    a, log_n_factor = np.polyfit(log_c[used], log_n, 1)
    b, log_d_factor = np.polyfit(log_c[used], log_c[used] - np.log(6.0) - log_n, 1)
    params = {"a": a, "b": b, "log_n_factor": log_n_factor, "log_d_factor": log_d_factor}
    least = np.min(losses, axis=0)
    thin = np.flatnonzero(used)[:: max(1, int(used.sum()) // N_LOSSES)]
    line = fit_loss_lines(log_c[thin], least[None, thin])
    params |= {name: values[0] for name, values in line.items() if np.isfinite(values[0])}
    table = tuple(
        {"flops": float(np.exp(c)), "n_params": float(size[w]), "loss": float(y), "used": bool(u)}
        for c, w, y, u in zip(
            log_c[covered], winner[covered], least[covered], used[covered], strict=True
        )
    )
    sentence = "budgets won by the smallest or the largest size"
    dropped = Exclusion("edge_winner", sentence, int((covered & edge).sum()))
    return Point(
        {name: float(value) for name, value in params.items()},
        table=table,
        exclusions=(dropped,) if dropped.count else (),
    )


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
    structure=Procedure(run, "groups"),
    objective=Objective("least_squares", "linear"),
    source="Hoffmann et al. 2022, arXiv 2203.15556, section 3.1 and Table 2",
    group="curve",
    procedure="Smooth, interpolate each curve in log C, take the least loss at 1,500 log-spaced C, "
    "drop those won by the smallest or largest size, regress log N* and log D* on log C; a power "
    "law with a constant through the envelope.",
    pitfalls=("Valid only when each curve's learning-rate schedule ends where the curve ends.",),
    options=(
        LawOption("window", 1, "rows of the moving average"),
        LawOption("samples", 1500, "number of budgets"),
        LawOption("budget", 5.76e23, "FLOPs at which N*, D* and L* are reported"),
    ),
    version=2,
    derived=list_allocation(allocate_lines),
    allocate=allocate_lines,
    refuse=refuse,
    published=(
        Published("Hoffmann et al. 2022", {"a": 0.50, "b": 0.50}, "arXiv 2203.15556, Table 2"),
    ),
)
