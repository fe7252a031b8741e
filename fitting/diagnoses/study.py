"""The diagnoses of a study's runs together: what its instability analysis reads."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from fitting.diagnoses.rules import read_limits
from fitting.inputs import AnalysisInput
from fitting.maths.diagnose import attention_logits
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
    limits = read_limits(study.project_id).get(attention_logits.SLUG, {})
    bands = [limits.get(item.name, item).value for item in attention_logits.THRESHOLDS[:3]]
    settings = InstabilitySettings(**chosen, bands=tuple(bands))
    seen = [version, settings.to_dict(), [curve.to_dict() for curve in curves]]
    digest = hashlib.sha256(json.dumps(seen, sort_keys=True).encode()).hexdigest()
    n_points = sum(len(curve.steps) for curve in curves)
    return InstabilityInput(rows, digest, n_points, curves, settings)


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
    return analyse_instability(data.curves, data.settings).to_dict()


def count_by_diagnostic(rows: Iterable[RunDiagnosis]) -> dict[str, dict[str, int]]:
    """Return diagnostic -> severity -> number of runs."""
    counts: dict[str, dict[str, int]] = {}
    for row in rows:
        for slug, severity in row.severities.items():
            its = counts.setdefault(slug, {})
            its[severity] = its.get(severity, 0) + 1
    return counts
