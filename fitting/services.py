"""Writes of the fitting app: studies, their runs, exclusions. Every one marks the study dirty."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from django.db import IntegrityError, transaction
from django.db.models import F, Q, QuerySet
from django.urls import reverse
from django.utils import timezone

from fitting import outbox
from fitting.axes import AXES, CONFIG_PREFIX, SCALE_FACTS
from fitting.forecasting import Prediction, Target, predict
from fitting.hints import hints
from fitting.models import (
    COMPARED_WITH,
    Estimator,
    FitKind,
    Forecast,
    Quantity,
    Study,
    StudyRun,
    SwitchedOff,
)
from fitting.queries import SWITCHABLE, TITLES, StudyView
from runs.models import NAME_LENGTH, Run
from teams import audit
from teams import services as teams
from teams.models import SLUG_LENGTH, Project, User

SLUG = re.compile(r"[-a-zA-Z0-9_]{1,64}")
SELECTION_KINDS = ("list", "all", "group")
MAX_VARIANT_KEYS = 16
EDITABLE = (
    "name",
    "description",
    "selection",
    "mapping",
    "variant_keys",
    "compared_with",
    "loss_metric",
    "estimator",
    "tail_fraction",
)


class Refused(teams.Refused):
    """A change that a rule forbids; `field` is the JSON pointer of the value."""

    def __init__(self, code: str, message: str, field: str) -> None:
        super().__init__(code, message)
        self.field = field


@dataclass(frozen=True)
class StudyWish:
    """A study as somebody asks for it; None in `variant_keys` lets the server find them."""

    slug: str
    name: str = ""
    description: str = ""
    selection: Mapping[str, str] = field(default_factory=lambda: {"kind": "list"})
    mapping: Mapping[str, str] = field(default_factory=dict)
    variant_keys: Iterable[str] | None = None
    compared_with: str = ""
    loss_metric: str = ""
    estimator: str = Estimator.LAST
    tail_fraction: float = 0.05


@transaction.atomic
def create_study(project: Project, user: User | None, wish: StudyWish) -> Study:
    """Create a study with its leases, and let the runs that its selection names join."""
    study = Study(project=project, slug=wish.slug, created_by=user)
    _apply(study, {name: getattr(wish, name) for name in EDITABLE})
    study.name = wish.name or wish.slug
    if study.selection["kind"] != "list":
        _wait_for_new_runs(project)
    if Study.objects.filter(project=project, slug=wish.slug).exists():
        raise _taken(wish.slug)
    try:
        with transaction.atomic():
            study.save(force_insert=True)
    except IntegrityError as error:
        raise _taken(wish.slug) from error
    outbox.create_states(study.pk, project.pk)
    _join_selected(study)
    _mark(study)
    _record("study.created", study, study.name)
    return study


def ensure_study(project: Project, slug: str, user: User | None) -> Study:
    """Return the study that `init(study=slug)` names; the first run of that name creates it."""
    if not SLUG.fullmatch(slug):
        message = f"{slug[:SLUG_LENGTH]!r} is no name for a study: use letters, digits, - and _."
        raise Refused("invalid", message, "/study")
    known = Study.objects.filter(project=project, slug=slug, deleted_at=None)
    study = known.first()
    if study is not None:
        return study
    try:
        with transaction.atomic():
            return create_study(project, user, StudyWish(slug))
    except Refused:  # another run was faster
        return known.get()


@transaction.atomic
def edit_study(study: Study, changes: Mapping[str, object]) -> Study:
    """Change what a study reads; its fits follow, and a failing one is tried again at once."""
    if "selection" in changes:
        _wait_for_new_runs(study.project)
    locked = Study.objects.select_for_update().get(pk=study.pk)
    _apply(locked, changes)
    locked.rev += 1
    locked.save(update_fields=[*set(changes) - {COMPARED_WITH}, "settings", "rev"])
    if "selection" in changes:
        _leave_unselected(locked)
        _join_selected(locked)
    outbox.revive(locked.pk)
    _mark(locked)
    _record("study.changed", locked, locked.name, fields=", ".join(sorted(changes)))
    return locked


@transaction.atomic
def switch_analysis(study: Study, user: User | None, analysis: str, is_on: bool) -> bool:
    """Let a study make an analysis or not; False where it is so already. Fits are never erased."""
    if analysis not in SWITCHABLE:
        message = f"{analysis[:40]!r} is no analysis; there are {', '.join(SWITCHABLE)}."
        raise Refused("unknown_value", message, "/analysis")
    mine = SwitchedOff.objects.filter(study=study, analysis=analysis)
    if is_on:
        is_changed = mine.delete()[0] > 0
    else:
        _, is_changed = SwitchedOff.objects.get_or_create(
            study=study, analysis=analysis, defaults={"switched_by": user}
        )
    if is_changed:
        _touch(study)
        if is_on:  # a deep fit that ran meanwhile left it out, and the fast one may be current
            outbox.mark_studies([study.pk], FitKind.DEEP)
        action = "analysis.switched_on" if is_on else "analysis.switched_off"
        _record(action, study, TITLES[analysis], study=study.name)
    return is_changed


@transaction.atomic
def delete_study(study: Study) -> None:
    """Hide the study from everybody and free its slug; its runs and fits are not erased."""
    mark = f"-deleted-{study.pk}"
    deleted = Study.objects.filter(pk=study.pk, deleted_at=None).update(
        deleted_at=timezone.now(), slug=study.slug[: SLUG_LENGTH - len(mark)] + mark
    )
    if deleted:
        audit.record("study.deleted", study.project, study.name)
    _mark(study)  # the worker that finds it gone clears its outbox


def mark_followers(study: Study) -> None:
    """Let the studies that compare themselves with this one be analysed again."""
    live = Study.objects.filter(project=study.project_id, deleted_at=None)
    mine = live.filter(settings__compared_with=study.slug).exclude(pk=study.pk)
    outbox.mark_studies(sorted(mine.values_list("pk", flat=True)))


@transaction.atomic
def add_runs(study: Study, runs: Iterable[Run]) -> int:
    """Add runs by name; returns how many of them are new to the study."""
    listed = [StudyRun(study=study, run=run) for run in runs]
    before = study.study_runs.count()
    StudyRun.objects.bulk_create(
        listed,
        update_conflicts=True,
        unique_fields=("study", "run"),
        update_fields=("is_listed",),
    )
    _touch(study)
    return study.study_runs.count() - before


@transaction.atomic
def remove_run(study: Study, run: Run) -> bool:
    """Take a run out of the study; False where it was not in it."""
    member = study.study_runs.filter(run=run).first()
    if member is None:
        return False
    if _selects(study, run):
        message = "The study's selection names this run; exclude it instead."
        raise Refused("selected", message, "/run")
    member.delete()
    _touch(study)
    return True


@transaction.atomic
def set_exclusion(member: StudyRun, user: User | None, excluded: bool, reason: str = "") -> None:
    """Leave a run out of the fits, with a reason, or take it in again."""
    member.excluded = excluded
    member.exclusion_reason = reason if excluded else ""
    member.excluded_by = user if excluded else None
    member.excluded_at = timezone.now() if excluded else None
    member.save(update_fields=["excluded", "exclusion_reason", "excluded_by", "excluded_at"])
    _touch(member.study)
    _record_exclusion(member)


def _record_exclusion(member: StudyRun) -> None:
    action = "run.excluded" if member.excluded else "run.included"
    study, run = member.study, member.run
    details = {"study": study.name, "id": run.uid}
    if member.exclusion_reason:
        details["reason"] = member.exclusion_reason
    _record(action, study, run.name or run.uid, tab="runs", **details)


def attach_run(run: Run, slugs: Iterable[str]) -> None:
    """Add a run to the studies it names, which are made where they do not exist."""
    for slug in sorted(set(slugs)):  # in one order, so that two runs never wait for each other
        study = ensure_study(run.project, slug, run.created_by)
        member, created = StudyRun.objects.get_or_create(study=study, run=run)
        if not created and not member.is_listed:
            StudyRun.objects.filter(pk=member.pk).update(is_listed=True)


def follow_selections(project_id: int, run_ids: Sequence[int]) -> None:
    """Let runs join the studies whose selection names them, and leave those that no longer do."""
    selecting = outbox.hold_project(project_id)
    for study in Study.objects.filter(pk__in=selecting) if selecting else ():
        selected = set(_selected_runs(study).filter(pk__in=run_ids).values_list("pk", flat=True))
        joined = [StudyRun(study=study, run_id=pk, is_listed=False) for pk in sorted(selected)]
        StudyRun.objects.bulk_create(joined, batch_size=1000, ignore_conflicts=True)
        left = study.study_runs.filter(run__in=set(run_ids) - selected, is_listed=False)
        if left.delete()[0]:
            outbox.mark_studies([study.pk])


def mark_holders(run_ids: Sequence[int]) -> list[int]:
    """Let the studies that hold any of these runs be analysed again; returns them."""
    members = StudyRun.objects.filter(run__in=run_ids, study__deleted_at=None)
    studies = sorted(set(members.values_list("study", flat=True)))
    outbox.mark_studies(studies)
    return studies


def _taken(slug: str) -> Refused:
    return Refused("slug_taken", f"The slug {slug!r} is taken; choose another.", "/slug")


def _apply(study: Study, changes: Mapping[str, object]) -> None:
    _check_compared(study, str(changes.get(COMPARED_WITH, "")))
    for name, value in changes.items():
        check = CHECKS.get(name)
        if check is not None:
            check(value)
        setattr(study, name, list(value or ()) if name == "variant_keys" else value)
    if "variant_keys" in changes:
        chosen = "guessed" if changes["variant_keys"] is None else "chosen"
        study.settings = {**study.settings, "variants": chosen}


def _check_compared(study: Study, slug: str) -> None:
    others = Study.objects.filter(project=study.project_id, deleted_at=None).exclude(pk=study.pk)
    if slug and not others.filter(slug=slug).exists():
        message = f"This project has no other study {slug[:SLUG_LENGTH]!r}."
        raise Refused("unknown_value", message, f"/{COMPARED_WITH}")


def _check_selection(value: object) -> None:
    kind = value.get("kind") if isinstance(value, Mapping) else None
    if kind not in SELECTION_KINDS:
        choices = ", ".join(SELECTION_KINDS)
        raise Refused("unknown_value", f"A selection's kind is one of {choices}.", "/selection")
    group = value.get("group")
    is_named = isinstance(group, str) and 0 < len(group) <= NAME_LENGTH
    if set(value) != ({"kind", "group"} if kind == "group" else {"kind"}) or (
        kind == "group" and not is_named
    ):
        message = 'Send {"kind": "group", "group": name}, {"kind": "all"} or {"kind": "list"}.'
        raise Refused("invalid", message, "/selection")


def _check_mapping(value: object) -> None:
    for axis, source in value.items():
        if axis not in AXES:
            choices = ", ".join(AXES)
            message = f"{axis[:40]!r} is no axis; the axes are {choices}."
            raise Refused("unknown_field", message, "/mapping")
        is_config = source.startswith(CONFIG_PREFIX) and len(source) > len(CONFIG_PREFIX)
        if source not in SCALE_FACTS and not is_config:
            message = f"{source[:80]!r} is neither a scale fact nor config.<path>."
            raise Refused("unknown_value", message, f"/mapping/{axis}")


def _check_variant_keys(value: object) -> None:
    if value is not None and len(list(value)) > MAX_VARIANT_KEYS:
        message = f"At most {MAX_VARIANT_KEYS} keys split a study into variants."
        raise Refused("too_long", message, "/variant_keys")


def _check_tail_fraction(value: object) -> None:
    if not isinstance(value, int | float) or not 0 < value <= 1:
        message = f"tail_fraction is {value}; it must lie above 0 and at most at 1."
        raise Refused("out_of_range", message, "/tail_fraction")


def _check_estimator(value: object) -> None:
    if value not in Estimator.values:
        message = f"The estimators are {', '.join(Estimator.values)}."
        raise Refused("unknown_value", message, "/estimator")


CHECKS = {
    "selection": _check_selection,
    "mapping": _check_mapping,
    "variant_keys": _check_variant_keys,
    "tail_fraction": _check_tail_fraction,
    "estimator": _check_estimator,
}


def _wait_for_new_runs(project: Project) -> None:
    """Let runs that are being created finish first, and those after see the new selection.

    They hold their project (outbox.hold_project) from before they look for selections.
    """
    Project.objects.select_for_update().get(pk=project.pk)


def _selected_runs(study: Study) -> QuerySet[Run]:
    runs = Run.objects.filter(project=study.project_id, deleted_at=None)
    if study.selection["kind"] == "group":
        return runs.filter(group=study.selection["group"])
    return runs if study.selection["kind"] == "all" else runs.none()


def _selects(study: Study, run: Run) -> bool:
    return _selected_runs(study).filter(pk=run.pk).exists()


def _join_selected(study: Study) -> None:
    runs = _selected_runs(study).only("pk")
    joined = [StudyRun(study=study, run=run, is_listed=False) for run in runs]
    StudyRun.objects.bulk_create(joined, batch_size=1000, ignore_conflicts=True)


def _leave_unselected(study: Study) -> None:
    by_rule = study.study_runs.filter(is_listed=False)
    by_rule.exclude(Q(run__in=_selected_runs(study))).delete()


def _touch(study: Study) -> None:
    Study.objects.filter(pk=study.pk).update(rev=F("rev") + 1)
    _mark(study)


def _record(action: str, on: Study, target: str, tab: str = "", **details: object) -> None:
    """Tell the project of a change, with a link to where the study shows it."""
    address = reverse("study", args=[on.project.slug, on.slug])
    details[audit.LINK] = f"{address}?tab={tab}" if tab else address
    audit.record(action, on.project, target, **details)


def _mark(study: Study) -> None:
    outbox.mark_studies([study.pk])
    transaction.on_commit(lambda: hints.send([study.pk]))


@transaction.atomic
def freeze_forecast(view: StudyView, user: User | None, target: Target) -> Forecast:
    """Write down what the current fit predicts; the forecast never changes afterwards."""
    found = predict(view, target)
    if not isinstance(found, Prediction):
        cure = f" What helps: {found['cure']}." if found["cure"] else ""
        sentence = found["sentence"]
        message = f"{sentence[:1].upper()}{sentence[1:]}.{cure}"
        raise Refused("no_prediction", message, "/quantity")
    forecast = Forecast.objects.create(
        study=view.study,
        quantity=target.quantity,
        target=found.target.describe(),
        value=found.value,
        low=found.low,
        high=found.high,
        decades_beyond=found.decades_beyond,
        fit=found.fit,
        known=found.known,
        created_by=user,
    )
    quantity = Quantity(target.quantity).label
    _record("forecast.frozen", view.study, view.study.name, tab="forecasts", quantity=quantity)
    Study.objects.filter(pk=view.study.pk).update(rev=F("rev") + 1)
    return forecast
