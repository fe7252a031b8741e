"""Learning rate and batch size together: a surface for each (N, D), and laws over them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from fitting.maths.budgets import SAME_BUDGET, SAME_SIZE, group_near
from fitting.maths.digest import digest_columns, encode_labels
from fitting.maths.engine import fit_law
from fitting.maths.laws.step_law_surface import (
    MIN_RUNS,
    find_cell_vertex,
    fit_cell,
    select_cell,
)
from fitting.maths.records import FloatArray, IntArray, Record, Refusal
from fitting.maths.registry import get_law
from fitting.maths.results import Fit
from fitting.maths.rows import Rows, Settings
from fitting.maths.types import Estimate
from fitting.maths.uncertainty import draw_counts, summarise

SURFACE, THRESHOLD = "step_law_surface", "step_law_threshold"
LAWS = (SURFACE, THRESHOLD)
NEAR = 0.02  # the published rule fits the runs within 2 % of the best
MIN_LEVELS = 3
N_GRID = 40
MAX_CELLS = 24  # drawn; the laws read all


@dataclass(frozen=True)
class BatchTable:
    """One row per run that ended well.

    Parameters
    ----------
    run_ids : identifiers, unique
    variant : label of each run's variant
    n_params, n_tokens, peak_lr, batch_tokens, loss : ndarrays, shape (n,), positive and finite
    """

    run_ids: tuple[str, ...]
    variant: tuple[str, ...]
    n_params: FloatArray
    n_tokens: FloatArray
    peak_lr: FloatArray
    batch_tokens: FloatArray
    loss: FloatArray

    def digest(self) -> str:
        """Return the SHA-256 of the float64 columns ordered by run id."""
        columns = {name: getattr(self, name) for name in (*COLUMNS, "loss")}
        return digest_columns(self.run_ids, {**columns, "variant": encode_labels(self.variant)})


COLUMNS = ("n_params", "n_tokens", "peak_lr", "batch_tokens")


@dataclass(frozen=True)
class BatchSettings(Record):
    """How the analysis is done: replicas and seed of every interval."""

    replicas: int = 1000
    seed: int = 0


@dataclass(frozen=True)
class BatchCell(Record):
    """The runs of one size and token count, over learning rate and batch size.

    Parameters
    ----------
    n_params, n_tokens : of the cell, geometric means
    run_ids, peak_lr, batch_tokens, loss : its runs
    best : place of the run with the least loss
    edges : at which ends of the grid the best run stands: "lowest LR", "largest batch", ...
    n_near : runs within 2 % of the best, to which the quadratic is fitted
    lr, batch : vertex of the quadratic with interval; None where it has no minimum inside the runs
    refusal : why there is no vertex
    grid_lr, grid_batch : ndarrays, shape (k,), axes of the surface
    surface : ndarray, shape (k, k), rows by batch: fitted loss over its minimum, minus 1; to be
        believed up to the 2 % to which it was fitted; NaN where there is no vertex
    """

    n_params: float
    n_tokens: float
    run_ids: tuple[str, ...]
    peak_lr: FloatArray
    batch_tokens: FloatArray
    loss: FloatArray
    best: int
    edges: tuple[str, ...]
    n_near: int
    lr: Estimate | None
    batch: Estimate | None
    refusal: Refusal | None
    grid_lr: FloatArray
    grid_batch: FloatArray
    surface: FloatArray


@dataclass(frozen=True)
class BatchVariant(Record):
    """What the runs of one variant say: their cells, and the laws over them by slug."""

    variant: str
    cells: tuple[BatchCell, ...]
    n_cells: int
    laws: Mapping[str, Fit | Refusal]


@dataclass(frozen=True)
class BatchResult(Record):
    """The analysis with all that is needed to repeat it."""

    variants: tuple[BatchVariant, ...]
    refusal: Refusal | None
    n_runs: int
    n_used: int
    digest: str
    settings: BatchSettings
    version: int = 1


def analyse_lr_batch(table: BatchTable, settings: BatchSettings | None = None) -> BatchResult:
    """Fit the surface of each cell of equal (N, D), and the laws of LR* and B* over cells.

    Parameters
    ----------
    table : one row per run
    settings : None = the defaults

    Returns
    -------
    cells with three learning rates and three batch sizes or more; a Refusal where there is none

    References
    ----------
    Li et al. 2025 (Step Law), arXiv 2503.04715, section 3
    """
    settings = settings or BatchSettings()
    variants = []
    for name in sorted(set(table.variant)):
        rows = _make_rows(table, name)
        swept = [cell for cell in _split_cells(rows) if _count_levels(rows, cell)[0]]
        if swept:
            variants.append(_analyse_variant(name, rows, swept, settings))
    used = sum(cell.loss.size for item in variants for cell in item.cells)
    return BatchResult(
        variants=tuple(variants),
        refusal=None if variants else _refuse(table),
        n_runs=len(table.run_ids),
        n_used=used,
        digest=table.digest(),
        settings=settings,
    )


def _make_rows(table: BatchTable, variant: str) -> Rows:
    """Return the runs of a variant, sizes and token counts set to their cell's mean."""
    places = [place for place, name in enumerate(table.variant) if name == variant]
    order: IntArray = np.array(sorted(places, key=lambda i: table.run_ids[i]), dtype=np.int64)
    columns = {name: getattr(table, name)[order] for name in COLUMNS}
    columns["n_params"] = _level(columns["n_params"], SAME_SIZE)
    columns["n_tokens"] = _level(columns["n_tokens"], SAME_BUDGET)
    return Rows(columns, table.loss[order], tuple(table.run_ids[i] for i in order))


def _level(values: FloatArray, factor: float) -> FloatArray:
    group = group_near(values, factor)
    mean = np.bincount(group, weights=np.log(values)) / np.bincount(group)
    levels: FloatArray = np.exp(mean)[group]
    return levels


def _split_cells(rows: Rows) -> list[IntArray]:
    from fitting.maths.laws.step_law_threshold import split_cells

    return split_cells(rows)


def _count_levels(rows: Rows, places: IntArray) -> tuple[bool, int, int]:
    n_lrs = np.unique(rows.columns["peak_lr"][places]).size
    n_batches = np.unique(rows.columns["batch_tokens"][places]).size
    return min(n_lrs, n_batches) >= MIN_LEVELS, n_lrs, n_batches


def _analyse_variant(
    name: str, rows: Rows, swept: list[IntArray], settings: BatchSettings
) -> BatchVariant:
    chosen = rows.take(np.sort(np.concatenate(swept)))
    plain = Settings(replicas=settings.replicas, seed=settings.seed)
    laws = {slug: fit_law(get_law(slug), chosen, plain) for slug in LAWS}
    largest = sorted(swept, key=lambda places: -places.size)[:MAX_CELLS]
    cells = [_analyse_cell(rows, places, settings) for places in largest]
    cells.sort(key=lambda cell: (cell.n_params, cell.n_tokens))
    return BatchVariant(name, tuple(cells), len(swept), laws)


def _analyse_cell(rows: Rows, places: IntArray, settings: BatchSettings) -> BatchCell:
    lr, batch = rows.columns["peak_lr"][places], rows.columns["batch_tokens"][places]
    loss = rows.target[places]
    best = int(np.argmin(loss))
    near = select_cell(rows, places, NEAR)
    found = _find_vertex(rows, near, settings)
    grid_lr = np.geomspace(lr.min(), lr.max(), N_GRID)
    grid_batch = np.geomspace(batch.min(), batch.max(), N_GRID)
    surface = np.full((N_GRID, N_GRID), np.nan)
    if not isinstance(found, Refusal):
        surface = _draw_surface(rows, near, (grid_lr, grid_batch), found)
    return BatchCell(
        n_params=float(rows.columns["n_params"][places[0]]),
        n_tokens=float(rows.columns["n_tokens"][places[0]]),
        run_ids=tuple(rows.ids[place] for place in places),
        peak_lr=lr,
        batch_tokens=batch,
        loss=loss,
        best=best,
        edges=tuple(_find_edges(lr, batch, best)),
        n_near=int(near.size),
        lr=None if isinstance(found, Refusal) else found[0],
        batch=None if isinstance(found, Refusal) else found[1],
        refusal=found if isinstance(found, Refusal) else None,
        grid_lr=grid_lr,
        grid_batch=grid_batch,
        surface=surface,
    )


def _find_edges(lr: FloatArray, batch: FloatArray, best: int) -> Iterable[str]:
    for values, name in ((lr, "learning rate"), (batch, "batch")):
        if values[best] <= values.min():
            yield f"smallest {name}"
        elif values[best] >= values.max():
            yield f"largest {name}"


def _find_vertex(
    rows: Rows, near: IntArray, settings: BatchSettings
) -> tuple[Estimate, Estimate] | Refusal:
    if near.size < MIN_RUNS:
        return Refusal(
            "too_few_points",
            f"{near.size} runs lie within {NEAR:.0%} of the best; the quadratic needs {MIN_RUNS}",
            "sweep learning rate and batch more finely around the best run",
        )
    point = find_cell_vertex(rows, near, np.ones((1, near.size)))[0]
    if not np.all(np.isfinite(point)):
        return Refusal(
            "no_minimum",
            f"the quadratic through {near.size} runs has no minimum inside them: the optimum is "
            "censored",
            "sweep beyond the best run",
        )
    counts = draw_counts(rows.take(near), settings.replicas, settings.seed)
    draws = find_cell_vertex(rows, near, counts) if settings.replicas else np.empty((0, 2))
    units = ("", "tokens per step")
    lr, batch = (
        summarise(float(np.exp(point[k])), np.exp(draws[:, k]), 0.95, units[k], "no replicas")
        for k in range(2)
    )
    return lr, batch


def _draw_surface(
    rows: Rows,
    near: IntArray,
    grids: tuple[FloatArray, FloatArray],
    vertex: tuple[Estimate, Estimate],
) -> FloatArray:
    """Return the fitted loss over its minimum, minus 1."""
    c, centre = fit_cell(rows, near, np.ones((1, near.size)))

    def evaluate(log_lr: FloatArray, log_batch: FloatArray) -> FloatArray:
        u, v = log_lr - centre[0], log_batch - centre[1]
        terms = (np.ones_like(u), u, v, u**2, u * v, v**2)
        total: FloatArray = np.sum([k * term for k, term in zip(c[0], terms, strict=True)], axis=0)
        return total

    x, y = np.meshgrid(np.log(grids[0]), np.log(grids[1]))
    least = evaluate(np.log(np.array(vertex[0].value)), np.log(np.array(vertex[1].value)))
    above: FloatArray = evaluate(x, y) / least - 1.0
    return above


def _refuse(table: BatchTable) -> Refusal:
    needs = f"needs >= {MIN_LEVELS} learning rates at >= {MIN_LEVELS} batch sizes at one N and D"
    cure = "sweep the batch size and the learning rate together at one size and token count"
    if not table.run_ids:
        return Refusal("too_few_points", f"{needs}; no finished run has all four", cure)
    n_lrs, n_batches = 0, 0
    for name in sorted(set(table.variant)):
        rows = _make_rows(table, name)
        for places in _split_cells(rows):
            _, lrs, batches = _count_levels(rows, places)
            n_lrs, n_batches = max((n_lrs, n_batches), (lrs, batches), key=lambda p: (p[1], p[0]))
    words = f"{n_lrs} learning rate{'s' if n_lrs > 1 else ''}"
    return Refusal(
        "too_few_groups",
        f"{needs}; has {words} at {n_batches} batch size{'s' if n_batches > 1 else ''}",
        cure,
    )
