"""Runs of a compute-optimal study gathered into cells: one point per size and budget."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from fitting.maths.digest import digest_columns, encode_labels
from fitting.maths.lr_points import unify_lr
from fitting.maths.records import BoolArray, FloatArray, IntArray, Record

SAME_BUDGET = 1.05  # steps are whole numbers, so runs of one budget differ by some permille
SAME_SIZE = 1.03  # as fitting.sizes: norm gains are not another size


@dataclass(frozen=True)
class ComputeTable:
    """One row per run.

    Parameters
    ----------
    run_ids : identifiers, unique
    n_params : ndarray, shape (n,), parameters; NaN = not known
    n_tokens : ndarray, shape (n,), training tokens; NaN = not known
    flops : ndarray, shape (n,), training FLOPs; NaN = not known
    variant : label of each run's variant
    peak_lr : ndarray, shape (n,), peak learning rate; NaN = not known
    loss : ndarray, shape (n,), final loss in nats
    loss_at_init : ndarray, shape (n,), loss at initialisation; NaN = not logged
    finished, diverged : ndarray, shape (n,), state and outcome of the run
    """

    run_ids: tuple[str, ...]
    n_params: FloatArray
    n_tokens: FloatArray
    flops: FloatArray
    variant: tuple[str, ...]
    peak_lr: FloatArray
    loss: FloatArray
    loss_at_init: FloatArray
    finished: BoolArray
    diverged: BoolArray

    @property
    def is_lost(self) -> BoolArray:
        """Return which runs diverged: so marked, not finite, or above the initial loss."""
        lost = ~np.isfinite(self.loss) | (self.loss > self.loss_at_init)
        diverged: BoolArray = self.diverged | (self.finished & lost)
        return diverged

    @property
    def has_axes(self) -> BoolArray:
        """Return which runs have a size, a number of tokens and FLOPs."""
        known = [np.isfinite(v) & (v > 0) for v in (self.n_params, self.n_tokens, self.flops)]
        has_axes: BoolArray = known[0] & known[1] & known[2]
        return has_axes

    def digest(self) -> str:
        """Return the SHA-256 of the float64 columns ordered by run id."""
        return digest_columns(
            self.run_ids,
            {
                "n_params": self.n_params,
                "n_tokens": self.n_tokens,
                "flops": self.flops,
                "variant": encode_labels(self.variant),
                "peak_lr": self.peak_lr,
                "loss": self.loss,
                "loss_at_init": self.loss_at_init,
                "finished": self.finished.astype(np.float64),
                "diverged": self.diverged.astype(np.float64),
            },
        )

    def take(self, places: IntArray) -> ComputeTable:
        """Return the chosen runs in the order given."""
        columns = ("n_params", "n_tokens", "flops", "peak_lr", "loss", "loss_at_init")
        chosen = {name: getattr(self, name)[places] for name in (*columns, "finished", "diverged")}
        return replace(
            self,
            run_ids=tuple(self.run_ids[place] for place in places),
            variant=tuple(self.variant[place] for place in places),
            **chosen,
        )


@dataclass(frozen=True)
class Cell(Record):
    """The best learning rate of one size at one budget.

    Parameters
    ----------
    run_ids : runs at that learning rate, one per seed
    n_params, n_tokens, flops, loss : their means (geometric but for the loss)
    budget : FLOPs of the budget, the geometric mean of its runs
    lr : the learning rate with the least mean loss; NaN = not known
    n_lrs : learning rates tried
    edge : "low" or "high" where the best of >= 2 learning rates is the first or the last
    """

    run_ids: tuple[str, ...]
    n_params: float
    n_tokens: float
    flops: float
    budget: float
    loss: float
    lr: float
    n_lrs: int
    edge: str


def group_near(values: FloatArray, factor: float) -> IntArray:
    """Return the number of each value's group: all within `factor` of the group's smallest.

    Parameters
    ----------
    values : ndarray, shape (n,), positive
    factor : widest ratio inside a group

    Returns
    -------
    ndarray of int, shape (n,), groups ascending
    """
    order = np.argsort(values, kind="stable")
    groups = np.zeros(values.size, dtype=np.int64)
    first, number = -np.inf, -1
    for place in order:
        if values[place] > factor * first:
            first, number = float(values[place]), number + 1
        groups[place] = number
    return groups


def gather_cells(table: ComputeTable) -> tuple[Cell, ...]:
    """Return one point per size and budget, ascending in budget, then size.

    Parameters
    ----------
    table : finished runs of one variant that did not diverge, with all axes known

    Notes
    -----
    Losses are averaged over seeds at each learning rate; the learning rate with the least mean is
    the cell's, so that an untuned run never stands for its size (Hoffmann et al. 2022, arXiv
    2203.15556, appendix D.2; LAWS section 5, point 7).
    """
    if not table.run_ids:
        return ()
    budgets = group_near(table.flops, SAME_BUDGET)
    sizes = group_near(table.n_params, SAME_SIZE)
    cells = []
    for budget in np.unique(budgets):
        here = budgets == budget
        centre = _take_centre(table.flops[here])
        for size in np.unique(sizes[here]):
            places = np.flatnonzero(here & (sizes == size))
            cells.append(_make_cell(table.take(places), centre))
    return tuple(cells)


def _make_cell(runs: ComputeTable, budget: float) -> Cell:
    lr = unify_lr(np.where(np.isfinite(runs.peak_lr), runs.peak_lr, 0.0))
    levels, place = np.unique(lr, return_inverse=True)
    means = np.bincount(place, weights=runs.loss) / np.bincount(place)
    best = int(np.argmin(means))
    mine = np.flatnonzero(place == best)
    n_lrs = int(np.sum(levels > 0)) or 1
    edge = ""
    if n_lrs > 1:
        edge = {0: "low", levels.size - 1: "high"}.get(best, "")
    return Cell(
        run_ids=tuple(sorted(runs.run_ids[i] for i in mine)),
        n_params=_take_centre(runs.n_params[mine]),
        n_tokens=_take_centre(runs.n_tokens[mine]),
        flops=_take_centre(runs.flops[mine]),
        budget=budget,
        loss=float(means[best]),
        lr=float(levels[best]) or np.nan,
        n_lrs=n_lrs,
        edge=edge,
    )


def _take_centre(values: FloatArray) -> float:
    return float(np.exp(np.mean(np.log(values))))
