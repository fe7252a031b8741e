"""Curves of runs on any of the axes, read from the store."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from runs import store
from runs.blocks import Steps
from runs.groups import group_runs
from runs.models import Run
from runs.points import Series
from runs.series import (
    Curve,
    Floats,
    Grid,
    Integers,
    View,
    build_payload,
    cut_window,
    judge_values,
    place_values,
    round_digits,
)
from runs.smoothing import Average, average, smooth
from runs.step_metrics import METRIC_AXIS
from scaledash.lib.names import FLOPS, TOKENS, canonical_metric, find_flop_unit

X_AXES = ("step", "tokens", "flops", "time", "relative")
MAX_CELLS = 20_000_000  # of the table that a group is averaged in
COUNTED = {"tokens": (TOKENS, "n_tokens"), "flops": (FLOPS, "flops")}


@dataclass(frozen=True)
class Grouping:
    """Curves of groups in place of runs: by what, and what is drawn of each.

    `splits` puts the stretches where fewer runs count than the group has into curves of their own.
    """

    by: str
    aggregate: str = "mean"
    band: str = "minmax"
    splits: bool = False


class TooMuch(Exception):
    """More points than are averaged at once."""


@dataclass(frozen=True)
class ChartWish:
    """What a chart shows of a metric: axis, view, smoothing weight, groups."""

    metric: str
    view: View
    x_axis: str = "step"
    smoothing: float = 0.0
    grouping: Grouping | None = None


def read_curves(
    runs: Sequence[Run], metric: str, view: View, x_axis: str = "step"
) -> dict[str, object]:
    """Return one metric of many runs in the form that charts read."""
    return read_chart(runs, ChartWish(metric, view, x_axis))


def read_chart(runs: Sequence[Run], wish: ChartWish) -> dict[str, object]:
    """Return one metric of many runs, or of groups of them.

    Runs without the metric are absent from `series`; those that lack the x axis are named in
    `without_x`. Smoothing and averages are over every point, before any is left out.
    """
    curves, without = read_plain(runs, wish.metric, wish.x_axis)
    if wish.smoothing:
        curves = {uid: smooth_curve(curve, wish.smoothing) for uid, curve in curves.items()}
    if wish.grouping is None:
        return {**build_payload(curves, wish.view, wish.x_axis), "without_x": without}
    shown = [run for run in runs if run.uid in curves]
    members = group_runs(shown, wish.grouping.by)
    return {**build_groups(members, curves, wish), "without_x": without}


def read_plain(runs: Sequence[Run], metric: str, x_axis: str) -> tuple[dict[str, Curve], list[str]]:
    """Return every point of a metric on an axis by run id, and the runs that lack the axis."""
    points = store.read_many([run.pk for run in runs], metric)
    named = {run.pk: run for run in runs if run.pk in points}
    axes = read_axes(list(named.values()), points, x_axis)
    curves = {run.uid: make_curve(axes[pk], points[pk]) for pk, run in named.items() if pk in axes}
    return curves, [run.uid for pk, run in named.items() if pk not in axes]


def smooth_curve(curve: Curve, weight: float) -> Curve:
    """Return a curve with its values smoothed."""
    return replace(curve, y=smooth(curve.y, weight))


def describe_smooth(curve: Curve, payload: Mapping[str, object], view: View) -> list[float | None]:
    """Return the smooth value at each x, or of the last point that can be drawn of each bucket."""
    _, is_drawn = judge_values(curve.y, view)
    x, y = curve.x[is_drawn], curve.y[is_drawn]
    if payload["method"] == "raw":
        column = np.asarray(payload["x"])
        return place_values(np.searchsorted(column, x), y, column.size)
    is_log = payload["x_scale"] == "log"
    grid = Grid(payload["lo"], payload["hi"], payload["buckets"], is_log)
    return _place_lasts(grid.place(x), y, grid.buckets)


def _place_lasts(buckets: Integers, y: Floats, size: int) -> list[float | None]:
    is_last = np.append(buckets[1:] != buckets[:-1], True)[: buckets.size]
    return place_values(buckets[is_last], round_digits(y[is_last]), size)


def build_groups(
    groups_of_runs: Mapping[str, Sequence[Run]], curves: Mapping[str, Curve], wish: ChartWish
) -> dict[str, object]:
    """Return a curve and a band for each group; all of them share one grid."""
    grouping = wish.grouping or Grouping("")
    drawn: dict[str, Curve] = {}
    groups: dict[str, dict[str, object]] = {}
    for label, members in groups_of_runs.items():
        found = average_runs(label, [curves[run.uid] for run in members], wish)
        drawn |= {f"{label}{part}": curve for part, curve in list_parts(found, grouping).items()}
        groups[label] = {
            "runs": [run.uid for run in members],
            "n_runs_least": int(found.n_runs.min(initial=len(members))),
            "n_nonfinite": found.n_nonfinite,
            "counts": list_counts(found),
        }
    payload = build_payload(drawn, wish.view, wish.x_axis)
    series = payload["series"]
    bands = {
        label: {"low": series.pop(f"{label}/low")["y"], "high": series.pop(f"{label}/high")["y"]}
        for label in groups
    }
    fewer = {label: series.pop(f"{label}/fewer")["y"] for label in groups if grouping.splits}
    return {**payload, "groups": groups, "bands": bands, "fewer": fewer}


def average_runs(label: str, curves: Sequence[Curve], wish: ChartWish) -> Average:
    """Return the average of the runs of a group inside the window of the view.

    The points beside the window count too: what lies between two points is known there.
    """
    grouping = wish.grouping or Grouping("")
    inside = [cut_window(curve, wish.view, margin=1) for curve in curves]
    if len(inside) * sum(curve.x.size for curve in inside) > MAX_CELLS:
        raise TooMuch(f"{label} has too many points to average at once; narrow the window.")
    return average(inside, grouping.aggregate, grouping.band).cut(wish.view.window)


def list_parts(found: Average, grouping: Grouping) -> dict[str, Curve]:
    """Return the curves of a group: its middle, and the edges of its band.

    Where a run has ended, an average goes on over other runs than before and jumps without any of
    them having done so. Split, both stretches are curves of their own, with a band on the first.
    """
    parts = {"": found.middle, "/low": found.low, "/high": found.high}
    if not grouping.splits:
        return {name: Curve(found.x, y) for name, y in parts.items()}
    is_whole = found.n_runs == found.n_curves
    whole = {name: Curve(found.x[is_whole], y[is_whole]) for name, y in parts.items()}
    return {**whole, "/fewer": Curve(found.x[~is_whole], found.middle[~is_whole])}


def list_counts(found: Average) -> list[list[float]]:
    """Return how many runs count: [x from which, number of runs] for each change."""
    changes = np.flatnonzero(np.append(True, found.n_runs[1:] != found.n_runs[:-1]))
    changes = changes[: found.n_runs.size]
    return [[float(found.x[place]), int(found.n_runs[place])] for place in changes]


def make_curve(x: Floats, series: Series) -> Curve:
    """Return the points of a series at these x, in their order."""
    order = np.argsort(x, kind="stable")  # clocks go backwards; NaN goes to the end
    return Curve(x[order], series.values[order], series.overwritten, series.superseded)


def read_axes(runs: Sequence[Run], points: Mapping[int, Series], x_axis: str) -> dict[int, Floats]:
    """Return the x of each point of each run that has this axis."""
    if x_axis == "step":
        return {run.pk: points[run.pk].steps.astype(np.float64) for run in runs}
    if x_axis in COUNTED:
        return _read_counted(runs, points, x_axis)
    if x_axis.startswith(METRIC_AXIS):
        axes = store.read_many([run.pk for run in runs], x_axis.removeprefix(METRIC_AXIS))
        return {pk: _look_up(axis, points[pk].steps) for pk, axis in axes.items()}
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
