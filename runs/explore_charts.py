"""The charts of the explorer: one metric of many runs, split by facet, smoothed or averaged."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from runs.charts import (
    ChartWish,
    Grouping,
    build_groups,
    describe_smooth,
    read_plain,
    smooth_curve,
)
from runs.explore import ExploreWish
from runs.explore_lines import Line, Look
from runs.models import Run
from runs.series import Curve, View, build_payload, cut_window
from runs.step_metrics import choose_axis

EXACT_CURVES = 25  # with all their digits; of 100 these would be three quarters of a megabyte
MOST_RAW_BEHIND = 200  # curves; with more of them the raw ones would only darken the chart
Document = dict[str, object]


def build_charts(runs: Sequence[Run], wish: ExploreWish, look: Look, metric: str) -> Document:
    """Return the charts of one metric: one for each facet.

    Smoothing and averages are over every point, before any is left out.
    """
    wish = settle_axis(wish, runs, metric)
    curves, without = read_plain(runs, metric, wish.x_axis)
    return draw_charts((curves, without), len(runs), wish, look, metric)


def settle_axis(wish: ExploreWish, runs: Sequence[Run], metric: str) -> ExploreWish:
    """Return the wish with an axis: the one asked for, else what the scripts of the runs named."""
    named = wish.x_axis or choose_axis(((run.config, run.summary) for run in runs), metric)
    return replace(wish, x_axis=named)


def draw_charts(
    found: tuple[Mapping[str, Curve], Sequence[str]],
    n_runs: int,
    wish: ExploreWish,
    look: Look,
    metric: str,
) -> Document:
    """Return the charts of curves that have been read, and of runs that lack the x axis."""
    curves, without = found
    charts = [
        {"facet": title, **_build_chart(curves, wish, _choose(look, place), metric)}
        for place, title in enumerate(look.facets)
    ]
    return {
        "metric": metric,
        "charts": charts,
        "n_runs": n_runs,
        "n_without_metric": n_runs - len(curves) - len(without),
        "without_x": list(without),
    }


def _choose(look: Look, facet: int) -> list[Line]:
    return [line for line in look.lines if line.facet == facet]


def _build_chart(
    curves: Mapping[str, Curve], wish: ExploreWish, lines: Sequence[Line], metric: str
) -> Document:
    members = {line.key: [run for run in line.runs if run.uid in curves] for line in lines}
    shown = [line for line in lines if members[line.key]]
    view = _make_view(wish)
    inside = [cut_window(curves[run.uid], view) for line in shown for run in members[line.key]]
    if wish.is_grouped:
        payload = _build_averages(curves, wish, {line.key: members[line.key] for line in shown})
    elif wish.smoothing and inside:
        payload = _build_smoothed({line.key: curves[line.key] for line in shown}, wish, view)
    else:
        payload = build_payload({line.key: curves[line.key] for line in shown}, view, wish.x_axis)
    payload["points_total"] = sum(curve.x.size for curve in inside)
    return {**payload, "lines": [describe_line(line, len(members[line.key])) for line in shown]}


def _make_view(wish: ExploreWish) -> View:
    y_scale = "log" if wish.y_scale == "log" else "lin"
    return View(wish.x_scale, y_scale, wish.window, exact_curves=EXACT_CURVES)


def describe_line(line: Line, n_runs: int) -> Document:
    """Return what a chart needs to know of a curve beside its points."""
    return {
        "key": line.key,
        "label": line.label,
        "tone": line.tone,
        "dash": line.dash,
        "n_runs": n_runs,
        "is_diverged": line.is_diverged,
    }


def _build_averages(
    curves: Mapping[str, Curve], wish: ExploreWish, members: Mapping[str, Sequence[Run]]
) -> Document:
    smoothed = dict(curves)
    if wish.smoothing:
        smoothed = {uid: smooth_curve(curve, wish.smoothing) for uid, curve in curves.items()}
    band = "minmax" if wish.area == "none" else wish.area
    grouping = Grouping("", wish.aggregate, band, splits=True)
    chart = ChartWish("", _make_view(wish), wish.x_axis, grouping=grouping)
    payload = build_groups(members, smoothed, chart)
    if wish.area == "none":
        payload["bands"] = {}
    return payload


def _build_smoothed(curves: Mapping[str, Curve], wish: ExploreWish, view: View) -> Document:
    """Return raw curves with a smooth one over each; many curves are shown smooth only."""
    smoothed = {key: smooth_curve(curve, wish.smoothing) for key, curve in curves.items()}
    if len(curves) > MOST_RAW_BEHIND:
        return {**build_payload(smoothed, view, wish.x_axis), "is_raw_hidden": True}
    payload = build_payload(curves, view, wish.x_axis)
    for key, series in payload["series"].items():
        series["smooth"] = describe_smooth(cut_window(smoothed[key], view), payload, view)
    return payload
