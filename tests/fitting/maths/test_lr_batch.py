"""Learning rate and batch together: planted optima, censored cells, refusals."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest

from fitting.maths.lr_batch import BatchSettings, BatchTable, analyse_lr_batch
from fitting.maths.types import Fit, Refusal

LRS = 1e-3 * 2.0 ** np.arange(-3, 4)
BATCHES = 65536 * 2.0 ** np.arange(-3, 4)
QUICK = BatchSettings(100)


def make_table(
    cells: list[tuple[float, float]], lrs: np.ndarray = LRS, batches: np.ndarray = BATCHES
) -> BatchTable:
    """Runs whose loss is quadratic about lr = 1e-3 (N/1e8)^-.5, batch = 65536 (D/1e10)^.5."""
    rows = []
    for (n, d), lr, batch in product(cells, lrs, batches):
        u = np.log(lr / (1e-3 * (n / 1e8) ** -0.5))
        v = np.log(batch / (65536 * (d / 1e10) ** 0.5))
        rows.append((n, d, lr, batch, 2.5 * (1 + 0.008 * u**2 + 0.004 * v**2 + 0.002 * u * v)))
    columns = [np.array(column) for column in zip(*rows, strict=True)]
    ids = tuple(f"r{place:04d}" for place in range(len(rows)))
    return BatchTable(ids, ("",) * len(rows), *columns)


def test_a_planted_optimum_is_found_with_its_surface() -> None:
    cell = analyse_lr_batch(make_table([(1e8, 1e10)]), QUICK).variants[0].cells[0]
    assert cell.lr is not None
    assert cell.batch is not None
    assert (cell.lr.value, cell.batch.value) == pytest.approx((1e-3, 65536), rel=1e-6)
    assert cell.lr.interval is not None
    assert np.nanmin(cell.surface) == pytest.approx(0.0, abs=5e-4)
    assert np.isfinite(cell.surface).all()  # beyond 2 % the figure is blank, along a smooth line
    assert cell.edges == ()


def test_an_optimum_outside_the_grid_is_censored_and_says_at_which_edge() -> None:
    table = make_table([(1e8, 1e10)], lrs=LRS[:3])
    cell = analyse_lr_batch(table, QUICK).variants[0].cells[0]
    assert cell.lr is None
    assert isinstance(cell.refusal, Refusal)
    assert cell.edges == ("largest learning rate",)


def test_the_law_over_cells_has_the_planted_exponents() -> None:
    cells = [(1e8, 1e10), (2e8, 1e10), (1e8, 2e10), (2e8, 4e10)]
    laws = analyse_lr_batch(make_table(cells), QUICK).variants[0].laws
    fit = laws["step_law_surface"]
    assert isinstance(fit, Fit)
    values = fit.values()
    assert (values["lr_N"], values["bs_D"]) == pytest.approx((-0.5, 0.5), abs=1e-6)


def test_sizes_within_three_percent_are_one_cell() -> None:
    cells = [(1e8, 1e10), (1.01e8, 1.01e10)]
    assert len(analyse_lr_batch(make_table(cells), QUICK).variants[0].cells) == 1


@pytest.mark.parametrize(
    ("batches", "has"),
    [
        (BATCHES[:1], "has 7 learning rates at 1 batch size"),
        (BATCHES[:2], "has 7 learning rates at 2 batch sizes"),
    ],
)
def test_too_few_batch_sizes_are_refused_with_what_there_is(batches: np.ndarray, has: str) -> None:
    refusal = analyse_lr_batch(make_table([(1e8, 1e10)], batches=batches), QUICK).refusal
    assert isinstance(refusal, Refusal)
    assert refusal.sentence.endswith(has)
