"""Which verdicts become alerts: those that are worse than ever before in their attempt.

Workers alone import this: it knows the diagnostics.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from fitting.alerts.models import TITLE_LENGTH, Alert, AlertKind
from fitting.alerts.raising import is_imported, is_unwatched, make_key, raise_alerts
from fitting.maths.diagnose.registry import list_diagnostics
from fitting.maths.diagnose.verdict import SEVERITIES, Verdict
from fitting.models import Study
from runs.models import Run
from scaledash.lib.jsonsafe import make_safe
from scaledash.lib.units import format_quantity

ALERTED = ("warn", "critical")
FORECAST = "logit_forecast"  # told for each learning rate and variant, not for all together
SILENT = ("evidence",)  # what limits the other verdicts is no instability


def raise_verdicts(run: Run, verdicts: Mapping[str, Verdict]) -> list[Alert]:
    """Alert where a diagnostic is worse than it ever was in this attempt, from warn on."""
    bad = {
        slug: verdict
        for slug, verdict in verdicts.items()
        if verdict.severity in ALERTED and slug not in SILENT
    }
    if not bad:
        return []
    told = Alert.objects.filter(run=run, attempt=run.attempt, diagnostic__in=bad)
    worst: dict[str, int] = {}
    for slug, severity in told.values_list("diagnostic", "severity"):
        worst[slug] = max(worst.get(slug, -1), SEVERITIES.index(severity))
    return raise_alerts(
        [
            _make_verdict(run, verdict)
            for slug, verdict in bad.items()
            if verdict.rank > worst.get(slug, -1)
        ]
    )


def _make_verdict(run: Run, verdict: Verdict) -> Alert:
    slug, severity = verdict.diagnostic, verdict.severity
    limits = [threshold.to_dict() for threshold in verdict.thresholds]
    return Alert(
        project_id=run.project_id,
        run=run,
        kind=AlertKind.VERDICT,
        severity=severity,
        attempt=run.attempt,
        diagnostic=slug,
        title=list_diagnostics()[slug].title,
        sentence=verdict.sentence,
        first_step=verdict.first_step,
        evidence=make_safe({"values": dict(verdict.values), "thresholds": limits}),
        is_quiet=is_imported(run),
        key=f"run:{run.pk}:{run.attempt}:{slug}:{severity}",
    )


@dataclass(frozen=True)
class _Told:
    """One verdict on a study; `parts` says of what: its variant, and of a forecast its rate."""

    diagnostic: str
    severity: str
    title: str
    sentence: str
    evidence: Mapping[str, object]
    parts: tuple[str, ...]

    def name(self, study: Study, severity: str) -> str:
        """Return the key under which this was told at a severity."""
        return make_key(f"study:{study.pk}:{self.diagnostic}:{severity}", *self.parts)


def raise_study_verdicts(study: Study, results: Iterable[Mapping[str, Any]]) -> list[Alert]:
    """Alert where a verdict on a study is worse than it ever was, from warn on."""
    told = [item for result in results for item in _list_told(result)]
    bad = [item for item in told if item.severity in ALERTED and item.diagnostic not in SILENT]
    keys = {item.name(study, severity) for item in bad for severity in ALERTED}
    stored = Alert.objects.filter(project=study.project_id, key__in=keys)
    known = set(stored.values_list("key", flat=True))
    fresh = [item for item in bad if not known & set(_list_as_bad(item, study))]
    return raise_alerts([_make_study_verdict(study, item) for item in fresh])


def _list_as_bad(item: _Told, study: Study) -> list[str]:
    """Return the keys of this severity and of every worse one."""
    return [item.name(study, severity) for severity in ALERTED[ALERTED.index(item.severity) :]]


def _list_told(result: Mapping[str, Any]) -> Iterator[_Told]:
    """Yield the verdicts of an analysis; those of logits by learning rate and variant."""
    for item in result.get("forecasts") or []:
        limits = {name: item[name] for name in ("lr", "variant", "crossing")}
        yield _Told(
            FORECAST,
            item["severity"],
            "Forecast of attention logits",
            item["sentence"],
            {"values": limits},
            (item["variant"], format_quantity(item["lr"])),
        )
    for item in result.get("verdicts") or []:
        if item["diagnostic"] != FORECAST:
            evidence = {name: item[name] for name in ("values", "thresholds")}
            variant = str(item["values"].get("variant", ""))
            head = (item["diagnostic"], item["severity"], item["title"], item["sentence"])
            yield _Told(*head, evidence, (variant,))


def _make_study_verdict(study: Study, item: _Told) -> Alert:
    variant = f" ({item.parts[0]})" if item.parts[0] and item.diagnostic != FORECAST else ""
    return Alert(
        project_id=study.project_id,
        study=study,
        kind=AlertKind.VERDICT,
        severity=item.severity,
        diagnostic=item.diagnostic,
        title=f"{item.title}{variant}"[:TITLE_LENGTH],
        sentence=item.sentence,
        evidence=make_safe(dict(item.evidence)),
        is_quiet=is_unwatched(study),
        key=item.name(study, item.severity),
    )
