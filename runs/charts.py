"""Curves of runs on any of the axes, read from the store."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from runs import store
from runs.models import Run
from runs.series import Curve, Floats, View, build_payload
from runs.store import Series, Steps
from scaledash.lib.names import FLOPS, TOKENS, canonical_metric, find_flop_unit

X_AXES = ("step", "tokens", "flops", "time", "relative")
COUNTED = {"tokens": (TOKENS, "n_tokens"), "flops": (FLOPS, "flops")}


def read_curves(
    runs: Sequence[Run], metric: str, view: View, x_axis: str = "step"
) -> dict[str, object]:
    """Return one metric of many runs in the form that charts read.

    Runs without the metric are absent from `series`; those that lack the x axis are named in
    `without_x`.
    """
    points = store.read_many([run.pk for run in runs], metric)
    named = {run.pk: run for run in runs if run.pk in points}
    axes = _read_axes(list(named.values()), points, x_axis)
    curves = {run.uid: _make_curve(axes[pk], points[pk]) for pk, run in named.items() if pk in axes}
    without = [run.uid for pk, run in named.items() if pk not in axes]
    return {**build_payload(curves, view, x_axis), "without_x": without}


def _make_curve(x: Floats, series: Series) -> Curve:
    order = np.argsort(x, kind="stable")  # clocks go backwards; NaN goes to the end
    return Curve(x[order], series.values[order], series.overwritten, series.superseded)


def _read_axes(runs: Sequence[Run], points: Mapping[int, Series], x_axis: str) -> dict[int, Floats]:
    """Return the x of each point of each run that has this axis."""
    if x_axis == "step":
        return {run.pk: points[run.pk].steps.astype(np.float64) for run in runs}
    if x_axis in COUNTED:
        return _read_counted(runs, points, x_axis)
    times = store.read_times([run.pk for run in runs])
    found = {pk: _look_up(series, points[pk].steps) for pk, series in times.items()}
    if x_axis == "relative":
        return {pk: x - times[pk].values[0] for pk, x in found.items()}
    return found


def _read_counted(
    runs: Sequence[Run], points: Mapping[int, Series], x_axis: str
) -> dict[int, Floats]:
    """Read tokens or FLOPs off their metric, else in proportion to the step."""
    canonical, fact = COUNTED[x_axis]
    found: dict[int, Floats] = {}
    for run in runs:
        steps = points[run.pk].steps
        names = [name for name in run.summary if canonical_metric(name) == canonical]
        total = getattr(run, fact)
        if names:
            logged = Series(*store.read_series(run.pk, names[0]))
            unit = find_flop_unit(names[0]) if canonical == FLOPS else 1.0
            found[run.pk] = _look_up(logged, steps) * unit
        elif total is not None and run.last_step:
            found[run.pk] = steps * (total / run.last_step)
    return found


def _look_up(axis: Series, steps: Steps) -> Floats:
    """Return the value of an axis at or before each step, NaN before its first."""
    places = np.searchsorted(axis.steps, steps, side="right") - 1
    return np.where(places >= 0, axis.values[np.clip(places, 0, None)], np.nan)
