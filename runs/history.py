"""Full histories as JSON, streamed: every point as it was logged, bit for bit."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass

import msgspec
import numpy as np

from runs import store
from runs.blocks import Steps, Values
from runs.forks import ForkPoint, list_ancestors, read_inherited
from runs.models import Metric, Run
from runs.points import Series
from runs.series import choose_samples
from runs.validation import MAX_INTEGER
from scaledash.lib import jsonsafe


@dataclass(frozen=True)
class HistoryWish:
    """Which points: no metrics means all; hidden ones come with their attempt."""

    metrics: tuple[str, ...] = ()
    min_step: int = 0
    max_step: int = MAX_INTEGER
    with_times: bool = False
    with_hidden: bool = False
    with_inherited: bool = False
    samples: int = 0  # of each metric, by M4; 0: every point


def write_history(run: Run, wish: HistoryWish) -> Iterator[bytes]:
    """Yield the pieces of {"series": {metric: {"steps", "values", ...}}}, one metric at a time."""
    is_whole = wish.with_inherited and not wish.with_hidden
    ancestors = list_ancestors(run) if is_whole else []
    summaries = [run.summary, *(point.parent.summary for point in ancestors)]
    names = wish.metrics or {name for summary in summaries for name in summary}
    known = Metric.objects.filter(project=run.project_id, name__in=names)
    metrics = sorted(known.values_list("name", "pk"))
    times = _read(run, ancestors, store.TIMES) if wish.with_times else None
    yield b'{"series":{'
    separator = b""
    for name, metric_id in metrics:
        points = _read_hidden(run, metric_id) if wish.with_hidden else None
        document = _describe(points or _read(run, ancestors, metric_id), wish, times)
        if document is None:
            continue
        yield separator + json.dumps(name, ensure_ascii=False).encode() + b":"
        yield msgspec.json.encode(document)  # finite numbers only; five times as fast as json
        separator = b","
    yield b"}}"


@dataclass(frozen=True)
class Points:
    """Points of a metric by step, the first `n_inherited` of them from ancestors."""

    steps: Steps
    values: Values
    n_inherited: int = 0
    attempts: Steps | None = None


def _read(run: Run, ancestors: list[ForkPoint], metric_id: int) -> Points:
    found = store.read_points([run.pk], [metric_id]).get((run.pk, metric_id), store.NO_POINTS)
    if not ancestors:
        return Points(found.steps, found.values)
    before = int(found.steps[0]) if found.steps.size else MAX_INTEGER + 1
    steps, values = read_inherited(ancestors, metric_id, before)
    together = np.concatenate([steps, found.steps]), np.concatenate([values, found.values])
    return Points(*together, n_inherited=len(steps))


def _read_hidden(run: Run, metric_id: int) -> Points:
    steps, values, attempts = store.read_stored(run.pk, metric_id)
    return Points(steps, values, attempts=attempts)


def _describe(points: Points, wish: HistoryWish, times: Points | None) -> dict[str, object] | None:
    steps, values = points.steps, points.values
    inside = np.flatnonzero((steps >= wish.min_step) & (steps <= wish.max_step))
    if not inside.size:
        return None
    total = int(inside.size)
    if wish.samples:
        inside = inside[choose_samples(steps[inside], values[inside], wish.samples)]
    document = {"steps": steps[inside].tolist(), "values": write_values(values[inside])}
    if wish.samples:
        document["points_total"] = total
    if points.n_inherited:
        document["inherited"] = int((inside < points.n_inherited).sum())
    if times is not None:
        found_times = find_times(times, steps[inside]).tolist()
        document["times"] = [None if at != at else at for at in found_times]
    if points.attempts is not None:
        document["attempts"] = points.attempts[inside].tolist()
    return document


def write_values(values: Values) -> list[float | str]:
    """Return the values as JSON holds them."""
    found = values.tolist()
    for place in np.flatnonzero(~np.isfinite(values)).tolist():
        found[place] = jsonsafe.encode_float(found[place])
    return found


def find_times(times: Series | Points, steps: Steps) -> Values:
    """Return the time of each step, NaN where none was logged."""
    if not times.steps.size:
        return np.full(len(steps), np.nan)
    places = np.clip(np.searchsorted(times.steps, steps), 0, len(times.steps) - 1)
    return np.where(times.steps[places] == steps, times.values[places], np.nan)
