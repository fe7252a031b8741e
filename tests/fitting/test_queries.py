"""What a study says of itself: current fit, progress, coverage, revision."""

from __future__ import annotations

import pytest
from django.db import connection
from django.utils import timezone

from fitting import outbox
from fitting.models import Dirty, Fit, FitKind, FitState, Study
from fitting.queries import (
    ANALYSES,
    build_coverage,
    find_current_fit,
    find_study,
    list_studies,
    read_progress,
    read_revision,
    view_study,
)
from fitting.services import add_runs
from teams.principals import Principal
from tests.fitting.factories import log_loss, make_run, make_study, make_sweep, settle
from tests.teams.factories import get_user, make_project

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def study() -> Study:
    study = make_study()
    make_sweep(study)
    return study


def make_fit(study: Study, kind: FitKind, digest: str, data_at: object) -> Fit:
    return Fit.objects.create(
        study=study,
        analysis="lr_sweep",
        kind=kind,
        token=Fit.objects.count(),
        input_digest=digest,
        n_runs=1,
        n_points=1,
        data_at=data_at,
        duration_seconds=0.1,
        result={},
    )


def test_no_fit_is_none(study: Study) -> None:
    assert find_current_fit(study) is None


def test_a_deep_fit_of_the_same_data_is_shown(study: Study) -> None:
    now = timezone.now()
    deep = make_fit(study, FitKind.DEEP, "a", now)
    make_fit(study, FitKind.FAST, "a", now + timezone.timedelta(seconds=9))
    assert find_current_fit(study) == deep


def test_a_deep_fit_of_older_data_is_not_shown(study: Study) -> None:
    now = timezone.now()
    fast = make_fit(study, FitKind.FAST, "b", now)
    make_fit(study, FitKind.DEEP, "a", now - timezone.timedelta(seconds=9))
    assert find_current_fit(study) == fast


def test_progress_begins_stale(study: Study) -> None:
    progress = read_progress(study, None)
    assert (progress.state, progress.done, progress.of) == ("stale", 0, len(ANALYSES))


def test_progress_says_that_a_fit_runs(study: Study) -> None:
    outbox.claim([FitKind.FAST], project_share=1)
    assert read_progress(study, None).sentence == "Fitting."


def test_progress_ends_ready(study: Study) -> None:
    settle()
    assert read_progress(study, find_current_fit(study)).state == "ready"


def test_a_failing_study_says_why_and_keeps_its_fit(study: Study) -> None:
    settle()
    log_loss(study.runs.first(), 2.0)
    soon = timezone.now() + timezone.timedelta(seconds=30)
    FitState.objects.filter(kind="fast").update(
        failures=3, attempts=3, last_error="ValueError: singular", not_before=soon
    )
    view = view_study(study)
    assert (view.progress.state, view.progress.error) == ("error", "ValueError: singular")
    assert "next try in" in view.progress.sentence
    assert view.fit is not None


def test_a_failing_deep_fit_is_told_beside_the_fast_one_that_holds(study: Study) -> None:
    settle()
    error = "The fit took longer than 20 s and was stopped."
    deep = FitState.objects.filter(subject=study.pk, kind="deep")
    assert deep.update(failures=3, attempts=3, last_error=error) == 1
    progress = read_progress(study, find_current_fit(study))
    assert progress.state == "ready"
    assert progress.sentence.startswith(
        "The fit is of the newest data. The deep fit failed 3 times"
    )
    assert progress.sentence.endswith(error)


def test_a_revision_is_one_query(study: Study, django_assert_num_queries: object) -> None:
    with django_assert_num_queries(1):
        read_revision(study)


def fill_outbox(study: Study) -> None:
    """Let many studies wait, and the planner know it: its choice follows its statistics."""
    subjects = range(study.pk, study.pk + 200)
    Dirty.objects.bulk_create(Dirty(subject=s, kind="fast") for s in subjects for _ in range(20))
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE fitting_dirty")


def explain(statement: str, values: dict[str, object]) -> str:
    with connection.cursor() as cursor:
        cursor.execute("SET enable_seqscan = off")
        cursor.execute("EXPLAIN " + statement, values)
        plan = "\n".join(row[0] for row in cursor.fetchall())
        cursor.execute("RESET enable_seqscan")
    return plan


def test_the_revision_uses_indexes_only(study: Study) -> None:
    settle()
    values = {"study": study.pk, "kinds": list(outbox.STUDY_KINDS)}
    assert "Seq Scan" not in explain(outbox.REVISION, values)


def test_the_claim_uses_indexes_only(study: Study) -> None:
    fill_outbox(study)
    plan = explain(outbox.FIND_WAITING, {"kinds": list(outbox.STUDY_KINDS)})
    assert "dirty_by_subject" in plan


def test_the_list_counts_runs_in_one_query(django_assert_num_queries: object) -> None:
    project = make_project(ann="viewer")
    for _ in range(5):
        add_runs(make_study(project), [make_run(project), make_run(project, state="running")])
    principal = Principal(user_id=get_user("ann").pk)
    with django_assert_num_queries(1):
        studies = list(list_studies(principal, project))
    assert {(study.n_runs, study.n_running) for study in studies} == {(2, 1)}


def test_a_stranger_finds_no_study(study: Study) -> None:
    make_project(eve="admin")
    principal = Principal(user_id=get_user("eve").pk)
    assert find_study(principal, study.project, study.slug) is None


def test_coverage_names_runs_without_axes(study: Study) -> None:
    add_runs(study, [make_run(study.project, uid="lost", peak_lr=None)])
    grid = build_coverage(view_study(study).rows.rows)
    assert grid["without_axes"] == ["lost"]
    assert (len(grid["scales"]), len(grid["lrs"])) == (3, 7)
    assert all(cell["done"] == 1 for row in grid["variants"][0]["cells"] for cell in row)
