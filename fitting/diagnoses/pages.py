"""The panel of verdicts on a run's page."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import urlencode

from django.urls import reverse

from fitting.diagnoses.keys import find_key
from fitting.diagnoses.queries import ORDER, build_diagnoses
from fitting.diagnoses.rules import hide_author
from fitting.models import Alert
from fitting.texts import polish
from runs.events import make_event
from runs.models import Outcome, Run
from scaledash.lib.jsonsafe import decode_float

MARKED = ("watch", "warn", "critical")
TEMPLATE = "fitting/_diagnoses.html"
RANK = {severity: place for place, severity in enumerate(ORDER)}


def build_panel(run: Run, is_shared: bool = False) -> dict[str, object]:
    """Return what the panel shows: the worst verdicts first, unknown ones last.

    A share link shows it without the names of members.
    """
    document = build_diagnoses(run)
    verdicts = sorted(document["diagnoses"], key=rank_verdict)
    override = run.outcome_evidence.get("override")
    place = {"project": run.project.slug, "run": run.uid}
    return {
        **document,
        "template": TEMPLATE,
        "marks": list_marks(run, verdicts),
        "diagnoses": [describe_verdict(verdict, is_shared) for verdict in verdicts],
        "calm": name_calm(document["counts"]),
        "is_shared": is_shared,
        "override": override,
        "other_outcome": "healthy" if run.outcome == Outcome.DIVERGED else "diverged",
        "outcome_url": reverse("run-outcome", args=[run.project.slug, run.uid]),
        "json_url": reverse("run-diagnoses-json", args=[run.project.slug, run.uid]),
        "alerts_url": f"{reverse('alerts')}?{urlencode(place)}",
        "n_alerts": Alert.objects.for_everybody().filter(run=run).count(),
    }


def name_calm(counts: Mapping[str, int]) -> str:
    """Say how many verdicts ask for no attention, and are folded away."""
    found = [f"{n} {name}" for name, n in counts.items() if n and name not in MARKED]
    return ", ".join(found)


def rank_verdict(verdict: Mapping[str, Any]) -> tuple[int, int]:
    """Return the place of a verdict in a list: the worst first, unknown ones last."""
    severity = verdict["severity"]
    place = len(RANK) if severity == "unknown" else RANK[severity]
    return place, int(verdict["number"][1:])


def list_marks(run: Run, verdicts: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return where a run became watchful or worse, and on the curves of which of its metrics."""
    names: dict[str, list[str]] = {}
    for metric in run.summary:
        key = find_key(metric)
        if key is not None:
            names.setdefault(key.name, []).append(metric)
    return [
        make_event(
            item["first_step"],
            item["severity"],
            polish(item["sentence"]),
            metrics=[name for key in item["evidence"]["keys"] for name in names.get(key, ())],
            is_drawn=True,
            anchor=f"verdict-{item['diagnostic']}",
        )
        for item in verdicts
        if item["severity"] in MARKED and item["first_step"] is not None
    ]


def describe_verdict(verdict: Mapping[str, Any], is_shared: bool = False) -> dict[str, object]:
    """Return a verdict with its evidence in words; `is_shared` leaves names of members out."""
    evidence = verdict["evidence"]
    steps = ""
    if evidence["first_step"] is not None:
        steps = f"steps {evidence['first_step']:,} to {evidence['last_step']:,}"
    parts = [steps, f"{evidence['n_points']:,} values" if evidence["n_points"] else ""]
    cadence = decode_float(evidence["cadence"])
    parts.append(f"every {cadence:.3g} steps" if cadence else "")
    parts.append(f"preset {evidence['preset']}" if evidence["preset"] else "")
    since = verdict["first_step"]
    return {
        **verdict,
        "evidence_text": ", ".join(part for part in parts if part),
        "keys": evidence["keys"],
        "since": "" if since is None else f"since step {since:,}",
        "limits": [
            {
                **item,
                "text_value": f"{decode_float(item['value']):g}",
                "source": hide_author(item["source"]) if is_shared else item["source"],
            }
            for item in verdict["thresholds"]
        ],
        "is_bad": verdict["severity"] in ("warn", "critical"),
        "is_raised": verdict["severity"] in MARKED,
    }
