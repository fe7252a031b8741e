"""Analyses that a study does not make cost no fit, and catch up when they are on again."""

from __future__ import annotations

import pytest

from fitting import analyses, inputs, refit
from fitting.models import Dirty, Fit, FitKind, FitState, Study
from fitting.queries import (
    ANALYSES,
    COMPUTE_OPTIMAL,
    COMPUTE_PARTS,
    LR_SWEEP,
    RL_SIGMOID,
    find_current_fit,
    view_study,
)
from fitting.services import Refused, switch_analysis
from teams import audit
from teams.models import AuditEntry
from tests.fitting.factories import log_loss, make_ladders, make_study, make_sweep, settle
from tests.teams.factories import make_project

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def study() -> Study:
    study = make_study(make_project("alpha"), "sweep")
    make_sweep(study)
    settle()
    return study


def count_fits(study: Study) -> dict[str, int]:
    return {name: Fit.objects.filter(study=study, analysis=name).count() for name in ANALYSES}


def switch(study: Study, analysis: str, is_on: bool = False) -> bool:
    return switch_analysis(study, None, analysis, is_on)


def test_an_analysis_that_is_off_is_neither_read_nor_fitted(
    study: Study, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[str] = []
    load = analyses.Analysis.load

    def watch(self: analyses.Analysis, *args: object) -> object:
        seen.append(self.name)
        return load(self, *args)

    switch(study, LR_SWEEP)
    before = count_fits(study)
    log_loss(study.runs.first(), 1.5)
    monkeypatch.setattr(analyses.Analysis, "load", watch)
    settle()
    after = count_fits(study)
    assert LR_SWEEP not in seen and COMPUTE_OPTIMAL in seen
    assert after[LR_SWEEP] == before[LR_SWEEP]
    assert after[COMPUTE_OPTIMAL] > before[COMPUTE_OPTIMAL]
    assert Dirty.objects.count() == 0


def test_each_part_of_the_compute_optimal_analysis_is_left_out_by_itself() -> None:
    study = make_study()
    make_ladders(study)
    for part in COMPUTE_PARTS:
        switch(study, part)
    settle()
    fit = find_current_fit(study, COMPUTE_OPTIMAL)
    assert fit is not None
    found, members = fit.result["variants"][0], ("isoflop", "parametric", "envelope")
    refused = [found[name]["code"] for name in members]
    assert [*refused, found["overtraining"]["fit"]["code"]] == ["switched_off"] * 4
    assert (found["profiles"], found["surface"], fit.result["ladders"]) == ([], None, [])
    switch(study, "overtraining", is_on=True)
    switch(study, "ladders", is_on=True)
    settle()
    again = find_current_fit(study, COMPUTE_OPTIMAL)
    assert again is not None
    assert sorted(again.result["settings"]["off"]) == [
        "chinchilla_envelope",
        "chinchilla_parametric",
        "isoflop",
    ]
    assert len(again.result["ladders"]) == 2


def test_the_curves_are_not_read_while_the_envelope_is_off(
    study: Study, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(rows: object) -> None:
        raise AssertionError("the curves were read")

    switch(study, "chinchilla_envelope")
    monkeypatch.setattr(inputs, "read_curves", refuse)
    log_loss(study.runs.first(), 1.5)
    settle()
    assert FitState.objects.filter(failures__gt=0).count() == 0


def test_switching_off_makes_no_fit_at_all(study: Study) -> None:
    before = count_fits(study)
    switch(study, RL_SIGMOID)
    settle()
    assert count_fits(study) == before


def test_a_study_with_every_analysis_off_comes_to_rest(study: Study) -> None:
    for name in ANALYSES:
        switch(study, name)
    log_loss(study.runs.first(), 1.5)
    before = count_fits(study)
    settle()
    progress = view_study(study).progress
    assert (count_fits(study), Dirty.objects.count()) == (before, 0)
    assert (progress.state, progress.sentence) == (
        "ready",
        "Every analysis of this study is switched off.",
    )


def test_an_analysis_that_is_on_again_catches_up(study: Study) -> None:
    switch(study, LR_SWEEP)
    run = study.runs.first()
    log_loss(run, 1.5)
    settle()
    assert view_study(study).fit is None
    switch(study, LR_SWEEP, is_on=True)
    settle()
    shown = view_study(study).fit
    assert shown is not None
    assert (shown.result["losses"][run.uid][1], shown.kind) == (1.5, FitKind.DEEP)


def test_a_deep_fit_that_was_missed_while_off_is_made_on_the_same_data() -> None:
    study = make_study()
    make_sweep(study)
    assert refit.run_next(n_workers=1)  # the fast fit alone
    switch(study, LR_SWEEP)
    settle()
    switch(study, LR_SWEEP, is_on=True)
    settle()
    kinds = Fit.objects.filter(study=study, analysis=LR_SWEEP).values_list("kind", flat=True)
    assert sorted(kinds) == ["deep", "fast"]


def test_the_final_losses_read_off_curves_are_known_while_the_sweep_is_off() -> None:
    study = make_study(estimator="tail_mean")
    make_sweep(study)
    switch(study, LR_SWEEP)
    settle()
    assert not any(row.is_provisional for row in view_study(study).rows.rows)


def test_an_unknown_analysis_is_refused(study: Study) -> None:
    with pytest.raises(Refused, match="'lr_swep' is no analysis; there are lr_sweep, "):
        switch(study, "lr_swep")


def test_switching_twice_changes_nothing_and_each_change_is_told_once(study: Study) -> None:
    told = [switch(study, LR_SWEEP, on) for on in (True, False, False, True)]
    entries = AuditEntry.objects.filter(action__startswith="analysis.").order_by("pk")
    assert told == [False, True, False, True]
    assert [audit.describe_action(entry) for entry in entries] == [
        "switched LR sweep off in sweep",
        "switched LR sweep on in sweep",
    ]
