"""What counts as reproduced, and the spread of seeds that the demo's texts speak of."""

from __future__ import annotations

import pytest

from demo.forecasts import list_beyond_wishes
from demo.frozen import FORECASTS
from demo.grid import HELD_OUT_WIDTHS
from demo.load import read_runs
from demo.reproduce import WIDE, find_cell, judge, measure_spread
from demo.studies import RESOLVED_NATS, STUDIES, UNRESOLVED_NATS


def test_a_loss_within_the_spread_of_seeds_is_reproduced() -> None:
    assert judge("run", 2.01, 2.0, 0.01) == (
        True,
        "run: 2.01000 here, 2.00000 committed, difference +0.01000, "
        "within the spread of seeds (0.028)",
    )
    assert not judge("run", 2.03, 2.0, 0.01)[0]


def test_a_name_that_is_no_run_is_said() -> None:
    with pytest.raises(SystemExit, match="No run of the grid is called 'A1-d7'"):
        find_cell("A1-d7")


def test_spread_is_pooled_over_the_cells_with_several_seeds() -> None:
    def make_run(width: int, loss: float, group: str = "A1") -> dict[str, object]:
        config = {"width": width, "peak_lr": 0.01, "qk_norm": "ln"}
        return {"group": group, "config": config, "metrics": {"loss.val": {"values": [9.0, loss]}}}

    runs = [make_run(16, 1.0), make_run(16, 3.0), make_run(32, 5.0), make_run(16, 99.0, "C")]
    assert measure_spread(runs) == pytest.approx(2**0.5)


def test_the_studies_call_unresolved_what_the_seeds_do_not_resolve() -> None:
    calm = [run for run in read_runs() if run["config"]["qk_norm"] == "ln"]
    spread = measure_spread(calm)
    assert UNRESOLVED_NATS / WIDE < spread < RESOLVED_NATS / WIDE
    assert all(f"{UNRESOLVED_NATS:g} nats" in str(study["description"]) for study in STUDIES)


def test_the_card_holds_every_forecast_that_waits_for_the_budget_beyond() -> None:
    assert [item.width for item in FORECASTS if item.width] == list(HELD_OUT_WIDTHS)
    assert len(FORECASTS) == len(list_beyond_wishes())
