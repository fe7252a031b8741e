"""Which verdicts become alerts: those that are worse than ever before in their attempt.

Workers alone import this: it knows the diagnostics.
"""

from __future__ import annotations

from collections.abc import Mapping

from fitting.alerts.models import Alert, AlertKind
from fitting.alerts.raising import is_imported, is_unwatched, make_key, raise_alerts
from fitting.maths.diagnose.registry import list_diagnostics
from fitting.maths.diagnose.verdict import SEVERITIES, Verdict
from fitting.models import Study
from runs.models import Run
from scaledash.lib.jsonsafe import make_safe
from scaledash.lib.units import format_quantity

ALERTED = ("warn", "critical")
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


def raise_study_verdicts(study: Study, result: Mapping[str, object]) -> list[Alert]:
    """Alert where the size that a study is for lies beyond what its attention logits allow."""
    found = []
    for item in result.get("forecasts") or []:
        severity, variant = item["severity"], item["variant"]
        if severity not in ALERTED:
            continue
        lr = format_quantity(item["lr"])
        limits = {name: item[name] for name in ("lr", "variant", "crossing")}
        found.append(
            Alert(
                project_id=study.project_id,
                study=study,
                kind=AlertKind.VERDICT,
                severity=severity,
                diagnostic="logit_forecast",
                title="Forecast of attention logits",
                sentence=item["sentence"],
                evidence=make_safe({"values": limits}),
                is_quiet=is_unwatched(study),
                key=make_key(f"study:{study.pk}:logit_forecast:{severity}", variant, lr),
            )
        )
    return raise_alerts(found)
