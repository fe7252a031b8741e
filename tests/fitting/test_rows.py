"""How the runs of a study are read: axes, variants, loss, divergence."""

from __future__ import annotations

import math

import pytest

from fitting.contexts import describe_definition
from fitting.models import Study
from fitting.queries import view_study
from fitting.rows import StudyRow, StudyRows, read_rows
from fitting.services import add_runs, edit_study, set_exclusion
from runs.models import Outcome, Run, RunState
from tests.fitting.factories import log_loss, make_run, make_study

pytestmark = pytest.mark.django_db


@pytest.fixture
def study() -> Study:
    return make_study()


def join(study: Study, *runs: Run) -> StudyRows:
    add_runs(study, runs)
    return read_rows(study)


def only(rows: StudyRows) -> StudyRow:
    (row,) = rows.rows
    return row


def test_a_run_is_read_by_its_scale_facts(study: Study) -> None:
    row = only(join(study, make_run(study.project, 2.5, n_tokens=1e6, flops=1e12)))
    assert (row.n, row.lr, row.d, row.c, row.loss, row.seed) == (9000, 1e-2, 1e6, 1e12, 2.5, 0)


def test_all_parameters_are_read_where_most_runs_have_no_others(study: Study) -> None:
    runs = [make_run(study.project, n_params=5e4, n_params_non_embedding=None) for _ in range(2)]
    assert join(study, *runs).sources["n"] == "n_params"


def test_parameters_without_embedding_win_a_tie(study: Study) -> None:
    rows = join(study, make_run(study.project, n_params=5e4))
    assert rows.sources["n"] == "n_params_non_embedding"


def test_a_mapping_chooses_another_fact(study: Study) -> None:
    edit_study(study, {"mapping": {"n": "width"}})
    study.refresh_from_db()
    assert only(join(study, make_run(study.project, width=64))).n == 64


@pytest.mark.parametrize("value", [512, "512", "0.512k", 512.0])
def test_a_mapping_reads_a_config_key(study: Study, value: object) -> None:
    edit_study(study, {"mapping": {"n": "config.model.D-Model"}})
    study.refresh_from_db()
    config = {"model": {"d_model": value}}
    assert only(join(study, make_run(study.project, config=config))).n == 512


def test_a_config_key_that_is_ambiguous_is_not_guessed(study: Study) -> None:
    edit_study(study, {"mapping": {"n": "config.width"}})
    study.refresh_from_db()
    config = {"encoder": {"width": 1}, "decoder": {"width": 2}}
    assert math.isnan(only(join(study, make_run(study.project, config=config))).n)


@pytest.mark.parametrize("value", [None, True, "wide", [1], {"a": 1}])
def test_what_is_no_number_is_no_axis(study: Study, value: object) -> None:
    edit_study(study, {"mapping": {"lr": "config.rate"}})
    study.refresh_from_db()
    row = only(join(study, make_run(study.project, config={"rate": value})))
    assert math.isnan(row.lr)
    assert not row.takes_part


def test_the_validation_loss_is_read_before_the_training_loss(study: Study) -> None:
    run = make_run(study.project, 2.0, metric="train/loss")
    log_loss(run, 2.3, "val/loss")
    rows = join(study, run)
    assert (rows.loss_metric, only(rows).loss_metric, only(rows).loss) == (
        "loss.val",
        "val/loss",
        2.3,
    )


def test_the_training_loss_is_read_while_few_runs_have_another(study: Study) -> None:
    runs = [make_run(study.project, 2.0, metric="train/loss") for _ in range(3)]
    log_loss(runs[0], 2.3, "val/loss")
    rows = join(study, *runs)
    assert {row.loss for row in rows.rows} == {2.0}
    assert (rows.loss_metric, rows.logged_loss) == ("loss.train", "train/loss")
    (loss,) = [row for row in describe_definition(view_study(study)) if row["label"] == "Loss"]
    assert (loss["value"], loss["title"]) == ("train/loss", "Read as loss.train")


def test_a_declared_metric_is_read(study: Study) -> None:
    edit_study(study, {"loss_metric": "bleu"})
    study.refresh_from_db()
    assert only(join(study, make_run(study.project, 0.5, metric="bleu"))).loss == 0.5


def test_the_best_value_is_read_where_the_study_says_so(study: Study) -> None:
    edit_study(study, {"estimator": "best"})
    study.refresh_from_db()
    run = make_run(study.project, 2.5)
    run.summary["loss.val"]["min"] = 2.1
    run.save(update_fields=["summary"])
    assert only(join(study, run)).loss == 2.1


@pytest.mark.parametrize("loss", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("state", ["finished", "failed", "running"])
def test_a_loss_that_is_not_finite_is_a_divergence(study: Study, loss: float, state: str) -> None:
    row = only(join(study, make_run(study.project, loss, state=state)))
    assert (row.diverged, row.takes_part) == (True, True)


def test_a_training_loss_that_is_not_finite_is_one_too(study: Study) -> None:
    run = log_loss(make_run(study.project, 2.3, state=RunState.FAILED), math.nan, "train/loss")
    row = only(join(study, run))
    assert (row.loss, row.diverged) == (2.3, True)


def test_an_end_above_the_initial_loss_is_a_divergence(study: Study) -> None:
    assert only(join(study, make_run(study.project, 5.9))).diverged


def test_a_loss_beyond_all_measure_is_read_as_infinite(study: Study) -> None:
    row = only(join(study, make_run(study.project, 1e300, loss_at_init=None)))
    assert (row.loss, row.diverged) == (math.inf, True)


def test_a_loss_that_is_no_number_stays_none(study: Study) -> None:
    assert math.isnan(only(join(study, make_run(study.project, math.nan))).loss)


@pytest.mark.parametrize("lr", [0.0, -0.1, 1e-300, 1e300])
def test_a_learning_rate_beyond_all_measure_is_no_axis(study: Study, lr: float) -> None:
    assert not only(join(study, make_run(study.project, peak_lr=lr))).has_axes


def test_the_verdict_of_the_server_counts(study: Study) -> None:
    run = make_run(study.project, 4.0, outcome=Outcome.DIVERGED, state=RunState.CRASHED)
    assert only(join(study, run)).takes_part


@pytest.mark.parametrize("state", ["running", "failed", "crashed", "interrupted"])
def test_a_run_that_did_not_finish_takes_no_part(study: Study, state: str) -> None:
    row = only(join(study, make_run(study.project, 3.0, state=state)))
    assert (row.takes_part, row.has_axes) == (False, True)


def test_an_excluded_run_takes_no_part(study: Study) -> None:
    join(study, make_run(study.project))
    set_exclusion(study.study_runs.get(), None, True, "a bad batch")
    rows = read_rows(study)
    assert (only(rows).remark, rows.included) == ("left out: a bad batch", [])


def variants_of(study: Study, *configs: dict[str, object], **fields: object) -> list[str]:
    runs = [make_run(study.project, config=config, **fields) for config in configs]
    return [row.variant for row in join(study, *runs).rows]


def test_a_switch_that_differs_within_a_size_splits_the_runs(study: Study) -> None:
    found = variants_of(study, {"qk_norm": "ln"}, {"model": {"qk_norm": "none"}}, {})
    assert found == ["qk_norm=ln", "qk_norm=none", "qk_norm=not set"]


def test_a_switch_that_adds_a_few_parameters_splits_the_runs(study: Study) -> None:
    bare = make_run(study.project, n_params_non_embedding=9_328, config={"qk_norm": "none"})
    gained = make_run(study.project, n_params_non_embedding=9_424, config={"qk_norm": "ln"})
    found = [row.variant for row in join(study, bare, gained).rows]
    assert found == ["qk_norm=none", "qk_norm=ln"]


def test_a_switch_that_comes_with_another_size_splits_nothing(study: Study) -> None:
    small = make_run(study.project, n_params_non_embedding=9_328, config={"qk_norm": "none"})
    large = make_run(study.project, n_params_non_embedding=37_088, config={"qk_norm": "ln"})
    assert {row.variant for row in join(study, small, large).rows} == {""}


def test_a_knob_that_follows_the_learning_rate_splits_nothing(study: Study) -> None:
    low = make_run(study.project, peak_lr=1e-3, config={"weight_decay": 1e-4})
    high = make_run(study.project, peak_lr=1e-2, config={"weight_decay": 1e-3})
    assert {row.variant for row in join(study, low, high).rows} == {""}


def test_a_knob_that_would_mix_runs_splits_them(study: Study) -> None:
    found = variants_of(study, {"weight_decay": 0.1}, {"weight_decay": 0})
    assert found == ["weight_decay=0.1", "weight_decay=0"]


def test_chosen_keys_replace_the_guess(study: Study) -> None:
    edit_study(study, {"variant_keys": ["data"]})
    study.refresh_from_db()
    found = variants_of(study, {"qk_norm": True, "data": "a"}, {"qk_norm": False, "data": "b"})
    assert found == ["data=a", "data=b"]


def test_no_keys_chosen_means_no_variants(study: Study) -> None:
    edit_study(study, {"variant_keys": []})
    study.refresh_from_db()
    assert set(variants_of(study, {"qk_norm": True}, {"qk_norm": False})) == {""}


def test_runs_of_different_length_are_not_silently_repeats(study: Study) -> None:
    rows = join(study, make_run(study.project), make_run(study.project, last_step=200))
    (warning,) = rows.warnings
    assert "200 to 600 steps" in warning


def test_runs_that_differ_in_a_setting_are_not_silently_repeats(study: Study) -> None:
    runs = [
        make_run(study.project, 3.0, peak_lr=lr, config={"recipe": recipe, "data_seed": seed})
        for lr in (1e-3, 1e-2)
        for recipe, seed in (("plain", 1), ("packed", 2))
    ]
    (warning,) = join(study, *runs).warnings
    assert warning.startswith("2 points average runs that differ in recipe as repeats")


def test_how_often_a_run_was_looked_at_makes_it_no_other_run(study: Study) -> None:
    runs = [
        make_run(
            study.project, 3.0, peak_lr=lr, config={"train": {"log_every": every, "part": every}}
        )
        for lr in (1e-3, 1e-2)
        for every in (10, 20)
    ]
    assert join(study, *runs).warnings == ()


def test_reading_takes_two_queries_whatever_the_number_of_runs(
    study: Study, django_assert_num_queries: object
) -> None:
    add_runs(study, [make_run(study.project) for _ in range(20)])
    with django_assert_num_queries(2):
        read_rows(study)


def test_deleted_runs_are_gone(study: Study) -> None:
    run = make_run(study.project)
    join(study, run)
    run.deleted_at = run.created_at
    run.save(update_fields=["deleted_at"])
    assert read_rows(study).rows == ()
