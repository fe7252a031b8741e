"""The diagnoses of a study's runs together: what its instability analysis reads."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from fitting.diagnoses.keys import find_key
from fitting.diagnoses.publishing import describe
from fitting.diagnoses.rules import read_limits
from fitting.inputs import AnalysisInput
from fitting.maths.diagnose import attention_logits
from fitting.maths.diagnose.case import Limits
from fitting.maths.diagnose.study_runs import RUN_DIAGNOSTICS, RunFacts
from fitting.maths.instability import InstabilitySettings, RunCurve, analyse_instability
from fitting.models import FitKind, RunDiagnosis, Study
from fitting.queries import INSTABILITY
from fitting.rows import StudyRow, StudyRows
from scaledash.lib.jsonsafe import decode_float


@dataclass(frozen=True)
class InstabilityInput(AnalysisInput):
    """The runs that are not excluded, with what their diagnoses keep for comparison."""

    curves: tuple[RunCurve, ...]
    settings: InstabilitySettings
    facts: tuple[RunFacts, ...]
    limits: Limits


def read_instability(
    study: Study, rows: StudyRows, kind: FitKind, version: int
) -> InstabilityInput:
    """Return the input of the analysis as the current transaction sees it; no point is read."""
    included = [row for row in rows.included if row.has_axes]
    known = RunDiagnosis.objects.filter(run_id__in=[row.run_id for row in included])
    compared = dict(known.values_list("run_id", "compared"))
    curves = tuple(
        _make_curve(row, compared[row.run_id]) for row in included if row.run_id in compared
    )
    wish = study.settings.get(INSTABILITY, {})
    chosen = {name: wish[name] for name in ("step", "target") if wish.get(name)}
    limits = read_limits(study.project_id)
    own = limits.get(attention_logits.SLUG, {})
    bands = [own.get(item.name, item).value for item in attention_logits.THRESHOLDS[:3]]
    settings = InstabilitySettings(**chosen, bands=tuple(bands))
    facts = tuple(_make_facts(row, compared.get(row.run_id, {})) for row in included)
    studies = [
        [item.slug, name, its.value]
        for item in RUN_DIAGNOSTICS
        for name, its in item.find_limits(limits).items()
    ]
    seen = [version, settings.to_dict(), [curve.to_dict() for curve in curves], studies]
    seen.append([list(asdict(item).values()) for item in facts])
    digest = hashlib.sha256(json.dumps(seen, sort_keys=True).encode()).hexdigest()
    n_points = sum(len(curve.steps) for curve in curves)
    return InstabilityInput(rows, digest, n_points, curves, settings, facts, limits)


def _make_facts(row: StudyRow, compared: dict[str, Any]) -> RunFacts:
    key = find_key(row.loss_metric) if row.loss_metric else None
    return RunFacts(
        run=row.uid,
        n=row.n,
        lr=row.lr,
        variant=row.variant,
        loss=row.loss if row.takes_part else math.nan,
        loss_key=key.name if key else row.loss_metric,
        is_diverged=row.diverged,
        is_sick=bool(compared.get("is_sick")),
        form=str((compared.get("logits") or {}).get("form", "")),
        cadence=compared.get("cadence"),
        batch_tokens=row.batch if math.isfinite(row.batch) else None,
        seq_len=compared.get("seq_len"),
        width=compared.get("width"),
        weight_decay=compared.get("weight_decay"),
        top_sv=dict(compared.get("top_sv") or {}),
    )


def _make_curve(row: StudyRow, compared: dict[str, dict[str, object]]) -> RunCurve:
    logits, logz = compared.get("logits") or {}, compared.get("logz") or {}
    return RunCurve(
        run=row.uid,
        n=row.n,
        lr=row.lr,
        variant=row.variant,
        total_steps=float(row.last_step or 0),
        form=str(logits.get("form", "")),
        steps=tuple(logits.get("steps", ())),
        logits=_read_values(logits),
        logz_steps=tuple(logz.get("steps", ())),
        logz=_read_values(logz),
        gradient_rms=dict(compared.get("gradient_rms") or {}),
        adam_eps=compared.get("adam_eps"),
    )


def _read_values(curve: Mapping[str, Any]) -> tuple[float, ...]:
    found = (decode_float(value) for value in curve.get("values", ()))
    return tuple(math.nan if value is None else value for value in found)


def run_instability(data: InstabilityInput, study: Study, kind: FitKind) -> dict[str, object]:
    """Forecast logits and gradients; the same for every kind of fit."""
    found = analyse_instability(data.curves, data.settings, data.facts, data.limits)
    return {**found.to_dict(), "verdicts": [describe(item) for item in found.verdicts]}


def count_by_diagnostic(rows: Iterable[RunDiagnosis]) -> dict[str, dict[str, int]]:
    """Return diagnostic -> severity -> number of runs."""
    counts: dict[str, dict[str, int]] = {}
    for row in rows:
        for slug, severity in row.severities.items():
            its = counts.setdefault(slug, {})
            its[severity] = its.get(severity, 0) + 1
    return counts
