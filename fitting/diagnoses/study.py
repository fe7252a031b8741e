"""The diagnoses of a study's runs together."""

from __future__ import annotations

from collections.abc import Iterable

from fitting.models import RunDiagnosis


def count_by_diagnostic(rows: Iterable[RunDiagnosis]) -> dict[str, dict[str, int]]:
    """Return diagnostic -> severity -> number of runs."""
    counts: dict[str, dict[str, int]] = {}
    for row in rows:
        for slug, severity in row.severities.items():
            its = counts.setdefault(slug, {})
            its[severity] = its.get(severity, 0) + 1
    return counts
