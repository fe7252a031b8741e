"""Begin, end and name runs as MLflow's clients ask for it."""

from __future__ import annotations

import uuid
from typing import Any

from django.db import transaction
from django.utils import timezone

from runs.ingest import ENDING, end_run
from runs.mlflow.experiments import Experiment
from runs.mlflow.kept import KEY
from runs.mlflow.tags import PARENT, RUN_NAME, set_tags
from runs.models import NAME_LENGTH, Run, RunState
from runs.services import RunWish, clamp_time, create_run, edit_run, open_run
from teams.models import Project
from teams.principals import Principal


@transaction.atomic
def begin_run(
    principal: Principal, project: Project, experiment: Experiment, tags: dict[str, str],
    start_millis: int | None, user: str,
) -> Run:  # fmt: skip
    """Create a run; its id is made here, as MLflow's server does."""
    changes = set_tags(Run(), tags)
    host: dict[str, Any] = {KEY: {}, **changes["host"]}
    if user:
        host["user"] = user[:NAME_LENGTH]
    wish = RunWish(
        uid=uuid.uuid4().hex,
        request_id=uuid.uuid4(),
        started_at=None if start_millis is None else start_millis / 1000,
        changes={**changes, "host": host, "group": experiment.group},
    )
    run = create_run(project, principal.user_id, wish)
    set_parent(run, tags)
    return run


def set_parent(run: Run, tags: dict[str, str]) -> None:
    """Note the run that another one is nested in; it is no fork and shares no history."""
    if PARENT in tags:
        parents = Run.objects.filter(project=run.project_id, uid=tags[PARENT], deleted_at=None)
        parent = parents.exclude(pk=run.pk).first()
        Run.objects.filter(pk=run.pk).update(parent=parent)


@transaction.atomic
def set_status(run: Run, principal: Principal, state: RunState, end_millis: int | None) -> None:
    """Let a run end or go on; an end may be corrected, as MLflow allows."""
    if state == RunState.RUNNING:
        if run.state != RunState.RUNNING:
            wish = RunWish(uid=run.uid, request_id=uuid.uuid4(), resume="allow")
            open_run(run.project, principal.user_id, wish)
        return
    if run.state != state:
        held = Run.objects.select_for_update(no_key=True).only(*ENDING).get(pk=run.pk)
        end_run(held, {"state": state})
    if end_millis is not None:
        ended_at, _ = clamp_time(end_millis / 1000, timezone.now())
        Run.objects.filter(pk=run.pk).update(ended_at=ended_at)


def rename(run: Run, name: str) -> None:
    """Give a run another name."""
    edit_run(run, {"name": name[:NAME_LENGTH]})


def name_tags(tags: dict[str, str], name: str) -> dict[str, str]:
    """Return the tags with the run's name, wherever it was given."""
    return {**tags, RUN_NAME: name} if name else tags
