"""The curves of one run, as the charts of its page read them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from django.http import QueryDict

from runs.attempts import compute_limits
from runs.blocks import Steps, find_distinct
from runs.charts import describe_smooth, make_curve, read_axes, smooth_curve
from runs.explore import MAX_SMOOTHING, Reader
from runs.models import Metric, Run
from runs.points import NO_POINTS, Series
from runs.series import Curve, Floats, View, build_payload, cut_window
from runs.step_metrics import AUTOMATIC, STEP, choose_axis
from runs.store import read_points, read_stored

MAX_CHARTS = 50
MAX_ATTEMPTS = 10  # whose hidden points are drawn, the newest
MAX_PLACES = 64
BUCKETS = 500  # a chart of the run page is at most about as wide


@dataclass(frozen=True)
class CurvesWish:
    """Which metrics, on which axes, in which window of x; with what later attempts hide or not.

    `places` are steps whose x is wanted beside the curves: those of verdicts and attempts. Without
    an axis, each metric has the one that the script named for it, or its step.
    """

    metrics: tuple[str, ...]
    view: View
    x_axis: str = AUTOMATIC
    smoothing: float = 0.0
    with_superseded: bool = False
    places: tuple[int, ...] = ()

    @classmethod
    def read(cls, query: QueryDict) -> CurvesWish:
        """Read the keys of a page's address and `at`; what makes no sense is ignored."""
        reader = Reader(query)
        return cls(
            metrics=tuple(dict.fromkeys(query.getlist("m")))[:MAX_CHARTS],
            view=View(
                x_scale="log" if query.get("xs") == "log" else "lin",
                y_scale="log" if query.get("ys") == "log" else "lin",
                window=reader.read_window("xr"),
                pixels=BUCKETS,
            ),
            x_axis=reader.read_axis(),
            smoothing=reader.read_number("sm", MAX_SMOOTHING),
            with_superseded=query.get("old") == "1",
            places=_read_places(query.get("at", "")),
        )


def _read_places(text: str) -> tuple[int, ...]:
    known = [part for part in text.split(",") if part.isascii() and part.isdigit()]
    return tuple(int(part) for part in known[:MAX_PLACES] if len(part) < 16)


def build_curves(run: Run, wish: CurvesWish, rev: str) -> dict[str, object]:
    """Return one payload for each metric that the run has logged."""
    wanted = [metric for metric in wish.metrics if metric in run.summary]
    metrics = Metric.objects.filter(project=run.project_id, name__in=wanted)
    ids = dict(metrics.values_list("name", "pk"))
    found = read_points([run.pk], list(ids.values()))
    shown = {name: {"": found.get((run.pk, pk), NO_POINTS)} for name, pk in ids.items()}
    if wish.with_superseded and run.attempt:
        for name, pk in ids.items():
            shown[name] |= read_superseded(run, pk)
    named = {name: wish.x_axis or choose_axis([(run.config, run.summary)], name) for name in shown}
    everything = [series for parts in shown.values() for series in parts.values()]
    places = {axis: _find_axis(run, everything, axis) for axis in set(named.values())}
    charts = []
    for name in (name for name in wanted if name in shown):
        settled = replace(wish, x_axis=named[name])
        chart = build_chart(run, shown[name], settled, places[named[name]])
        charts.append({"metric": name, "rev": rev, **chart})
    return {"rev": rev, "charts": charts}


def build_chart(
    run: Run, parts: Mapping[str, Series], wish: CurvesWish, place: Axis
) -> dict[str, object]:
    """Return the payload of one chart: the run's curve, then what attempts hide of it."""
    curves: dict[str, Curve] = {}
    for name, series in parts.items():
        x = place.find(series.steps)
        if x is not None:
            curves[f"{run.uid}/{name}" if name else run.uid] = make_curve(x, series)
    payload = build_payload(curves, wish.view, wish.x_axis)
    if wish.smoothing and run.uid in curves:
        smoothed = cut_window(smooth_curve(curves[run.uid], wish.smoothing), wish.view)
        own: Any = payload["series"]
        own[run.uid]["smooth"] = describe_smooth(smoothed, payload, wish.view)
    at = place.find(np.array(wish.places, dtype=np.int64))
    values = [] if at is None else [x if math.isfinite(x) else None for x in at.tolist()]
    return {**payload, "at": dict(zip(map(str, wish.places), values, strict=False))}


@dataclass(frozen=True)
class Axis:
    """The x of every step that a run has logged; of a step itself without a table."""

    steps: Steps | None = None
    x: Floats | None = None

    def find(self, steps: Steps) -> Floats | None:
        """Return the x of these steps; None where the run lacks the axis."""
        if self.steps is None:
            return steps.astype(np.float64)
        if self.x is None:
            return None
        places = np.searchsorted(self.steps, steps, side="right") - 1
        found = self.x[np.clip(places, 0, None)] if self.x.size else np.full(steps.size, np.nan)
        return np.where(places >= 0, found, np.nan)


OF_STEPS = Axis()


def _find_axis(run: Run, series: list[Series], x_axis: str) -> Axis:
    if x_axis == STEP:
        return OF_STEPS
    steps = np.unique(np.concatenate([np.empty(0, np.int64), *(one.steps for one in series)]))
    table = {run.pk: Series(steps, np.zeros(steps.size))}
    return Axis(steps, read_axes([run], table, x_axis).get(run.pk) if steps.size else None)


def read_superseded(run: Run, metric_id: int) -> dict[str, Series]:
    """Return what later attempts hide of a series, by the attempt that logged it."""
    steps, values, attempts = read_stored(run.pk, metric_id)
    starts = dict(run.attempts.values_list("no", "start_step"))
    if not starts or not steps.size:
        return {}
    limits = compute_limits(starts, max(*starts, int(attempts.max())))
    is_hidden = steps >= limits[attempts]
    found = {}
    for no in sorted(set(attempts[is_hidden].tolist()))[-MAX_ATTEMPTS:]:
        is_own = is_hidden & (attempts == no)
        distinct = find_distinct(steps[is_own], values[is_own].reshape(1, -1))
        found[f"attempt {no}"] = Series(distinct.steps, distinct.values[0])
    return found
