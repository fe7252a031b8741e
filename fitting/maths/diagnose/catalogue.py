"""Everything that is judged by thresholds: runs and studies."""

from __future__ import annotations

from functools import cache

from fitting.maths.diagnose.diagnostic import Diagnostic
from fitting.maths.diagnose.registry import list_diagnostics
from fitting.maths.diagnose.study_diagnostic import StudyDiagnostic

Judged = Diagnostic | StudyDiagnostic


@cache
def list_judged() -> dict[str, Judged]:
    """Return slug -> diagnostic of runs and of studies, in the order of their numbers."""
    from fitting.maths.diagnose.study_lr import LR_DIAGNOSTICS
    from fitting.maths.diagnose.study_runs import RUN_DIAGNOSTICS

    found: list[Judged] = [*list_diagnostics().values(), *LR_DIAGNOSTICS, *RUN_DIAGNOSTICS]
    return {item.slug: item for item in sorted(found, key=lambda item: int(item.number[1:]))}
