"""Experiments: a project, or with the token of one project a group of its runs.

An id is that of the project, followed by the group's name where there is one; "0" is MLflow's
Default, which is the token's project, else the project of that name.
"""

from __future__ import annotations

import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from dataclasses import dataclass
from datetime import datetime

from django.db import IntegrityError
from django.db.models import QuerySet
from django.utils.text import slugify

from runs.mlflow.errors import ALREADY_EXISTS, MlflowError, absent, invalid
from runs.models import Run
from runs.queries import DEFAULT_PROJECT
from runs.validation import check_name
from teams.models import SLUG_LENGTH, Project, User
from teams.principals import Principal
from teams.services import create_project

DEFAULT_ID, DEFAULT_NAME = "0", "Default"
MAX_NAME_LENGTH = 200  # of a project
MAX_LISTED = 1_000
MAX_SLUG_TRIES = 100
_ID = re.compile(r"([1-9][0-9]{0,17})(?:-([A-Za-z0-9_-]{1,1400}))?")


@dataclass(frozen=True)
class Experiment:
    """A project as MLflow sees it; `project` is None for a Default that nobody has used yet."""

    id: str
    name: str
    project: Project | None
    group: str = ""

    def find_runs(self) -> QuerySet[Run]:
        """Return the runs of the experiment, deleted ones too."""
        if self.project is None:
            return Run.objects.none()
        runs = Run.objects.filter(project=self.project)
        return runs.filter(group=self.group) if self.group else runs


def find_by_id(principal: Principal, text: str) -> Experiment:
    """Return a visible experiment by its id."""
    if text == DEFAULT_ID:
        return find_default(principal)
    match = _ID.fullmatch(text)
    group = _decode(match.group(2) or "") if match else None
    if match is None or group is None:
        raise absent(f"experiment with id {text[:64]!r}")
    project = Project.objects.visible_to(principal).filter(pk=int(match.group(1))).first()
    if project is None:
        raise absent(f"experiment with id {text[:64]!r}")
    return Experiment(text, group or project.name or project.slug, project, group)


def find_by_name(principal: Principal, name: str) -> Experiment | None:
    """Return a visible experiment by its name; every name is one to a token of one project."""
    if name == DEFAULT_NAME:
        return find_default(principal)
    projects = Project.objects.visible_to(principal)
    if principal.project_id is not None:
        project = projects.first()
        if project is None:
            return None
        if name in (project.slug, project.name):
            return Experiment(str(project.pk), name, project)
        group = check_name(name, "/name")
        return Experiment(write_id(project.pk, group), group, project, group)
    project = projects.filter(slug=name).first() or projects.filter(name=name).first()
    return None if project is None else Experiment(str(project.pk), name, project)


def find_default(principal: Principal) -> Experiment:
    """Return MLflow's experiment 0."""
    projects = Project.objects.visible_to(principal)
    if principal.project_id is None:
        projects = projects.filter(slug=DEFAULT_PROJECT)
    return Experiment(DEFAULT_ID, DEFAULT_NAME, projects.first())


def list_experiments(principal: Principal) -> list[Experiment]:
    """Return the visible experiments, by name; for a token of one project its groups too."""
    projects = list(Project.objects.visible_to(principal).order_by("slug")[:MAX_LISTED])
    found = [Experiment(str(p.pk), p.name or p.slug, p) for p in projects]
    if principal.project_id is not None:
        for project in projects:
            runs = Run.objects.filter(project=project, deleted_at=None).exclude(group="")
            groups = runs.order_by("group").values_list("group", flat=True).distinct()
            found += [
                Experiment(write_id(project.pk, group), group, project, group)
                for group in groups[:MAX_LISTED]
            ]
    return found


def create(principal: Principal, name: str) -> Experiment:
    """Create an experiment: a project, unless the token is bound to one."""
    if not name.strip():
        raise invalid("Missing value for required parameter 'name'.")
    known = find_by_name(principal, name)
    if principal.project_id is not None and known is not None:
        return known
    if known is not None and known.project is not None:
        raise MlflowError(400, ALREADY_EXISTS, f"Experiment {name[:100]!r} already exists.")
    return _create_project(principal, name)


def open_project(principal: Principal, experiment: Experiment) -> Project:
    """Return the project of an experiment; the Default of a person comes with its first run."""
    if experiment.project is not None:
        return experiment.project
    if principal.project_id is not None:
        raise absent("project")
    made = _create_project(principal, DEFAULT_PROJECT)
    assert made.project is not None
    return made.project


def _create_project(principal: Principal, name: str) -> Experiment:
    if len(name) > MAX_NAME_LENGTH:
        raise invalid(f"name has {len(name)} characters; at most {MAX_NAME_LENGTH}.")
    check_name(name, "/name")
    user = User.objects.get(pk=principal.user_id)
    base = slugify(name)[: SLUG_LENGTH - 4].strip("-") or "experiment"
    for number in range(1, MAX_SLUG_TRIES):
        slug = base if number == 1 else f"{base}-{number}"
        if Project.objects.filter(slug=slug).exists():
            continue
        try:
            project = create_project(user, slug, name)
        except IntegrityError:  # another request was faster
            continue
        return Experiment(str(project.pk), name, project)
    raise invalid(f"Too many projects are called like {name[:60]!r}; choose another name.")


def write_id(project_id: int, group: str = "") -> str:
    """Return the id of a project's experiment, or of one of its groups."""
    if not group:
        return str(project_id)
    return f"{project_id}-{urlsafe_b64encode(group.encode()).decode().rstrip('=')}"


def find_id(principal: Principal, run: Run) -> str:
    """Return the id of the experiment that a run belongs to, as this caller names it."""
    group = run.group if principal.project_id is not None else ""
    return write_id(run.project_id, group)


def _decode(text: str) -> str | None:
    try:
        return urlsafe_b64decode(text + "=" * (-len(text) % 4)).decode()
    except ValueError:
        return None


def describe(experiment: Experiment) -> dict[str, object]:
    """Return an experiment as MLflow's clients read it."""
    created = experiment.project.created_at if experiment.project else None
    tags = []
    if experiment.project and experiment.project.description:
        tags.append({"key": "mlflow.note.content", "value": experiment.project.description})
    return {
        "experiment_id": experiment.id,
        "name": experiment.name,
        "artifact_location": f"mlflow-artifacts:/{experiment.id}",
        "lifecycle_stage": "active",
        "creation_time": write_millis(created),
        "last_update_time": write_millis(created),
        "tags": tags,
    }


def write_millis(at: datetime | None) -> int:
    """Return milliseconds since 1970."""
    return round(at.timestamp() * 1000) if at else 0
