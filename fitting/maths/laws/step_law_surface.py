"""Optimal learning rate and batch size from the vertex of a surface in each cell."""

from __future__ import annotations

import numpy as np

from fitting.maths.laws.step_law_threshold import (
    DERIVED,
    INPUTS,
    MIN_CELLS,
    OPTIMUM,
    PARAMS,
    PUBLISHED,
    SOURCE,
    refuse,
    split_cells,
)
from fitting.maths.regression import regress
from fitting.maths.types import (
    Exclusion,
    FloatArray,
    IntArray,
    Law,
    LawInput,
    LawOption,
    Objective,
    Options,
    Params,
    Point,
    Procedure,
    Refusal,
    Rows,
    Settings,
)
from fitting.maths.uncertainty import draw_counts

MIN_RUNS = 8


def fit_cell(
    rows: Rows, places: IntArray, counts: FloatArray
) -> tuple[FloatArray, tuple[float, float]]:
    """Fit the full quadratic in (log lr, log B) to a cell.

    Parameters
    ----------
    rows : peak_lr, batch_tokens; loss
    places : ndarray of int, the runs of the cell
    counts : ndarray, shape (B, n), how often each row counts in each replica

    Returns
    -------
    ndarray, shape (B, 6), of (1, u, v, u^2, u v, v^2) with u and v the logarithms less their
    centre, and that centre

    References
    ----------
    Li et al. 2025, arXiv 2503.04715; step-law/steplaw@32a8f4c
    """
    x = np.log(rows.columns["peak_lr"][places])
    y = np.log(rows.columns["batch_tokens"][places])
    u, v = x - x.mean(), y - y.mean()
    design = np.stack([np.ones_like(u), u, v, u**2, u * v, v**2], axis=1)
    return regress(design, rows.target[places], counts), (float(x.mean()), float(y.mean()))


def find_cell_vertex(rows: Rows, places: IntArray, counts: FloatArray) -> FloatArray:
    """Return (log lr, log B) of the cell's vertex for each replica (B, 2); NaN where it fails.

    A vertex counts when the quadratic is positive definite and the vertex lies inside the runs.

    Parameters
    ----------
    rows : peak_lr, batch_tokens; loss
    places : ndarray of int, the runs of the cell
    counts : ndarray, shape (B, n), how often each row counts in each replica

    Returns
    -------
    ndarray, shape (B, 2), natural logarithms

    References
    ----------
    Li et al. 2025, arXiv 2503.04715; step-law/steplaw@32a8f4c
    """
    c, centre = fit_cell(rows, places, counts)
    u = np.log(rows.columns["peak_lr"][places]) - centre[0]
    v = np.log(rows.columns["batch_tokens"][places]) - centre[1]
    det = 4.0 * c[:, 3] * c[:, 5] - c[:, 4] ** 2
    with np.errstate(all="ignore"):
        best_u = (c[:, 4] * c[:, 2] - 2.0 * c[:, 5] * c[:, 1]) / det
        best_v = (c[:, 4] * c[:, 1] - 2.0 * c[:, 3] * c[:, 2]) / det
        ok = (c[:, 3] > 0) & (det > 0)
        ok &= (best_u > u.min()) & (best_u < u.max()) & (best_v > v.min()) & (best_v < v.max())
    vertex = np.stack([best_u + centre[0], best_v + centre[1]], axis=1)
    return np.where(ok[:, None], vertex, np.nan)


def select_cell(rows: Rows, places: IntArray, threshold: float) -> IntArray:
    """Return the cell's runs within the threshold of its least loss.

    Parameters
    ----------
    rows : loss
    places : ndarray of int, the runs of the cell
    threshold : relative

    Returns
    -------
    ndarray of int, places among all rows

    References
    ----------
    Li et al. 2025, arXiv 2503.04715; step-law/steplaw@32a8f4c
    """
    losses = rows.target[places]
    chosen: IntArray = places[losses / losses.min() - 1.0 < threshold]
    return chosen


def _regress_vertices(rows: Rows, cells: list[IntArray], vertices: FloatArray) -> Params:
    """Regress the vertices (B, cells, 2); a cell without a vertex has weight 0."""
    firsts = np.array([places[0] for places in cells])
    log_n = np.log(rows.columns["n_params"][firsts])
    log_d = np.log(rows.columns["n_tokens"][firsts])
    usable = np.isfinite(vertices[:, :, 0])
    filled, weights = np.where(usable[:, :, None], vertices, 0.0), usable.astype(np.float64)
    one = np.ones_like(log_n)
    lr = regress(np.stack([one, log_n, log_d], axis=1), filled[:, :, 0], weights)
    batch = regress(np.stack([one, log_d], axis=1), filled[:, :, 1], weights)
    names = ("lr_const", "lr_N", "lr_D", "bs_const", "bs_D")
    return dict(zip(names, [*lr.T, *batch.T], strict=True))


def run(rows: Rows, options: Options) -> Point | Refusal:
    """Fit each cell's quadratic, then the power laws through the vertices."""
    threshold = float(str(options["threshold"]))
    cells, vertices, table, dropped = [], [], [], []
    for places in split_cells(rows):
        chosen = select_cell(rows, places, threshold)
        vertex = np.full((1, 2), np.nan)
        if chosen.size >= MIN_RUNS:
            vertex = find_cell_vertex(rows, chosen, np.ones((1, chosen.size)))
        n, d = rows.columns["n_params"][places[0]], rows.columns["n_tokens"][places[0]]
        used = bool(np.isfinite(vertex[0, 0]))
        lr, batch = np.exp(vertex[0])
        row = {"n_params": n, "n_tokens": d, "n_runs": chosen.size, "used": used}
        table.append({**row, "peak_lr": float(lr), "batch_tokens": float(batch)})
        if used:
            cells.append(chosen)
            vertices.append(vertex)
        else:
            why = f"cell N = {n:.3g}, D = {d:.3g}: {chosen.size} runs, no minimum inside them"
            dropped.append(Exclusion("cell", why, places.size))
    if len(cells) < MIN_CELLS:
        return Refusal(
            "too_few_groups",
            f"{len(cells)} cells have a minimum inside >= {MIN_RUNS} runs; the law needs "
            f"{MIN_CELLS}",
            "widen the sweeps of lr and batch",
        )
    found = _regress_vertices(rows, cells, np.stack(vertices, axis=1))
    params = {name: float(values[0]) for name, values in found.items()}
    if not np.all(np.isfinite(list(params.values()))):
        return Refusal("rank", "the cells do not vary N and D independently", "add cells")
    return Point(params, table=tuple(table), exclusions=tuple(dropped))


def replicate(rows: Rows, settings: Settings) -> Params:
    """Resample the near-best runs inside each cell."""
    threshold = float(str(LAW.read_options(settings.options)["threshold"]))
    cells = [select_cell(rows, places, threshold) for places in split_cells(rows)]
    cells = [places for places in cells if places.size >= MIN_RUNS]
    vertices = []
    for number, places in enumerate(cells):
        counts = draw_counts(rows.take(places), settings.replicas, settings.seed + number)
        vertices.append(find_cell_vertex(rows, places, counts))
    return _regress_vertices(rows, cells, np.stack(vertices, axis=1))


LAW = Law(
    slug="step_law_surface",
    title="Step law, surface rule",
    formula="lr* = exp(lr_const) N^lr_N D^lr_D, B* = exp(bs_const) D^bs_D",
    tex=r"\eta^* = c N^{p} D^{q}, \quad B^* = c' D^{r}",
    inputs=INPUTS,
    target=LawInput("loss", "L", "smoothed final loss, nats per token"),
    params=PARAMS,
    structure=Procedure(run, "within_groups", replicate, optimum=OPTIMUM),
    objective=Objective("least_squares", "linear"),
    source=SOURCE,
    group="cell",
    procedure="Per cell a full quadratic in (log lr, log B) over runs within 2 % of the cell's "
    "least loss (>= 8 runs), positive definite, vertex inside; regressions on the vertices.",
    pitfalls=("Cells whose best run is on the edge of the grid have no vertex and are dropped.",),
    options=(
        LawOption(
            "threshold",
            0.02,
            "relative distance to the cell's least loss",
            least=0.0,
            is_above=True,
        ),
    ),
    derived=DERIVED,
    published=PUBLISHED,
    refuse=refuse,
)
