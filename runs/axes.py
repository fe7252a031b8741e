"""The menu of x axes: counted ones first, then metrics that only ever grew, then all others."""

from __future__ import annotations

from collections.abc import Sequence

from runs.models import Run
from runs.step_metrics import (
    AUTOMATIC,
    METRIC_AXIS,
    STEP,
    list_axes,
    list_grown,
)

X_LABELS = {
    "step": "step",
    "tokens": "tokens",
    "flops": "FLOPs",
    "time": "time",
    "relative": "time since start",
}
MAX_NAMED = 3  # step metrics that the automatic choice names
Choice = tuple[str, str, bool]  # value in the address, text, is chosen


def group_axes(
    runs: Sequence[Run], plain: Sequence[str], names: Sequence[str], chosen: str
) -> list[tuple[str, list[Choice]]]:
    """Return (title, choices) of the menu: the axes of `plain`, and the metrics of `names`."""
    defined = sorted(set().union(*(list_axes(run.config, run.summary) for run in runs)))
    grown = list_grown((run.summary for run in runs), defined)
    others = [name for name in names if name not in set(grown)]
    first = [(AUTOMATIC, _name_automatic(defined))]
    first += [(axis, X_LABELS[axis]) for axis in plain if axis != STEP or defined]
    groups = [
        ("", first),
        ("Metrics that grew", [(METRIC_AXIS + name, name) for name in grown]),
        ("Other metrics", [(METRIC_AXIS + name, name) for name in others]),
    ]
    if chosen == STEP and not defined:
        chosen = AUTOMATIC
    if chosen not in {value for _, choices in groups for value, _ in choices}:
        first.append((chosen, chosen.removeprefix(METRIC_AXIS)))
    return [
        (title, [(value, text, value == chosen) for value, text in choices])
        for title, choices in groups
        if choices
    ]


def _name_automatic(defined: Sequence[str]) -> str:
    if not defined:
        return X_LABELS[STEP]
    more = ", \N{HORIZONTAL ELLIPSIS}" if len(defined) > MAX_NAMED else ""
    return f"auto: {', '.join(defined[:MAX_NAMED])}{more}"
