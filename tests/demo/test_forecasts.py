"""What the demo forecasts before the runs that score it are loaded."""

from __future__ import annotations

import pytest

from demo.forecasts import (
    LOGIT_LRS,
    Stage,
    list_beyond_wishes,
    list_held_wishes,
    list_logit_wishes,
    plan_stages,
)
from demo.grid import list_cells


@pytest.fixture(scope="module")
def stages() -> list[Stage]:
    """The stages of the whole grid."""
    cells = list_cells(["A1", "A2", "A3", "B", "B2", "C"])
    return plan_stages([{"id": cell.uid, "group": cell.part, "name": cell.name} for cell in cells])


def test_every_run_is_loaded_in_one_stage(stages: list[Stage]) -> None:
    loaded = [run["id"] for stage in stages for run in stage.runs]
    assert sorted(loaded) == sorted(c.uid for c in list_cells(["A1", "A2", "A3", "B", "B2", "C"]))


def test_largest_budget_and_width_wait_for_the_first_forecasts(stages: list[Stage]) -> None:
    early = [run["name"] for run in stages[0].runs if run["group"] in ("A1", "B")]
    assert not [name for name in early if "d128" in name or "C3e12" in name]
    held = {run["id"]: run["name"] for run in stages[1].runs}
    assert all("d128" in held[uid] or "C3e12" in held[uid] for uid in stages[1].scoring)
    assert len(list_held_wishes()) == 8


def test_attention_logits_are_forecast_from_the_smaller_widths_alone() -> None:
    wishes = [wish for wish in list_held_wishes() if wish.target["quantity"] == "max_logit"]
    assert [wish.target["lr"] for wish in wishes] == ["0.01", "0.03", "0.1"]
    read = {cell.uid: cell for cell in list_cells(["A1", "A3"])}
    widths = {read[uid].width for wish in wishes for uid in wish.diagnosed}
    assert widths == {16, 32, 48, 64, 96}


def test_the_budget_beyond_comes_after_all_others(stages: list[Stage]) -> None:
    assert {run["group"] for run in stages[2].runs} == {"B2"}
    assert len(stages[2].scoring) == len(stages[2].runs) == 4


def test_the_budget_beyond_is_forecast_by_both_approaches_and_at_every_size() -> None:
    targets = [wish.target for wish in list_beyond_wishes()]
    sizes = [target["approach"] for target in targets if target["quantity"] == "optimal_size"]
    losses = [float(t["n"]) * float(t["d"]) for t in targets if t["quantity"] == "loss"]
    assert sizes == ["isoflop", "chinchilla_parametric"]
    assert len(losses) == 4
    assert all(6 * product < 1e13 for product in losses)  # the head's FLOPs are not in 6ND


def test_nothing_is_frozen_for_runs_that_are_not_at_hand() -> None:
    assert [stage.scoring for stage in plan_stages([])] == [[], [], []]


def test_logit_forecasts_wait_for_the_diagnosis_of_every_run_that_they_read(
    stages: list[Stage],
) -> None:
    cells = {cell.uid: cell for cell in list_cells(["A1", "A3"])}
    early = [cells[run["id"]] for run in stages[0].runs if run["id"] in cells]
    read = {cell.uid for cell in early if not cell.qk_norm and cell.lr in LOGIT_LRS}
    assert {cells[uid].part for uid in read} == {"A1", "A3"}
    for wish in list_logit_wishes():
        assert set(wish.diagnosed) == read
