"""Curves for charts: NaN-aware M4 on one bucket grid, or every point where they are few. Pure.

M4 keeps of each bucket the first, least, greatest and last finite value, in the order in which
they occur. No extreme can be lost whatever the bucket's width, which stride, mean and
largest-triangle sampling cannot say. Values that are not finite are kept beside, as marks.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from scaledash.lib.jsonsafe import NAN, NEGATIVE_INFINITY, POSITIVE_INFINITY, encode_float

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
Mark = list[object]  # [bucket or place, kind, count, y of the last finite value or null]

SLOTS = 4  # values of a bucket
MAX_BUCKETS, MIN_BUCKETS, POINTS_ON_SCREEN = 1000, 250, 25_000
DIGITS = 5
SNAPS = (1, 1.25, 1.6, 2, 2.5, 3.2, 4, 5, 6.3, 8, 10)
KINDS = (NAN, POSITIVE_INFINITY, NEGATIVE_INFINITY)


@dataclass(frozen=True)
class Curve:
    """The points of one run: `x` does not decrease."""

    x: Floats
    y: Floats
    overwritten: int = 0
    superseded: int = 0


@dataclass(frozen=True)
class Grid:
    """Buckets of equal width on the axis as it is shown."""

    lo: float
    hi: float
    buckets: int
    is_log: bool = False

    def place(self, x: Floats) -> Integers:
        """Return the bucket of each x; what lies outside falls into the nearest."""
        if self.is_log:
            low, width = math.log(self.lo), math.log(self.hi) - math.log(self.lo)
            share = (np.log(x) - low) / width
        else:
            share = (x - self.lo) / (self.hi - self.lo)
        return np.clip((share * self.buckets).astype(np.int64), 0, self.buckets - 1)


@dataclass(frozen=True)
class View:
    """How curves are shown: scales "lin" or "log", the window of x, the width in pixels."""

    x_scale: str = "lin"
    y_scale: str = "lin"
    window: tuple[float, float] | None = None
    pixels: int = MAX_BUCKETS
    exact_curves: int | None = None  # more than these carry five digits each; None: all are exact


def build_payload(curves: Mapping[str, Curve], view: View, x_axis: str) -> dict[str, object]:
    """Return the curves as a chart reads them: one grid, or one column of x, for all."""
    hidden = sum(int((curve.x <= 0).sum()) for curve in curves.values())
    shown = {name: cut_window(curve, view) for name, curve in curves.items()}
    total = sum(curve.x.size for curve in shown.values())
    buckets = count_buckets(view.pixels, len(shown))
    x = find_common_x(list(shown.values()), buckets)
    head: dict[str, object] = {"x_axis": x_axis, "x_scale": view.x_scale, "points_total": total}
    if view.x_scale == "log" and hidden:
        head["x_nonpositive"] = hidden
    if x is not None:
        if view.exact_curves is not None and len(shown) > view.exact_curves:
            head["digits"] = DIGITS
            shown = {name: round_curve(curve) for name, curve in shown.items()}
        series = {name: describe_raw(curve, x, view) for name, curve in shown.items()}
        return {"method": "raw", **head, "x": x.tolist(), "points_sent": total, "series": series}
    grid = make_grid(list(shown.values()), buckets, view)
    series = {name: describe_m4(curve, grid, view) for name, curve in shown.items()}
    sent = sum(value is not None for one in series.values() for value in one["y"])
    frame = {"lo": grid.lo, "hi": grid.hi, "buckets": grid.buckets}
    return {"method": "m4", **head, **frame, "points_sent": sent, "series": series}


def cut_window(curve: Curve, view: View, margin: int = 0) -> Curve:
    """Return the points inside the window; a log axis has room for x > 0 only.

    `margin` points on either side of the window are taken too.
    """
    inside = np.isfinite(curve.x)
    if view.x_scale == "log":
        inside &= curve.x > 0
    if view.window is not None:
        first = np.searchsorted(curve.x, view.window[0], side="left") - margin
        last = np.searchsorted(curve.x, view.window[1], side="right") + margin
        inside[: max(0, first)] = False
        inside[last:] = False
    return Curve(curve.x[inside], curve.y[inside], curve.overwritten, curve.superseded)


def count_buckets(pixels: int, n_curves: int) -> int:
    """Return the number of buckets: fewer pixels or more curves, fewer of them."""
    most = min(max(1, pixels), MAX_BUCKETS)
    return min(most, max(MIN_BUCKETS, POINTS_ON_SCREEN // max(1, n_curves)))


def make_grid(curves: Sequence[Curve], buckets: int, view: View) -> Grid:
    """Return the grid that the curves share; its end is snapped so that growth seldom moves it."""
    is_log = view.x_scale == "log"
    if view.window is not None and view.window[0] > (0 if is_log else -math.inf):
        return Grid(*view.window, buckets, is_log)
    lows = [float(curve.x[0]) for curve in curves if curve.x.size]
    highs = [float(curve.x[-1]) for curve in curves if curve.x.size]
    lo, hi = min(lows, default=1.0), max(highs, default=2.0)
    if view.window is not None:  # a log axis that was asked to begin at 0 or below
        return Grid(lo, max(view.window[1], math.nextafter(lo, math.inf)), buckets, is_log)
    hi = snap(hi) if is_log else lo + snap(hi - lo)
    return Grid(lo, hi if hi > lo else lo + 1, buckets, is_log)


def snap(value: float) -> float:
    """Round up to 1, 1.25, 1.6, 2, 2.5, 3.2, 4, 5, 6.3, 8 or 10 times a power of ten."""
    if not value > 0 or not math.isfinite(value):
        return 1.0
    power = 10.0 ** math.floor(math.log10(value))
    steps = (step * power for step in SNAPS)
    return next((step for step in steps if step >= value), 10 * power)


def find_common_x(curves: Sequence[Curve], buckets: int) -> Floats | None:
    """Return the x of all curves together, or None where there are too many to send them all."""
    if any(curve.x.size > SLOTS * buckets or has_ties(curve.x) for curve in curves):
        return None
    columns = [curve.x for curve in curves]
    together = np.unique(np.concatenate(columns)) if columns else np.empty(0)
    return together if together.size <= (SLOTS + 1) * buckets else None


def has_ties(x: Floats) -> bool:
    """Say whether two points share their x, as several steps may share a time."""
    return bool(np.any(x[1:] == x[:-1]))


def round_curve(curve: Curve) -> Curve:
    """Return a curve whose values have as many digits as those of buckets."""
    return replace(curve, y=round_digits(curve.y))


def describe_raw(curve: Curve, x: Floats, view: View) -> dict[str, object]:
    """Return a curve on the shared x: null where it has no point or none that can be drawn."""
    is_finite, is_drawn = judge_values(curve.y, view)
    places = np.searchsorted(x, curve.x)
    return {
        "y": place_values(places[is_drawn], curve.y[is_drawn], x.size),
        "breaks": places[~is_finite].tolist(),
        "marks": find_marks(places, curve.y, is_drawn),
        **describe_counts(curve, is_finite, is_drawn),
    }


def place_values(places: Integers, values: Floats, size: int) -> list[float | None]:
    """Return the values at their places, null between them."""
    if values.size == size:
        return values.tolist()
    y = np.full(size, np.nan)
    y[places] = values
    return [None if value != value else value for value in y.tolist()]


def describe_m4(curve: Curve, grid: Grid, view: View) -> dict[str, object]:
    """Return a curve in the buckets of a grid."""
    is_finite, is_drawn = judge_values(curve.y, view)
    buckets = grid.place(curve.x)
    y = np.full((grid.buckets, SLOTS), np.nan)
    found, values = choose_m4(buckets[is_drawn], curve.y[is_drawn])
    y[found] = round_digits(values)
    return {
        "y": [None if value != value else value for value in y.ravel().tolist()],
        "breaks": np.unique(buckets[~is_finite]).tolist(),
        "marks": find_marks(buckets, curve.y, is_drawn),
        **describe_counts(curve, is_finite, is_drawn),
    }


def choose_m4(buckets: Integers, y: Floats) -> tuple[Integers, Floats]:
    """Return the buckets that hold points, and four values of each: NaN for slots not needed.

    `buckets` does not decrease and `y` is finite.
    """
    if not y.size:
        return np.empty(0, np.int64), np.empty((0, SLOTS))
    places = find_m4_places(buckets, y)
    values = y[places]
    is_twice = np.zeros(values.shape, dtype=bool)
    is_twice[:, 1:] = places[:, 1:] == places[:, :-1]
    order = np.argsort(is_twice, axis=1, kind="stable")  # what stands twice goes to the end
    values = np.where(np.take_along_axis(is_twice, order, axis=1), np.nan,
                      np.take_along_axis(values, order, axis=1))  # fmt: skip
    return buckets[places[:, 0]], values


def find_m4_places(buckets: Integers, y: Floats) -> Integers:
    """Return for each bucket the places of its first, least, greatest and last value, in order."""
    firsts = np.flatnonzero(np.append(True, buckets[1:] != buckets[:-1]))
    lasts = np.append(firsts[1:], y.size) - 1
    group = np.repeat(np.arange(firsts.size), lasts - firsts + 1)
    lows = _find_first_equal(y, np.minimum.reduceat(y, firsts), group)
    highs = _find_first_equal(y, np.maximum.reduceat(y, firsts), group)
    return np.sort(np.stack([firsts, lows, highs, lasts], axis=1), axis=1)


def choose_samples(steps: Integers, y: Floats, samples: int) -> Integers:
    """Return the places of at most `samples` finite points by M4, and of every other point.

    The points keep their steps and their values bit for bit; `steps` does not decrease.
    """
    is_finite = np.isfinite(y)
    finite = np.flatnonzero(is_finite)
    if finite.size <= samples:
        return np.arange(y.size)
    first, last = float(steps[finite[0]]), float(steps[finite[-1]])
    grid = Grid(first, max(last, first + 1), max(1, samples // SLOTS))
    places = find_m4_places(grid.place(steps[finite].astype(np.float64)), y[finite])
    return np.union1d(finite[places], np.flatnonzero(~is_finite))


def _find_first_equal(y: Floats, wanted: Floats, group: Integers) -> Integers:
    """Return for each group the place of the first value that equals the wanted one."""
    places = np.flatnonzero(y == wanted[group])
    groups, first = np.unique(group[places], return_index=True)
    assert groups.size == wanted.size
    return places[first]


def round_digits(values: Floats) -> Floats:
    """Round to five significant digits, NaN left as it is."""
    magnitude = np.abs(values)
    usable = (magnitude > 1e-15) & (magnitude < 1e15)
    digits = np.zeros(values.shape, dtype=np.int64)
    digits[usable] = DIGITS - 1 - np.floor(np.log10(magnitude[usable])).astype(np.int64)
    up, down = 10.0 ** np.clip(digits, 0, None), 10.0 ** np.clip(-digits, 0, None)
    rounded = np.round(values * up / down) / up * down
    odd = ~usable & (magnitude > 0)
    rounded[~usable] = values[~usable]
    rounded[odd] = [float(f"{value:.{DIGITS}g}") for value in values[odd].tolist()]
    return rounded


def judge_values(y: Floats, view: View) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Return which values are finite, and which of them the y axis has room for."""
    is_finite = np.isfinite(y)
    return is_finite, is_finite & (y > 0) if view.y_scale == "log" else is_finite


def find_marks(buckets: Integers, y: Floats, is_drawn: NDArray[np.bool_]) -> list[Mark]:
    """Return how often each kind of non-finite value stands in each bucket."""
    if np.isfinite(y).all():
        return []
    marks: list[Mark] = []
    drawn = np.flatnonzero(is_drawn)
    for kind, is_kind in zip(KINDS, (np.isnan(y), y == np.inf, y == -np.inf), strict=True):
        places = np.flatnonzero(is_kind)
        found, firsts, counts = np.unique(buckets[places], return_index=True, return_counts=True)
        before = np.searchsorted(drawn, places[firsts]) - 1
        for bucket, count, last in zip(found.tolist(), counts.tolist(), before, strict=True):
            height = None if last < 0 else float(round_digits(y[drawn[last]].reshape(1))[0])
            marks.append([bucket, kind, count, height])
    return sorted(marks, key=lambda mark: (mark[0], mark[1]))


def describe_counts(
    curve: Curve, is_finite: NDArray[np.bool_], is_drawn: NDArray[np.bool_]
) -> dict[str, object]:
    """Return the counts under a chart, and the newest value."""
    counts: dict[str, object] = {
        "nonpositive": int(is_finite.sum() - is_drawn.sum()),
        "overwritten": curve.overwritten,
        "superseded": curve.superseded,
    }
    if curve.y.size:
        counts["last"] = encode_float(float(curve.y[-1]))
    return counts
