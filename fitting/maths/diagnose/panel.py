"""All diagnostics of one run together: state in, points in, verdicts out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from fitting.maths.diagnose.case import Case, RunConfig, State
from fitting.maths.diagnose.diagnostic import Diagnostic
from fitting.maths.diagnose.registry import list_diagnostics
from fitting.maths.diagnose.verdict import UNKNOWN, Verdict
from fitting.maths.records import FloatArray, IntArray

Points = Mapping[str, tuple[IntArray, FloatArray]]
PanelState = Mapping[str, State]


def update(diagnostic: Diagnostic, state: State, points: Points, config: RunConfig) -> State:
    """Return the state of one diagnostic after points at later steps of their metrics.

    Parameters
    ----------
    points : canonical metric -> (steps, values), each after the last step in `state`
    """
    grown = dict(state)
    for name, (steps, values) in points.items():
        held = grown.get(name) or diagnostic.start(name, config)
        if held is not None and len(steps):
            grown[name] = held.extend(steps, values)
    return grown


def update_all(state: PanelState, points: Points, config: RunConfig) -> dict[str, State]:
    """Return the state of every diagnostic after points at later steps of their metrics."""
    return {
        slug: update(diagnostic, state.get(slug, {}), points, config)
        for slug, diagnostic in list_diagnostics().items()
    }


def judge_all(state: PanelState, config: RunConfig) -> dict[str, Verdict]:
    """Return the verdict of every diagnostic, each revised in the light of the others."""
    first = {
        slug: judge(diagnostic, state.get(slug, {}), config)
        for slug, diagnostic in list_diagnostics().items()
    }
    return {
        slug: diagnostic.revise(first[slug], first) if diagnostic.revise else first[slug]
        for slug, diagnostic in list_diagnostics().items()
    }


def judge(diagnostic: Diagnostic, state: State, config: RunConfig) -> Verdict:
    """Return the verdict of one diagnostic on its own; one that raises is unknown, never ok."""
    slug = diagnostic.slug
    limits = {item.name: config.limit(slug, item) for item in diagnostic.thresholds}
    case = Case(slug, state, config, limits)
    try:
        return diagnostic.judge(case)
    except (ArithmeticError, ValueError, IndexError) as error:
        failed = case.unknown(f"diagnosis failed: {type(error).__name__}: {error}")
        return replace(failed, severity=UNKNOWN)


def count_severities(verdicts: Mapping[str, Verdict]) -> dict[str, int]:
    """Return severity -> number of verdicts."""
    counts: dict[str, int] = {}
    for verdict in verdicts.values():
        counts[verdict.severity] = counts.get(verdict.severity, 0) + 1
    return counts
