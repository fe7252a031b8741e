"""The grid as data: counts, ids, sizes and costs that the study relies on."""

from __future__ import annotations

import math

import pytest

from demo.grid import (
    BATCH_TOKENS,
    PARTS,
    Cell,
    list_cells,
    list_studies,
    make_held_out_budget,
    make_isoflop,
)
from demo.shape import Shape

EVERY_CELL = list_cells([*PARTS])
TRAIN_BYTES = 22_800_000
FLOPS = {
    8: 44_544,
    16: 116_736,
    24: 216_576,
    32: 344_064,
    48: 681_984,
    64: 1_130_496,
    96: 2_359_296,
    128: 4_030_464,
}


@pytest.mark.parametrize(("width", "flops"), FLOPS.items())
def test_flops_per_token_match_the_formula(width: int, flops: int) -> None:
    # 6 (36 d^2 + 256 d) + 12 L T d with L = 3 and T = 64
    assert Shape(width).flops_per_token == flops


@pytest.mark.parametrize(
    ("width", "n_params"), [(16, 9_328), (32, 37_088), (64, 147_904), (128, 590_720)]
)
def test_parameters_without_embedding_match_the_formula(width: int, n_params: int) -> None:
    shape = Shape(width)
    assert shape.n_params_non_embedding == n_params
    assert shape.n_params == n_params + 512 * width


def test_qk_norm_adds_two_gains_a_layer() -> None:
    added = Shape(64, qk_norm=True).n_params - Shape(64).n_params
    assert added == 2 * 3 * 16


@pytest.mark.parametrize(
    ("part", "n_runs"),
    [("A1", 140), ("A2", 84), ("A3", 12), ("B", 49), ("B2", 4), ("C", 58), ("D", 4)],
)
def test_parts_have_the_planned_number_of_runs(part: str, n_runs: int) -> None:
    assert len(PARTS[part]()) == n_runs


def test_every_run_has_an_id_and_a_name_of_its_own() -> None:
    assert len({cell.uid for cell in EVERY_CELL}) == len(EVERY_CELL)
    assert len({cell.name for cell in EVERY_CELL}) == len(EVERY_CELL)


def test_ids_never_change() -> None:
    assert Cell("smoke", 16, 1e-2, 20).uid == "1dff968b7d6751ed8c1e94a9fc06a413"


@pytest.mark.parametrize(
    "cell", make_isoflop() + make_held_out_budget(), ids=lambda cell: cell.name
)
def test_isoflop_runs_spend_their_budget(cell: Cell) -> None:
    spent = cell.steps * BATCH_TOKENS * cell.shape.flops_per_token
    assert spent == pytest.approx(cell.budget, rel=0.5 / cell.steps)


def test_held_out_budget_has_the_planned_lengths() -> None:
    steps = {cell.width: cell.steps for cell in make_held_out_budget()}
    assert steps == {48: 14_319, 64: 8_638, 96: 4_139, 128: 2_423}


def test_no_run_on_bytes_sees_more_than_one_epoch() -> None:
    longest = max(cell.steps for cell in EVERY_CELL if cell.vocab == 256)
    assert longest * BATCH_TOKENS < TRAIN_BYTES


def test_shards_share_out_every_cell_once() -> None:
    shards = [EVERY_CELL[index::3] for index in range(3)]
    assert sorted(c.uid for shard in shards for c in shard) == sorted(c.uid for c in EVERY_CELL)


def test_sweep_with_qk_norm_is_the_baseline_of_the_interventions() -> None:
    members = [c for c in EVERY_CELL if c.part == "A1" and "interventions" in list_studies(c)]
    assert len(members) == 70
    assert all(cell.qk_norm for cell in members)


@pytest.mark.parametrize(
    ("share", "warmup"), [(0.1, 60), (0.03, 18), (0.0, 0)], ids=["ten percent", "three", "none"]
)
def test_schedule_warms_up_then_falls_towards_zero(share: float, warmup: int) -> None:
    recipe = Cell("C", 64, 1e-2, 600, warmup_share=share).recipe
    assert recipe.warmup_steps == warmup
    assert recipe.schedule(warmup + 1) == 1.0
    assert recipe.schedule(600) == pytest.approx(0.0, abs=1e-4)
    assert math.isclose(recipe.lr(warmup + 1), 1e-2)
