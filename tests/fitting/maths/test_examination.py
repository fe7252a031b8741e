"""One call that says what an answer depends on."""

from __future__ import annotations

import json

import numpy as np
import pytest

from fitting.maths.examination import Examination, examine_fit
from fitting.maths.registry import get_law
from fitting.maths.trust import Influence, Profile, leave_one_out, profile_parameter
from fitting.maths.types import Refusal, Rows, Settings
from tests.fitting.maths.reference import read_chinchilla
from tests.fitting.maths.synthetic import fit_rows, make_rows

SLUG = "chinchilla_parametric"
LAW = get_law(SLUG)
POINT = Settings(replicas=0)


def examine(rows: Rows, slug: str = SLUG, focus: str = "") -> Examination:
    found = examine_fit(get_law(slug), rows, POINT, focus)
    assert isinstance(found, Examination), found
    return found


def test_published_rows_are_shown_to_hang_on_five_of_them_and_on_delta() -> None:
    found = examine(read_chinchilla(with_all=True), focus="beta")
    assert "0.453 (all rows), 0.3672 (without the 5 highest losses (5 rows))" in found.sentences[3]
    assert "0.5962 (delta = 0.1)" in found.sentences[2]
    assert isinstance(found.constant, Profile)
    assert found.constant.interval.low < 1.8913 < found.constant.interval.high


def test_sentences_follow_an_exponent_unless_told() -> None:
    rows = make_rows(SLUG, 0.002)
    assert examine(rows).focus == "beta"
    assert examine(rows, focus="E").focus == "E"


def test_each_part_has_its_sentence() -> None:
    sentences = examine(make_rows(SLUG, 0.002)).sentences
    starts = ("3 withheld rows", "no single run moves beta", "beta is", "beta is", "the rows allow")
    assert len(sentences) == len(starts)
    assert all(a.startswith(b) for a, b in zip(sentences, starts, strict=True))


def test_other_parameters_move_with_the_irreducible_loss() -> None:
    rows = make_rows("power_law_constant", 0.01)
    values = np.linspace(1.5, 1.75, 26)
    found = profile_parameter(get_law("power_law_constant"), rows, "L_inf", values, POINT)
    assert isinstance(found, Profile)
    assert found.params["L_inf"] == pytest.approx(values, rel=1e-9)
    assert np.all(np.diff(found.params["a"]) > 0)
    low, high = found.read_range("a")
    assert low < fit_rows("power_law_constant", rows, POINT).values()["a"] < high


def test_rows_that_cannot_be_used_do_not_enter_influence_or_profile() -> None:
    rows = make_rows(SLUG, 0.002)
    columns = {role: np.append(values, values[:1]) for role, values in rows.columns.items()}
    more = Rows(columns, np.append(rows.target, np.nan), (*rows.ids, "diverged"))
    found, expected = leave_one_out(LAW, more), leave_one_out(LAW, rows)
    assert isinstance(found, Influence)
    assert isinstance(expected, Influence)
    assert found.ids == rows.ids
    assert found.params["beta"] == pytest.approx(expected.params["beta"], rel=1e-12)
    grid = np.linspace(1.68, 1.72, 9)
    profile = profile_parameter(LAW, more, "E", grid, POINT)
    assert isinstance(profile, Profile)
    assert np.all(np.isfinite(profile.objective))


def test_checkpoints_of_one_run_are_left_out_together() -> None:
    rows = make_rows(SLUG, 0.002)
    clusters = tuple(f"run{place // 8}" for place in range(rows.n))
    found = leave_one_out(LAW, Rows(rows.columns, rows.target, rows.ids, (), clusters))
    assert isinstance(found, Influence)
    assert found.ids == tuple(f"run{place}" for place in range(7))
    without = fit_rows(SLUG, rows.take(np.arange(8, rows.n)), POINT).values()
    assert found.params["beta"][0] == pytest.approx(without["beta"], rel=1e-6)


def test_law_without_delta_or_constant_is_examined_for_the_rest() -> None:
    rows = make_rows("kaplan", 0.002).take(np.arange(0, 81, 3))
    found = examine(rows, "kaplan")
    assert found.deltas is None
    assert isinstance(found.constant, Refusal)
    assert any("no single run moves alpha_D" in sentence for sentence in found.sentences)


def test_rows_without_a_fit_give_their_refusal() -> None:
    refusal = examine_fit(LAW, make_rows(SLUG).take(np.arange(3)), POINT)
    assert isinstance(refusal, Refusal)
    assert refusal.code == "too_few_points"


def test_examination_is_plain_data() -> None:
    json.dumps(examine(make_rows(SLUG, 0.002)).to_dict())
