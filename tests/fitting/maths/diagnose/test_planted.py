"""Sixty planted curves get the verdict that is written beside them."""

from __future__ import annotations

from pathlib import Path

import pytest

from .planted import Planted, find_label, list_planted, make_confusion_table

PLANTED = list_planted()
DATED = [item for item in PLANTED if item.step is not None]
DOCUMENT = Path(__file__).resolve().parents[4] / "docs/diagnostics.md"


@pytest.mark.parametrize("item", PLANTED, ids=lambda item: item.name)
def test_planted_curve_is_judged_as_planted(item: Planted) -> None:
    verdict = item.judge()[item.diagnostic]
    assert find_label(verdict) == item.label, verdict.sentence


@pytest.mark.parametrize("item", DATED, ids=lambda item: item.name)
def test_trouble_is_dated_within_two_percent_of_the_run(item: Planted) -> None:
    verdict = item.judge()[item.diagnostic]
    cadence = verdict.evidence.cadence or 0
    slack = 2 * cadence + (600 if item.label == "slow_divergence" else 200)
    assert verdict.first_step is not None
    assert abs(verdict.first_step - item.step) <= slack


def test_documented_confusion_table_is_todays() -> None:
    assert make_confusion_table() in DOCUMENT.read_text()
