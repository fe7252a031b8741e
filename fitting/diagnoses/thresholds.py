"""The thresholds of a project: read with their defaults and sources, and changed."""

from __future__ import annotations

import math
from collections.abc import Mapping

from django.db import transaction

from fitting.diagnoses.rules import follow_rules, name_author
from fitting.maths.diagnose.catalogue import Judged, list_judged
from fitting.maths.diagnose.verdict import Threshold
from fitting.models import ProjectThreshold
from fitting.services import Refused
from teams import audit
from teams.models import Project, User

Wishes = Mapping[str, float | None]  # name -> own value, None for the default


def list_thresholds(project: Project) -> list[dict[str, object]]:
    """Return every diagnostic with its thresholds: in force, default, source, who changed it."""
    rows = ProjectThreshold.objects.filter(project=project).select_related("changed_by")
    own = {(row.diagnostic, row.name): row for row in rows}
    return [
        {
            "diagnostic": slug,
            "number": item.number,
            "title": item.title,
            "question": item.question,
            "thresholds": [
                _describe(limit, own.get((slug, limit.name))) for limit in item.thresholds
            ],
            "n_own": sum((slug, limit.name) in own for limit in item.thresholds),
        }
        for slug, item in list_judged().items()
        if item.thresholds
    ]


def _describe(limit: Threshold, own: ProjectThreshold | None) -> dict[str, object]:
    value = limit.value if own is None else own.value
    return {
        "name": limit.name,
        "text": limit.text,
        "value": value,
        "value_text": f"{value:.12g}",
        "default": limit.value,
        "default_text": f"{limit.value:.12g}",
        "source": limit.source,
        "most": limit.most,
        "is_own": own is not None,
        "changed_by": name_author(own.changed_by) if own else None,
        "changed_at": own.changed_at if own else None,
    }


@transaction.atomic
def change_thresholds(project: Project, user: User | None, slug: str, wishes: Wishes) -> list[str]:
    """Set thresholds of one diagnostic, or take them back; returns the names that changed.

    All runs are judged again, and the audit log names old and new values.
    """
    item = list_judged().get(slug)
    if item is None:
        message = f"There is no diagnostic {slug[:64]!r}."
        raise Refused("unknown_value", message, "/diagnostic")
    Project.objects.select_for_update(no_key=True).get(pk=project.pk)
    rows = ProjectThreshold.objects.filter(project=project, diagnostic=slug)
    defaults = {limit.name: limit.value for limit in item.thresholds}
    before = {**defaults, **dict(rows.values_list("name", "value"))}
    after = before | {
        name: defaults.get(name, 0.0) if value is None else float(value)
        for name, value in wishes.items()
    }
    _check(item, wishes, after)
    changed = [name for name in wishes if after[name] != before[name]]
    for name in changed:
        if after[name] == defaults[name]:
            rows.filter(name=name).delete()
            continue
        key = {"project": project, "diagnostic": slug, "name": name}
        row = ProjectThreshold(**key, value=after[name], changed_by=user)
        rows.filter(name=name).delete()
        row.save(force_insert=True)
    if changed:
        details = {name: f"{after[name]:g} (was {before[name]:g})" for name in changed}
        audit.record("threshold.changed", project, slug, **details)
        follow_rules(project.pk)
    return changed


def _check(item: Judged, wishes: Wishes, after: Mapping[str, float]) -> None:
    """Refuse unknown names, values without a meaning, and bands in the wrong order."""
    known = {limit.name: limit for limit in item.thresholds}
    for name in wishes:
        if name not in known:
            message = f"{item.title} has no threshold {name[:64]!r}; it has {', '.join(known)}."
            raise Refused("unknown_field", message, f"/values/{name[:64]}")
        most = known[name].most
        is_known = math.isfinite(after[name]) and after[name] >= 0
        if not is_known or (most is not None and after[name] > most):
            end = f"to {most:g}" if most is not None else "up"
            message = f"{name} is {after[name]:g}; it has to be a number from 0 {end}."
            raise Refused("out_of_range", message, f"/values/{name}")
    if not item.ladder:
        return
    rises = known[item.ladder[0]].value < known[item.ladder[-1]].value
    for milder, worse in zip(item.ladder, item.ladder[1:], strict=False):
        low, high = (milder, worse) if rises else (worse, milder)
        if after[low] >= after[high]:
            message = (
                f"{low} ({after[low]:g}) has to stay below {high} ({after[high]:g}); "
                "change both, or another one."
            )
            field = next((name for name in (milder, worse) if name in wishes), milder)
            raise Refused("out_of_range", message, f"/values/{field}")
