"""Ladders of the variants of a study: the best loss at each compute, each against each other."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import permutations

import numpy as np

from fitting.maths.budgets import Cell
from fitting.maths.compare import LadderComparison, compare_ladders
from fitting.maths.engine import fit_law
from fitting.maths.frontier import keep_falling
from fitting.maths.gains import GainLine, trace_gain
from fitting.maths.predict import evaluate_curve
from fitting.maths.records import FloatArray, Record, Refusal
from fitting.maths.registry import get_law
from fitting.maths.results import Fit
from fitting.maths.rows import Params, Rows, Settings

FORM = "power_law_constant"
MAX_LADDERS = 6  # 15 pairs; a figure has six colours
MAX_REPLICAS = 1000  # a pair of them on 1,000 budgets takes 16 MB
SAMPLE = 200  # replicas kept with the result, for a comparison with another study


@dataclass(frozen=True)
class Ladder(Record):
    """The best loss of one variant at each compute.

    Parameters
    ----------
    variant : its label
    cells : the cell with the least loss of each budget, ascending, while the loss falls
    n_left_out : cells of these budgets that another one beats
    fit : L = L_inf + A C^-a through the cells
    predicted : ndarray, shape (n_cells,), the fitted loss of each; empty where the fit was refused
    replica_sample : parameters of some replicas
    """

    variant: str
    cells: tuple[Cell, ...]
    n_left_out: int
    fit: Fit | Refusal
    predicted: FloatArray
    replica_sample: Params

    @property
    def flops_range(self) -> tuple[float, float]:
        """Return the least and the largest compute of the ladder."""
        return self.cells[0].flops, self.cells[-1].flops


@dataclass(frozen=True)
class LadderPair(Record):
    """Two variants of a study against each other.

    Parameters
    ----------
    first, second : labels; the comparison is second minus first
    comparison : difference, crossing and verdict over compute
    gain : compute-equivalent gain of the second over the first
    """

    first: str
    second: str
    comparison: LadderComparison | Refusal
    gain: GainLine | Refusal


def make_ladders(
    cells: Mapping[str, tuple[Cell, ...]], replicas: int, seed: int
) -> tuple[Ladder, ...]:
    """Fit a ladder to the cells of each variant.

    Parameters
    ----------
    cells : variant -> its cells
    replicas : of each fit; more than 1,000 add nothing to a comparison
    seed : of the first ladder; each further one takes the next, so that replicas are independent

    Returns
    -------
    the six ladders with the most cells, in order of their labels

    References
    ----------
    Xiao 2024, arXiv 2409.15156 (crossover of ladders)
    """
    longest = sorted(cells, key=lambda name: (-len(cells[name]), name))[:MAX_LADDERS]
    replicas = min(replicas, MAX_REPLICAS)
    return tuple(
        make_ladder(name, cells[name], Settings(replicas, seed + number))
        for number, name in enumerate(sorted(longest))
    )


def make_ladder(variant: str, cells: tuple[Cell, ...], settings: Settings) -> Ladder:
    """Take the best cell of each budget and fit a power law with a constant.

    Parameters
    ----------
    variant : label
    cells : one per size and budget
    settings : replicas and seed

    Returns
    -------
    the ladder; its fit is a Refusal where the cells do not support one

    References
    ----------
    Xiao 2024, arXiv 2409.15156 (crossover of ladders)
    """
    best: dict[float, Cell] = {}
    for cell in cells:
        known = best.get(cell.budget)
        best[cell.budget] = cell if known is None or cell.loss < known.loss else known
    rungs = sorted(best.values(), key=lambda cell: cell.flops)
    falling = keep_falling(np.array([cell.loss for cell in rungs]))
    kept = tuple(cell for cell, falls in zip(rungs, falling, strict=True) if falls)
    flops = np.array([cell.flops for cell in kept])
    rows = Rows(
        {"x": flops},
        np.array([cell.loss for cell in kept]),
        tuple(" ".join(cell.run_ids) for cell in kept),
    )
    fit = fit_law(get_law(FORM), rows, settings)
    left_out = len(cells) - len(kept)
    if isinstance(fit, Refusal):
        return Ladder(variant, kept, left_out, fit, np.empty(0), {})
    sample = _sample(fit.replica_params)
    return Ladder(variant, kept, left_out, fit, evaluate_curve(fit, flops), sample)


def _sample(replicas: Params) -> Params:
    if not replicas:
        return {}
    values = np.stack(list(replicas.values()))
    usable = values[:, np.all(np.isfinite(values), axis=0)]
    step = max(1, usable.shape[1] // SAMPLE)
    return dict(zip(replicas, usable[:, ::step][:, :SAMPLE], strict=True))


def compare_all(ladders: tuple[Ladder, ...]) -> tuple[LadderPair, ...]:
    """Compare every two ladders, in both orders.

    Parameters
    ----------
    ladders : of one study, or of several

    Returns
    -------
    one pair for each ordered choice of two; empty with fewer than two ladders

    References
    ----------
    Xiao 2024, arXiv 2409.15156 (crossover of ladders)
    """
    return tuple(compare_pair(first, second) for first, second in permutations(ladders, 2))


def compare_pair(first: Ladder, second: Ladder) -> LadderPair:
    """Compare two ladders: crossing, difference, and how much compute the second one saves.

    Parameters
    ----------
    first, second : ladders in one unit of compute and one loss

    Returns
    -------
    the comparison and the gain, each a Refusal where a ladder has no fit

    References
    ----------
    Xiao 2024, arXiv 2409.15156 (crossover of ladders)
    """
    for ladder in (first, second):
        if isinstance(ladder.fit, Refusal):
            reason = Refusal(
                ladder.fit.code,
                f"{ladder.variant or 'all runs'}: {ladder.fit.sentence}",
                ladder.fit.cure,
            )
            return LadderPair(first.variant, second.variant, reason, reason)
    assert isinstance(first.fit, Fit)
    assert isinstance(second.fit, Fit)
    ends = [end for ladder in (first, second) for end in ladder.flops_range]
    comparison = compare_ladders(first.fit, second.fit, min(ends), max(ends))
    gain = trace_gain(first.fit, second.fit, second.flops_range, first.flops_range)
    return LadderPair(first.variant, second.variant, comparison, gain)
