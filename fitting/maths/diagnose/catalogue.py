"""Everything that is judged by thresholds: runs and studies."""

from __future__ import annotations

from functools import cache

from fitting.maths.diagnose.diagnostic import Diagnostic
from fitting.maths.diagnose.registry import list_diagnostics

Judged = Diagnostic


@cache
def list_judged() -> dict[str, Judged]:
    """Return slug -> diagnostic of runs and of studies, in the order of their numbers."""
    return list_diagnostics()
