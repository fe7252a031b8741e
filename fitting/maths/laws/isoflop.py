"""Chinchilla approach 2: the best size of each budget from a parabola, then a power law in C."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from fitting.maths.akima import find_akima_optima
from fitting.maths.allocation import BUDGET, allocate_lines, list_allocation
from fitting.maths.loss_line import LOSS_LINE_PARAMS, MIN_BUDGETS_OF_LOSS, fit_loss_lines
from fitting.maths.separable import solve_normal
from fitting.maths.types import (
    BoolArray,
    Exclusion,
    FloatArray,
    Law,
    LawInput,
    LawOption,
    LawParam,
    Objective,
    Optimum,
    Options,
    Params,
    Point,
    Procedure,
    Published,
    Refusal,
    Rows,
    Settings,
)
from fitting.maths.uncertainty import draw_counts

MIN_POINTS, MIN_BUDGETS = 4, 3
MOST_REASONS = 3  # named in a refusal; the table of the budgets holds them all


def find_vertices(x: FloatArray, y: FloatArray, counts: FloatArray) -> tuple[FloatArray, BoolArray]:
    """Return the vertex of the parabola through the counted points, for each replica.

    Parameters
    ----------
    x, y : ndarray, shape (n,), log sizes (or tokens) and losses of one budget
    counts : ndarray, shape (B, n), how often each run counts in each replica

    Returns
    -------
    vertex (B,), and whether it counts: four distinct x, curvature > 0, strictly inside

    References
    ----------
    Hoffmann et al. 2022, arXiv 2203.15556, section 3.2
    """
    vertex, _ = find_minima(x, y, counts)
    return vertex, np.isfinite(vertex)


def find_minima(x: FloatArray, y: FloatArray, counts: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return place and loss of the parabola's minimum, for each replica.

    Parameters
    ----------
    x, y, counts : as for `find_vertices`

    Returns
    -------
    vertex and loss there, ndarrays of shape (B,); NaN where the vertex does not count

    References
    ----------
    Hoffmann et al. 2022, arXiv 2203.15556, section 3.2
    """
    _, place = np.unique(x, return_inverse=True)
    present = counts > 0
    distinct = np.stack([present[:, place == k].any(axis=1) for k in range(place.max() + 1)])
    centre, spread = x.mean(), max(float(x.std()), 1e-300)
    z = (x - centre) / spread
    powers = z[None, :] ** np.arange(5)[:, None]
    moments, right = counts @ powers.T, counts @ (y * powers[:3]).T
    gram = np.array([[moments[:, i + j] for j in range(3)] for i in range(3)])
    c = solve_normal(gram, right.T)
    with np.errstate(all="ignore"):
        vertex = centre - spread * c[1] / (2.0 * c[2])
        loss = c[0] - c[1] ** 2 / (4.0 * c[2])
    low = np.where(present, x, np.inf).min(axis=1)
    high = np.where(present, x, -np.inf).max(axis=1)
    ok = (distinct.sum(axis=0) >= MIN_POINTS) & (c[2] > 0) & (vertex > low) & (vertex < high)
    return np.where(ok, vertex, np.nan), np.where(ok, loss, np.nan)


def fit_lines(x: FloatArray, y: FloatArray, weights: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return intercept and slope of each replica's optima on log compute.

    Parameters
    ----------
    x : ndarray, shape (k,), log budgets
    y : ndarray, shape (B, k), log optimum of each budget; NaN is left out
    weights : ndarray, shape (k,)

    Returns
    -------
    intercept and slope, ndarrays of shape (B,); NaN with fewer than three optima

    References
    ----------
    Hoffmann et al. 2022, arXiv 2203.15556, section 3.2
    """
    ok = np.isfinite(y)
    w, filled = ok * weights, np.where(ok, y, 0.0)
    with np.errstate(all="ignore"):
        total = w.sum(axis=1)
        mean_x, mean_y = w @ x / total, np.sum(w * filled, axis=1) / total
        dx = np.where(ok, x - mean_x[:, None], 0.0)
        slope = np.sum(w * dx * filled, axis=1) / np.sum(w * dx**2, axis=1)
    enough = ok.sum(axis=1) >= MIN_BUDGETS
    intercept = np.where(enough, mean_y - slope * mean_x, np.nan)
    return intercept, np.where(enough, slope, np.nan)


@dataclass(frozen=True)
class _Optima:
    """Log budgets (k,) and their weights; log N*, log D* and loss of each replica (B, k)."""

    log_c: FloatArray
    sizes: FloatArray
    tokens: FloatArray
    losses: FloatArray
    weights: FloatArray

    @property
    def has_loss_line(self) -> bool:
        """Whether the first replica has losses enough for L*(C)."""
        return int(np.isfinite(self.losses[0]).sum()) >= MIN_BUDGETS_OF_LOSS

    def read_lines(self, with_loss: bool) -> dict[str, FloatArray]:
        """Return the lines through the optima."""
        log_n, a = fit_lines(self.log_c, self.sizes, self.weights)
        log_d, b = fit_lines(self.log_c, self.tokens, self.weights)
        lines = {"a": a, "b": b, "log_n_factor": log_n, "log_d_factor": log_d}
        return {**lines, **fit_loss_lines(self.log_c, self.losses)} if with_loss else lines


def _scan(rows: Rows, counts: FloatArray) -> _Optima:
    budgets = np.unique(rows.columns["flops"])
    sizes, tokens, losses = [], [], []
    for budget in budgets:
        here = rows.columns["flops"] == budget
        log_n = np.log(rows.columns["n_params"][here])
        log_d = np.log(read_tokens(rows)[here])
        vertex, loss = find_minima(log_n, rows.target[here], counts[:, here])
        sizes.append(vertex)
        losses.append(loss)
        tokens.append(find_vertices(log_d, rows.target[here], counts[:, here])[0])
    log_n_opt, log_d_opt, least = (np.stack(item, axis=1) for item in (sizes, tokens, losses))
    return _Optima(np.log(budgets), log_n_opt, log_d_opt, least, np.ones(budgets.size))


def read_tokens(rows: Rows) -> FloatArray:
    """Return the tokens of each run; C / 6N where they were not given.

    Parameters
    ----------
    rows : with n_params and flops, and n_tokens where known

    Returns
    -------
    ndarray, shape (n,), tokens

    References
    ----------
    Kaplan et al. 2020, arXiv 2001.08361, section 2.1 (C = 6 N D)
    """
    if "n_tokens" in rows.columns:
        return rows.columns["n_tokens"]
    return rows.columns["flops"] / (6.0 * rows.columns["n_params"])


def _interpolate(rows: Rows, replicas: int = 0, seed: int = 0) -> _Optima:
    log_c, sizes, losses, weights = find_akima_optima(rows, replicas, seed)
    return _Optima(log_c, sizes, log_c - np.log(6.0) - sizes, losses, weights)


def _find_optima(rows: Rows, options: Options) -> _Optima:
    if options["interpolant"] == "akima":
        return _interpolate(rows)
    return _scan(rows, np.ones((1, rows.n)))


def run(rows: Rows, options: Options) -> Point | Refusal:
    """Find every budget's best size, then the lines through those that count.

    Parameters
    ----------
    rows : n_params, flops (equal within a budget) and, where known, n_tokens; loss in nats
    options : interpolant

    Returns
    -------
    exponents and factors of N*(C) and D*(C), with five budgets also L*(C); or a Refusal

    References
    ----------
    Hoffmann et al. 2022, arXiv 2203.15556, section 3.2
    """
    optima = _find_optima(rows, options)
    log_c, sizes, tokens = optima.log_c, optima.sizes, optima.tokens
    table, dropped = [], []
    for place, budget in enumerate(np.exp(log_c)):
        here = np.flatnonzero(np.isclose(rows.columns["flops"], budget, rtol=1e-9))
        usable = bool(np.isfinite(sizes[0, place]))
        n_points = int(np.unique(rows.columns["n_params"][here]).size)
        reason = "" if usable else _explain(rows, here, n_points)
        table.append(
            {
                "flops": float(budget),
                "n_points": n_points,
                "n_params": float(np.exp(sizes[0, place])),
                "n_tokens": float(np.exp(tokens[0, place])),
                "loss": float(optima.losses[0, place]),
                "used": usable,
                "reason": reason,
            }
        )
        if not usable:
            dropped.append(Exclusion("budget", reason, here.size, tuple(rows.take(here).ids)))
    n_used = int(np.isfinite(sizes).sum())
    if n_used < MIN_BUDGETS or int(np.isfinite(tokens).sum()) < MIN_BUDGETS:
        reasons = _list_reasons([str(row["reason"]) for row in table if row["reason"]])
        return Refusal(
            "too_few_groups",
            f"isoFLOP needs >= {MIN_BUDGETS} budgets with a minimum inside their sizes; "
            f"have {n_used} of {log_c.size}" + (f" ({reasons})" if reasons else ""),
            "train more sizes on both sides of each minimum",
        )
    found = optima.read_lines(optima.has_loss_line)
    lines = {name: float(values[0]) for name, values in found.items()}
    warnings = ("the vertices are biased when alpha differs from beta or sizes are off centre",)
    return Point(lines, table=tuple(table), exclusions=tuple(dropped), warnings=warnings)


def _list_reasons(reasons: Sequence[str]) -> str:
    """Return the first few reasons and the number of those left."""
    left = len(reasons) - MOST_REASONS
    return "; ".join(reasons[:MOST_REASONS]) + (f"; and {left} more" if left > 0 else "")


def _explain(rows: Rows, here: np.ndarray, n_points: int) -> str:
    budget = float(rows.columns["flops"][here[0]])
    if n_points < MIN_POINTS:
        noun = "point" if n_points == 1 else "points"
        return f"budget {budget:.3g} has {n_points} {noun}, a parabola needs {MIN_POINTS}"
    return f"budget {budget:.3g} has no minimum inside its {n_points} sizes"


def replicate(rows: Rows, settings: Settings) -> Params:
    """Resample runs inside each budget, with the same vertex rule in every replica.

    Parameters
    ----------
    rows : as for `run`
    settings : number of replicas, seed, options

    Returns
    -------
    name -> ndarray, shape (B,)

    References
    ----------
    Porian et al. 2024, arXiv 2406.19146 (seed noise, for the Akima interpolant)
    """
    options = LAW.read_options(settings.options)
    with_loss = _find_optima(rows, options).has_loss_line
    if options["interpolant"] == "akima":
        return _interpolate(rows, settings.replicas, settings.seed).read_lines(with_loss)
    budgets = tuple(f"{value:.17g}" for value in rows.columns["flops"])
    grouped = Rows(rows.columns, rows.target, rows.ids, budgets, rows.clusters)
    counts = draw_counts(grouped, settings.replicas, settings.seed, within_groups=True)
    return _scan(rows, counts).read_lines(with_loss)


def _predict_size(params: Mapping[str, float], row: Mapping[str, object]) -> float:
    return float(np.exp(params["log_n_factor"]) * float(str(row["flops"])) ** params["a"])


OPTIMUM = Optimum(
    "n_params",
    "n_params",
    size=lambda rows: rows.columns["flops"],
    size_of=lambda row: float(str(row["flops"])),
    predict=_predict_size,
)

LAW = Law(
    slug="isoflop",
    title="Chinchilla, approach 2 (isoFLOP profiles)",
    formula="N* = exp(log_n_factor) C^a, D* = exp(log_d_factor) C^b, "
    "L* = L_inf + exp(log_l_factor) C^-l",
    tex=r"N^* \propto C^{a}, \quad D^* \propto C^{b}, \quad L^* - L_\infty \propto C^{-l}",
    inputs=(
        LawInput("n_params", "N", "parameters", octaves=1.0),
        LawInput("flops", "C", "FLOPs, equal within a budget", octaves=1.0),
        LawInput("n_tokens", "D", "tokens; C / 6N where not given", optional=True),
    ),
    target=LawInput("loss", "L", "nats per token"),
    params=(
        LawParam("a", "exponent of N* in C"),
        LawParam("b", "exponent of D* in C"),
        LawParam("log_n_factor", "natural log of the factor of N*"),
        LawParam("log_d_factor", "natural log of the factor of D*"),
        *LOSS_LINE_PARAMS,
    ),
    structure=Procedure(run, "within_groups", replicate, optimum=OPTIMUM),
    objective=Objective("least_squares", "linear"),
    source="Hoffmann et al. 2022, arXiv 2203.15556, section 3.2",
    group="budget",
    procedure="Per budget a parabola of L in log N and one in log D; a vertex counts with >= 4 "
    "distinct sizes, curvature > 0 and strictly inside; least squares of log vertex on log C. "
    "With five budgets a power law with a constant through the losses at the vertices.",
    pitfalls=(
        "Biased without any noise when alpha differs from beta or sizes are off centre: the "
        "exponent survives centred sampling, the vertices do not.",
        "Outliers in one budget move the exponent by .05.",
    ),
    options=(
        LawOption(
            "interpolant",
            "parabola",
            "shape through a budget: a parabola, or Akima with weights from seed noise",
            ("parabola", "akima"),
        ),
        BUDGET,
    ),
    version=2,
    derived=list_allocation(allocate_lines),
    allocate=allocate_lines,
    published=(
        Published("Hoffmann et al. 2022", {"a": 0.49, "b": 0.51}, "arXiv 2203.15556, Table 2"),
    ),
)
