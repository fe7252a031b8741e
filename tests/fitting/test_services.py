"""Studies are made, changed and deleted; runs join, leave and are left out."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest
from django.db import connection, transaction

from fitting.models import Dirty, FitState, Study
from fitting.services import (
    Refused,
    StudyWish,
    add_runs,
    create_study,
    delete_study,
    edit_study,
    remove_run,
    set_exclusion,
)
from runs.models import Run
from runs.signals import batch_stored, run_created, run_edited, run_ended
from teams.activity import describe_event
from teams.models import AuditEntry, Project
from tests.fitting.factories import make_run, make_study
from tests.teams.factories import make_project, make_user

pytestmark = pytest.mark.django_db


@pytest.fixture
def project() -> Project:
    return make_project()


def announce(run: Run, *studies: str) -> None:
    run_created.send(sender=Run, run=run, studies=list(studies))


def marks_of(study: Study) -> int:
    return Dirty.objects.filter(subject=study.pk, kind="fast").count()


def clear_marks() -> None:
    Dirty.objects.all().delete()


def members_of(study: Study) -> set[str]:
    return set(study.runs.values_list("uid", flat=True))


def test_a_new_study_has_its_leases_and_is_dirty(project: Project) -> None:
    study = make_study(project)
    assert set(FitState.objects.values_list("kind", flat=True)) == {"fast", "deep"}
    assert marks_of(study) == 1


def test_the_name_defaults_to_the_slug(project: Project) -> None:
    assert make_study(project, "lr-sweep").name == "lr-sweep"


def test_a_taken_slug_is_refused(project: Project) -> None:
    make_study(project, "one")
    with pytest.raises(Refused) as refusal:
        make_study(project, "one")
    assert (refusal.value.code, refusal.value.field) == ("slug_taken", "/slug")


def test_a_deleted_study_frees_its_slug(project: Project) -> None:
    delete_study(make_study(project, "one"))
    assert make_study(project, "one").slug == "one"


def test_the_longest_slug_can_be_deleted(project: Project) -> None:
    study = make_study(project, "a" * 64)
    delete_study(study)
    study.refresh_from_db()
    assert len(study.slug) == 64


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"selection": {"kind": "magic"}}, "/selection"),
        ({"selection": {"kind": "group"}}, "/selection"),
        ({"selection": {"kind": "all", "group": "a"}}, "/selection"),
        ({"selection": ["all"]}, "/selection"),
        ({"mapping": {"q": "width"}}, "/mapping"),
        ({"mapping": {"n": "waist"}}, "/mapping/n"),
        ({"mapping": {"n": "config."}}, "/mapping/n"),
        ({"variant_keys": ["k"] * 17}, "/variant_keys"),
        ({"tail_fraction": 0.0}, "/tail_fraction"),
        ({"tail_fraction": 1.5}, "/tail_fraction"),
        ({"estimator": "mode"}, "/estimator"),
    ],
)
def test_what_cannot_be_read_is_refused(
    project: Project, changes: dict[str, object], field: str
) -> None:
    with pytest.raises(Refused) as refusal:
        edit_study(make_study(project), changes)
    assert refusal.value.field == field


def test_an_edit_counts_up_marks_and_revives(project: Project) -> None:
    study = make_study(project)
    FitState.objects.update(failures=3, last_error="x")
    clear_marks()
    edit_study(study, {"estimator": "best"})
    study.refresh_from_db()
    state = FitState.objects.get(subject=study.pk, kind="fast")
    assert (study.rev, marks_of(study), state.failures, state.not_before) == (1, 1, 0, None)


def test_init_creates_the_study_that_it_names(project: Project) -> None:
    run = make_run(project)
    announce(run, "lr-sweep", "other")
    assert {study.slug for study in run.studies.all()} == {"lr-sweep", "other"}


def test_init_joins_the_study_that_exists(project: Project) -> None:
    study = make_study(project, "lr-sweep")
    announce(make_run(project), "lr-sweep")
    announce(make_run(project), "lr-sweep")
    assert study.runs.count() == 2


def test_init_refuses_an_impossible_name(project: Project) -> None:
    with pytest.raises(Refused) as refusal:
        announce(make_run(project), "no spaces please")
    assert refusal.value.field == "/study"


def test_a_run_joins_the_studies_that_select_all(project: Project) -> None:
    study = make_study(project, selection={"kind": "all"})
    run = make_run(project)
    announce(run)
    assert members_of(study) == {run.uid}


def test_a_run_joins_the_studies_of_its_group_only(project: Project) -> None:
    study = make_study(project, selection={"kind": "group", "group": "A1"})
    announce(make_run(project, uid="in", group="A1"))
    announce(make_run(project, uid="out", group="A2"))
    assert members_of(study) == {"in"}


def test_runs_of_another_project_never_join(project: Project) -> None:
    study = make_study(project, selection={"kind": "all"})
    announce(make_run(make_project()))
    assert members_of(study) == set()


def test_a_selection_takes_the_runs_that_exist(project: Project) -> None:
    make_run(project, uid="early", group="A1")
    assert members_of(make_study(project, selection={"kind": "group", "group": "A1"})) == {"early"}


def test_a_run_that_changes_its_group_moves(project: Project) -> None:
    old = make_study(project, selection={"kind": "group", "group": "A1"})
    new = make_study(project, selection={"kind": "group", "group": "A2"})
    run = make_run(project, group="A1")
    announce(run)
    clear_marks()
    run.group = "A2"
    run.save(update_fields=["group"])
    run_edited.send(sender=Run, run=run, studies=[])
    assert (members_of(old), members_of(new)) == (set(), {run.uid})
    assert (marks_of(old), marks_of(new)) == (1, 1)


def test_a_run_added_by_name_stays_whatever_the_selection_says(project: Project) -> None:
    study = make_study(project, "by-group", selection={"kind": "group", "group": "A1"})
    run = make_run(project, group="A2")
    announce(run, "by-group")
    run_edited.send(sender=Run, run=run, studies=[])
    assert members_of(study) == {run.uid}


def test_a_changed_selection_moves_its_runs(project: Project) -> None:
    make_run(project, uid="one", group="A1")
    make_run(project, uid="two", group="A2")
    study = make_study(project, selection={"kind": "group", "group": "A1"})
    edit_study(study, {"selection": {"kind": "group", "group": "A2"}})
    assert members_of(study) == {"two"}


def test_adding_a_run_twice_adds_it_once(project: Project) -> None:
    study, run = make_study(project), make_run(project)
    assert (add_runs(study, [run]), add_runs(study, [run])) == (1, 0)


def test_a_selected_run_cannot_be_removed_by_hand(project: Project) -> None:
    run = make_run(project)
    study = make_study(project, selection={"kind": "all"})
    with pytest.raises(Refused) as refusal:
        remove_run(study, run)
    assert refusal.value.code == "selected"


def test_a_listed_run_can_be_removed(project: Project) -> None:
    study, run = make_study(project), make_run(project)
    add_runs(study, [run])
    clear_marks()
    assert remove_run(study, run)
    assert (members_of(study), marks_of(study)) == (set(), 1)


def test_an_exclusion_keeps_who_and_why(project: Project) -> None:
    study, user = make_study(project), make_user("ann")
    add_runs(study, [make_run(project)])
    clear_marks()
    member = study.study_runs.get()
    set_exclusion(member, user, True, "a loose cable")
    member.refresh_from_db()
    assert (member.excluded_by, member.exclusion_reason) == (user, "a loose cable")
    assert marks_of(study) == 1


def test_the_feed_tells_of_an_exclusion_with_its_reason_and_leads_to_it(project: Project) -> None:
    study, run = make_study(project), make_run(project, name="big one")
    add_runs(study, [run])
    set_exclusion(study.study_runs.get(), None, True, "a loose cable")
    told = describe_event(AuditEntry.objects.get(action="run.excluded"))
    sentence = f"excluded the run big one from {study.name} (id {run.uid}, reason a loose cable)"
    assert (told["text"], told["url"]) == (sentence, f"/p/{project.slug}/s/{study.slug}?tab=runs")


def test_an_inclusion_forgets_the_reason(project: Project) -> None:
    study = make_study(project)
    add_runs(study, [make_run(project)])
    member = study.study_runs.get()
    set_exclusion(member, None, True, "x")
    set_exclusion(member, None, False)
    assert (member.excluded, member.exclusion_reason, member.excluded_at) == (False, "", None)


@pytest.fixture
def run(project: Project) -> Run:
    run = make_run(project)
    announce(run, "recognised")
    create_study(project, None, StudyWish("declared", loss_metric="bleu"))
    announce(run, "declared")
    clear_marks()
    return run


def marked_by(run: Run, *metrics: str) -> set[str]:
    batch_stored.send(sender=Run, run_id=run.pk, metrics=list(metrics))
    subjects = Dirty.objects.values_list("subject", flat=True)
    return set(Study.objects.filter(pk__in=subjects).values_list("slug", flat=True))


def test_a_recognised_loss_marks_every_study_of_the_run(run: Run) -> None:
    assert marked_by(run, "optim.lr", "val/loss") == {"recognised", "declared"}


def test_a_declared_metric_marks_its_study_only(run: Run) -> None:
    assert marked_by(run, "bleu") == {"declared"}


def test_a_metric_that_nobody_reads_marks_nothing(run: Run) -> None:
    assert marked_by(run, "optim.lr", "throughput") == set()


def test_the_end_of_a_run_marks_every_study_that_holds_it(run: Run) -> None:
    run_ended.send(sender=Run, run=run)
    assert Dirty.objects.filter(kind="fast").count() == 2


def test_marking_a_batch_takes_one_statement(run: Run, django_assert_num_queries: object) -> None:
    with django_assert_num_queries(1):
        batch_stored.send(sender=Run, run_id=run.pk, metrics=["val/loss"])


def run_together(*jobs: Callable[[], None]) -> list[BaseException]:
    """Run jobs in threads that start at once; return what they raised."""
    barrier, errors = threading.Barrier(len(jobs)), []

    def run(job: Callable[[], None]) -> None:
        barrier.wait()
        try:
            job()
        except BaseException as error:
            errors.append(error)
        finally:
            connection.close()

    threads = [threading.Thread(target=run, args=(job,)) for job in jobs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return errors


@pytest.mark.django_db(transaction=True)
def test_runs_that_name_a_new_study_at_once_share_it() -> None:
    project = make_project()

    def create_run() -> None:
        with transaction.atomic():
            announce(make_run(project), "b-study", "a-study")

    assert run_together(*[create_run] * 6) == []
    studies = Study.objects.filter(project=project)
    assert sorted((study.slug, study.runs.count()) for study in studies) == [
        ("a-study", 6),
        ("b-study", 6),
    ]


@pytest.mark.django_db(transaction=True)
def test_no_run_is_missed_while_a_selecting_study_is_made() -> None:
    project = make_project()

    def create_runs() -> None:
        for _ in range(10):
            with transaction.atomic():
                announce(make_run(project))

    def create_selecting_study() -> None:
        make_study(project, selection={"kind": "all"})

    assert run_together(create_runs, create_runs, create_selecting_study, create_runs) == []
    assert Study.objects.get(project=project).runs.count() == 30
