"""What the first page shows of each project, and what a study of a project can read."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

from django.core.paginator import Paginator
from django.db.models import Count, Max, Min, Q
from django.db.models.functions import TruncDate
from django.utils import timezone

from fitting.axes import CONFIG_PREFIX, SCALE_FACTS, index_config
from fitting.models import Study
from runs.models import Metric, Outcome, Run, RunState
from scaledash.lib import jsonsafe
from scaledash.lib.units import format_quantity
from teams.models import Project
from teams.principals import Principal
from teams.queries import list_projects

PAGE_SIZE = 50
SAMPLED_RUNS = 50
MAX_SUGGESTIONS = 300
ACTIVITY_DAYS = 30


def build_projects(principal: Principal, number: str) -> dict[str, object]:
    """Return the document of one page of projects; `rev` changes when anything in it does."""
    own_first = list_projects(principal).order_by("is_demo", "slug")
    page = Paginator(own_first, PAGE_SIZE).get_page(number)
    projects = list(page.object_list)
    runs = _count_runs(projects)
    studies, activity = _count_studies(projects), _count_days(projects)
    rows = [
        {**_describe(project, runs.get(project.pk), studies), "activity": activity[project.pk]}
        for project in projects
    ]
    document: dict[str, object] = {
        "projects": rows,
        "total": page.paginator.count,
        "page": page.number,
        "pages": page.paginator.num_pages,
    }
    document["rev"] = hashlib.sha256(jsonsafe.dumps(document)).hexdigest()[:16]
    return document


def find_demo(document: Mapping[str, Any]) -> dict[str, object]:
    """Return the demo project, for the first steps that lead through it.

    They are shown until a project of the reader's own has a study.
    """
    if document["page"] > 1:
        return {"demo": None, "shows_first_steps": False}
    projects = document["projects"]
    demo = next((item for item in projects if item["is_demo"] and item["studies"]), None)
    has_own = any(item["studies"] for item in projects if not item["is_demo"])
    return {"demo": demo, "shows_first_steps": demo is not None and not has_own}


def _count_runs(projects: Sequence[Project]) -> dict[int, dict[str, object]]:
    live = Run.objects.filter(project__in=projects, deleted_at=None)
    counted = live.values("project").annotate(
        n_runs=Count("pk"),
        n_running=Count("pk", filter=Q(state=RunState.RUNNING)),
        n_finished=Count("pk", filter=Q(state=RunState.FINISHED)),
        n_diverged=Count("pk", filter=Q(outcome=Outcome.DIVERGED)),
        n_params_min=Min("n_params"),
        n_params_max=Max("n_params"),
        changed_at=Max("changed_at"),
    )
    return {row["project"]: row for row in counted}


def _count_days(projects: Sequence[Project]) -> dict[int, list[int]]:
    """Return how many runs changed last on each of the last days, today the last, all in UTC."""
    midnight = timezone.now().replace(hour=0, minute=0, second=0, microsecond=0)
    first = midnight - timedelta(days=ACTIVITY_DAYS - 1)
    live = Run.objects.filter(project__in=projects, deleted_at=None, changed_at__gte=first)
    counted = live.values("project", day=TruncDate("changed_at")).annotate(n_runs=Count("pk"))
    found: dict[int, list[int]] = defaultdict(lambda: [0] * ACTIVITY_DAYS)
    for row in counted:
        found[row["project"]][(row["day"] - first.date()).days] = row["n_runs"]
    return found


def _count_studies(projects: Sequence[Project]) -> dict[int, list[dict[str, str]]]:
    studies = Study.objects.filter(project__in=projects, deleted_at=None)
    found: dict[int, list[dict[str, str]]] = {}
    for study in studies.order_by("name"):
        entry = {"slug": study.slug, "name": study.name}
        found.setdefault(study.project_id, []).append(entry)
    return found


def _describe(
    project: Project,
    counts: dict[str, object] | None,
    studies: dict[int, list[dict[str, str]]],
) -> dict[str, object]:
    counts = counts or {}
    low, high = counts.get("n_params_min"), counts.get("n_params_max")
    sizes = "" if low is None else format_quantity(low)
    if low != high:
        sizes = f"{sizes} – {format_quantity(high)}"  # noqa: RUF001 - a range is written with an en dash
    return {
        "slug": project.slug,
        "name": project.name or project.slug,
        "description": project.description,
        "is_demo": project.is_demo,
        "role": project.held_role,
        "n_runs": counts.get("n_runs", 0),
        "n_running": counts.get("n_running", 0),
        "n_finished": counts.get("n_finished", 0),
        "n_diverged": counts.get("n_diverged", 0),
        "sizes_text": sizes,
        "n_params": [low, high],
        "changed_at": counts.get("changed_at"),
        "studies": studies.get(project.pk, []),
    }


def list_sources(project: Project) -> dict[str, list[str]]:
    """Return what the form of a study suggests: scale facts and config keys, metrics, groups."""
    live = Run.objects.filter(project=project, deleted_at=None)
    newest = live.order_by("-created_at").values_list("config", flat=True)[:SAMPLED_RUNS]
    paths = sorted({path for config in newest for path in index_config(config)})
    metrics = Metric.objects.filter(project=project).order_by("name")
    groups = live.exclude(group="").order_by("group").values_list("group", flat=True).distinct()
    return {
        "facts": [*SCALE_FACTS, *(f"{CONFIG_PREFIX}{path}" for path in paths[:MAX_SUGGESTIONS])],
        "metrics": list(metrics.values_list("name", flat=True)[:MAX_SUGGESTIONS]),
        "groups": list(groups[:MAX_SUGGESTIONS]),
    }
