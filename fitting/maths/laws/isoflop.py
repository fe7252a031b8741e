"""Chinchilla approach 2: the best size of each budget from a parabola, then a power law in C."""

from __future__ import annotations

import numpy as np

from fitting.maths.akima import find_akima_minima
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


def find_vertices(x: FloatArray, y: FloatArray, counts: FloatArray) -> tuple[FloatArray, BoolArray]:
    """Return the vertex of the parabola through the counted points, for each replica.

    Parameters
    ----------
    x, y : ndarray, shape (n,)
    counts : ndarray, shape (B, n)

    Returns
    -------
    vertex (B,), and whether it counts: four distinct x, curvature > 0, strictly inside
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
    low = np.where(present, x, np.inf).min(axis=1)
    high = np.where(present, x, -np.inf).max(axis=1)
    ok = (distinct.sum(axis=0) >= MIN_POINTS) & (c[2] > 0) & (vertex > low) & (vertex < high)
    return np.where(ok, vertex, np.nan), ok


def fit_lines(x: FloatArray, y: FloatArray, weights: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return intercept and slope of each row of y (B, k) on x (k,), rows with NaN left out."""
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


def _scan(rows: Rows, counts: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return log budgets (k,), and log N* and log D* of each replica (B, k)."""
    budgets = np.unique(rows.columns["flops"])
    sizes, tokens = [], []
    for budget in budgets:
        here = rows.columns["flops"] == budget
        log_n = np.log(rows.columns["n_params"][here])
        log_d = np.log(read_tokens(rows)[here])
        sizes.append(find_vertices(log_n, rows.target[here], counts[:, here])[0])
        tokens.append(find_vertices(log_d, rows.target[here], counts[:, here])[0])
    return np.log(budgets), np.stack(sizes, axis=1), np.stack(tokens, axis=1)


def read_tokens(rows: Rows) -> FloatArray:
    """Return the tokens of each run; C / 6N where they were not given."""
    if "n_tokens" in rows.columns:
        return rows.columns["n_tokens"]
    return rows.columns["flops"] / (6.0 * rows.columns["n_params"])


def _find_points(
    rows: Rows, options: Options
) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:
    """Return log budgets, log N*, log D* (1, k) and the weights of the budgets (k,)."""
    if options["interpolant"] == "akima":
        log_c, sizes, weights = find_akima_minima(rows)
        return log_c, sizes, log_c - np.log(6.0) - sizes, weights
    log_c, sizes, tokens = _scan(rows, np.ones((1, rows.n)))
    return log_c, sizes, tokens, np.ones(log_c.size)


def _read_lines(
    log_c: FloatArray, sizes: FloatArray, tokens: FloatArray, weights: FloatArray
) -> dict[str, FloatArray]:
    log_n, a = fit_lines(log_c, sizes, weights)
    log_d, b = fit_lines(log_c, tokens, weights)
    return {"a": a, "b": b, "log_n_factor": log_n, "log_d_factor": log_d}


def run(rows: Rows, options: Options) -> Point | Refusal:
    """Find every budget's best size, then the lines through those that count."""
    log_c, sizes, tokens, weights = _find_points(rows, options)
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
                "used": usable,
                "reason": reason,
            }
        )
        if not usable:
            dropped.append(Exclusion("budget", reason, here.size, tuple(rows.take(here).ids)))
    n_used = int(np.isfinite(sizes).sum())
    if n_used < MIN_BUDGETS or int(np.isfinite(tokens).sum()) < MIN_BUDGETS:
        reasons = "; ".join(str(row["reason"]) for row in table if row["reason"])
        return Refusal(
            "too_few_groups",
            f"isoFLOP needs >= {MIN_BUDGETS} budgets with a minimum inside their sizes; "
            f"have {n_used} of {log_c.size}" + (f" ({reasons})" if reasons else ""),
            "train more sizes on both sides of each minimum",
        )
    found = _read_lines(log_c, sizes, tokens, weights)
    lines = {name: float(values[0]) for name, values in found.items()}
    warnings = ("the vertices are biased when alpha differs from beta or sizes are off centre",)
    return Point(lines, table=tuple(table), exclusions=tuple(dropped), warnings=warnings)


def _explain(rows: Rows, here: np.ndarray, n_points: int) -> str:
    budget = float(rows.columns["flops"][here[0]])
    if n_points < MIN_POINTS:
        return f"budget {budget:.3g} has {n_points} points, a parabola needs {MIN_POINTS}"
    return f"budget {budget:.3g} has no minimum inside its {n_points} sizes"


def replicate(rows: Rows, settings: Settings) -> Params:
    """Resample runs inside each budget, with the same vertex rule in every replica."""
    if LAW.read_options(settings.options)["interpolant"] == "akima":
        log_c, sizes, weights = find_akima_minima(rows, settings.replicas, settings.seed)
        return _read_lines(log_c, sizes, log_c - np.log(6.0) - sizes, weights)
    budgets = tuple(f"{value:.17g}" for value in rows.columns["flops"])
    grouped = Rows(rows.columns, rows.target, rows.ids, budgets, rows.clusters)
    counts = draw_counts(grouped, settings.replicas, settings.seed, within_groups=True)
    return _read_lines(*_scan(rows, counts), np.ones(np.unique(rows.columns["flops"]).size))


LAW = Law(
    slug="isoflop",
    title="Chinchilla, approach 2 (isoFLOP profiles)",
    formula="N* = exp(log_n_factor) C^a, D* = exp(log_d_factor) C^b",
    tex=r"N^* \propto C^{a}, \quad D^* \propto C^{b}",
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
    ),
    structure=Procedure(run, "within_groups", replicate),
    objective=Objective("least_squares", "linear"),
    source="Hoffmann et al. 2022, arXiv 2203.15556, section 3.2",
    group="budget",
    procedure="Per budget a parabola of L in log N and one in log D; a vertex counts with >= 4 "
    "distinct sizes, curvature > 0 and strictly inside; least squares of log vertex on log C.",
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
    ),
    published=(
        Published("Hoffmann et al. 2022", {"a": 0.49, "b": 0.51}, "arXiv 2203.15556, Table 2"),
    ),
)
