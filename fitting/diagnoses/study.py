"""The diagnoses of a study's runs together: what its instability analysis reads."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterable
from dataclasses import dataclass

from fitting.inputs import AnalysisInput
from fitting.maths.instability import InstabilitySettings, RunCurve, analyse_instability
from fitting.models import FitKind, RunDiagnosis, Study
from fitting.queries import INSTABILITY
from fitting.rows import StudyRow, StudyRows
from scaledash.lib.jsonsafe import decode_float


@dataclass(frozen=True)
class InstabilityInput(AnalysisInput):
    """The runs that are not excluded, with what their diagnoses keep for comparison."""

    curves: tuple[RunCurve, ...]


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
    text = json.dumps(
        [version, study.settings.get(INSTABILITY, {}), [curve.to_dict() for curve in curves]],
        sort_keys=True,
    )
    digest = hashlib.sha256(text.encode()).hexdigest()
    return InstabilityInput(rows, digest, sum(len(curve.steps) for curve in curves), curves)


def _make_curve(row: StudyRow, compared: dict[str, dict[str, object]]) -> RunCurve:
    logits = compared.get("logits") or {}
    return RunCurve(
        run=row.uid,
        n=row.n,
        lr=row.lr,
        variant=row.variant,
        total_steps=float(row.last_step or 0),
        form=str(logits.get("form", "")),
        steps=tuple(logits.get("steps", ())),
        logits=tuple(decode_float(value) or math.nan for value in logits.get("values", ())),
        gradient_rms=dict(compared.get("gradient_rms") or {}),
        adam_eps=compared.get("adam_eps"),
    )


def run_instability(data: InstabilityInput, study: Study, kind: FitKind) -> dict[str, object]:
    """Forecast logits and gradients; the same for every kind of fit."""
    wish = study.settings.get(INSTABILITY, {})
    known = {name: wish[name] for name in ("step", "target") if wish.get(name)}
    return analyse_instability(data.curves, InstabilitySettings(**known)).to_dict()


def count_by_diagnostic(rows: Iterable[RunDiagnosis]) -> dict[str, dict[str, int]]:
    """Return diagnostic -> severity -> number of runs."""
    counts: dict[str, dict[str, int]] = {}
    for row in rows:
        for slug, severity in row.severities.items():
            its = counts.setdefault(slug, {})
            its[severity] = its.get(severity, 0) + 1
    return counts
