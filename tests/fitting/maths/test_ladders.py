"""Ladders of variants: which cells are their rungs, and how two of them compare."""

from __future__ import annotations

import numpy as np
import pytest

from fitting.maths.budgets import Cell
from fitting.maths.compare import Crossing, LadderComparison
from fitting.maths.gains import GainLine
from fitting.maths.ladders import MAX_LADDERS, Ladder, compare_all, compare_pair, make_ladders
from fitting.maths.types import Fit, Refusal

BUDGETS = np.geomspace(1e17, 1e21, 12)


def make_cells(limit: float, amplitude: float, exponent: float, seed: int) -> tuple[Cell, ...]:
    """Cells of a known ladder with 0.1 % noise; a worse size stands beside each."""
    noise = np.exp(np.random.default_rng(seed).normal(0.0, 1e-3, BUDGETS.size))
    losses = (limit + amplitude * (BUDGETS / 1e17) ** -exponent) * noise
    cells = []
    for place, (flops, loss) in enumerate(zip(BUDGETS, losses, strict=True)):
        for extra in (0.0, 0.1):
            uid = f"{seed}-{place:02d}-{extra:g}"
            shape = (1e8, flops / 6e8, flops, flops)
            cells.append(Cell((uid,), *shape, float(loss + extra), 1e-3, 3, ""))
    return tuple(cells)


@pytest.fixture(scope="module")
def ladders() -> tuple[Ladder, ...]:
    cells = {"a": make_cells(1.8, 2.0, 0.10, 1), "b": make_cells(1.7, 2.3, 0.115, 2)}
    return make_ladders(cells, 200, 0)


def test_the_best_cell_of_each_budget_is_a_rung(ladders: tuple[Ladder, ...]) -> None:
    assert [(len(ladder.cells), ladder.n_left_out) for ladder in ladders] == [(12, 12), (12, 12)]


def test_a_rung_that_does_not_lower_the_loss_is_left_out() -> None:
    cells = make_cells(1.8, 2.0, 0.10, 1)
    spoilt = (*cells[:-2], Cell(("high",), 1e8, 1e12, 1e21, 1e21, 3.5, 1e-3, 3, ""))
    (ladder,) = make_ladders({"a": spoilt}, 0, 0)
    assert "high" not in [uid for cell in ladder.cells for uid in cell.run_ids]


def test_a_planted_crossing_lies_in_its_interval(ladders: tuple[Ladder, ...]) -> None:
    pair = compare_pair(*ladders)
    assert isinstance(pair.comparison, LadderComparison)
    crossing = pair.comparison.crossing
    assert isinstance(crossing, Crossing)
    assert crossing.interval is not None
    assert crossing.interval.low < 7.753e18 < crossing.interval.high
    assert (pair.comparison.winner, pair.comparison.winner_above > 7.753e18) == ("second", True)


def test_the_gain_of_the_better_ladder_rises_above_one(ladders: tuple[Ladder, ...]) -> None:
    gain = compare_pair(*ladders).gain
    assert isinstance(gain, GainLine)
    assert gain.gain[0] < 1 < gain.gain[np.flatnonzero(np.isfinite(gain.gain))[-1]]


def test_both_orders_are_compared(ladders: tuple[Ladder, ...]) -> None:
    assert [(p.first, p.second) for p in compare_all(ladders)] == [("a", "b"), ("b", "a")]


def test_a_ladder_without_a_law_refuses_its_pairs_by_name() -> None:
    cells = {"a": make_cells(1.8, 2.0, 0.10, 1), "short": make_cells(1.8, 2.0, 0.10, 2)[:4]}
    pair = compare_all(make_ladders(cells, 50, 0))[0]
    assert isinstance(pair.comparison, Refusal)
    assert pair.comparison.sentence.startswith("short: ")


def test_few_rungs_have_a_law_but_no_winner() -> None:
    cells = {name: make_cells(1.8, 2.0, 0.10, n)[:8] for n, name in enumerate("ab", 1)}
    pair = compare_all(make_ladders(cells, 50, 0))[0]
    assert isinstance(pair.comparison, LadderComparison)
    assert (pair.comparison.winner, pair.comparison.verdict[:7]) == ("", "no band")


def test_the_longest_ladders_are_kept_in_order_of_their_labels() -> None:
    cells = {f"v{n}": make_cells(1.8, 2.0, 0.10, n)[: 24 - 2 * n] for n in range(8)}
    kept = make_ladders(cells, 0, 0)
    assert [ladder.variant for ladder in kept] == [f"v{n}" for n in range(MAX_LADDERS)]
    assert all(isinstance(ladder.fit, Fit) for ladder in kept)
