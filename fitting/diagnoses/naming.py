"""Which metric of a project is read as what: recognised, or said by a person, and changed."""

from __future__ import annotations

from django.db import transaction

from fitting.diagnoses.keys import BY_HAND, BY_PARAMETER, LIKENESS, find_key, is_key, recognise
from fitting.diagnoses.rules import follow_rules, name_author, read_meanings
from fitting.maths.diagnose.units import NORM, SAME, UNITS, find_needed
from fitting.models import MetricMeaning
from fitting.services import Refused
from runs.models import Metric
from teams import audit
from teams.models import Project, User

MAX_NAMES = 2000
NOTHING = ""  # the key of a metric that no diagnostic may read


def list_names(project: Project) -> dict[str, object]:
    """Return the metrics that are read as something or were decided on, guesses first."""
    names = _list_metrics(project)
    rows = MetricMeaning.objects.filter(project=project).select_related("changed_by")
    decided = {row.metric: row for row in rows}
    found = recognise({*names, *decided}, read_meanings(project.pk))
    items = [
        {
            "metric": name,
            "key": key.name or None,
            "unit": key.unit,
            "unit_text": UNITS[key.unit].text if key.unit else "",
            "needs": find_needed(key.unit, key.name) or None,
            "how": key.how,
            "note": key.note,
            "is_guess": key.is_guess,
            "changed_by": name_author(decided[name].changed_by) if name in decided else None,
            "changed_at": decided[name].changed_at if name in decided else None,
        }
        for name, key in found.items()
    ]
    items.sort(key=lambda item: (not item["is_guess"], item["how"] != BY_HAND, item["metric"]))
    unread = [name for name in names if name not in found]
    return {
        "metrics": items,
        "n_guesses": sum(item["how"] == LIKENESS for item in items),
        "unread": unread[:MAX_NAMES],
        "n_unread": len(unread),
    }


def _list_metrics(project: Project) -> list[str]:
    metrics = Metric.objects.filter(project=project).order_by("name")
    return list(metrics.values_list("name", flat=True))


@transaction.atomic
def set_meaning(
    project: Project, user: User | None, metric: str, key: str = NOTHING, unit: str = SAME
) -> None:
    """Say what a metric stands for; an empty key lets no diagnostic read it.

    Every run that logs it is judged again, all of its points.
    """
    if not Metric.objects.filter(project=project, name=metric).exists():
        message = f"No run of this project logs {metric[:80]!r}; check the spelling."
        raise Refused("unknown_value", message, "/metric")
    _check_key(key)
    _check_unit(unit, key)
    MetricMeaning.objects.filter(project=project, metric=metric).delete()
    unit = unit if key else SAME
    MetricMeaning.objects.create(
        project=project, metric=metric, key=key, unit=unit, changed_by=user
    )
    details = {"key": key or "nothing", **({"unit": unit} if unit else {})}
    audit.record("metric_name.mapped", project, metric, **details)
    follow_rules(project.pk, [metric])


def _check_key(key: str) -> None:
    if not key or is_key(key):
        return
    like = find_key(key)
    hint = f"did you mean {like.name}?" if like and like.name else "docs/diagnostics.md lists them."
    message = f"{key[:80]!r} is no key that a diagnostic reads; {hint}"
    raise Refused("unknown_value", message, "/key")


def _check_unit(unit: str, key: str) -> None:
    if unit not in UNITS:
        message = f"{unit[:40]!r} is no unit; the units are {', '.join(filter(None, UNITS))}."
        raise Refused("unknown_value", message, "/unit")
    if unit == NORM and not key.startswith(BY_PARAMETER):
        message = (
            f"A norm is read for keys of one parameter ({', '.join(BY_PARAMETER)}), not {key}."
        )
        raise Refused("unknown_value", message, "/unit")


@transaction.atomic
def forget_meaning(project: Project, metric: str) -> bool:
    """Let the name speak for itself again; False where nobody had said anything."""
    known = MetricMeaning.objects.filter(project=project, metric=metric)
    if not known.delete()[0]:
        return False
    audit.record("metric_name.reset", project, metric)
    follow_rules(project.pk, [metric])
    return True
