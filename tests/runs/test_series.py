"""Curves: nothing that matters may be lost, on whatever axis."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from runs.series import Curve, Grid, View, build_payload, choose_m4, choose_samples

N = 1_000_000
BUCKETS = 500
SPIKE, NAN, INF = 654_321, 123_456, 876_543


@pytest.fixture(scope="module")
def million() -> Curve:
    """A million falling losses with a spike of one step, one NaN and one +Inf."""
    x = np.arange(1, N + 1, dtype=np.float64)
    y = 3.0 + 2.0 * x**-0.3
    y[SPIKE], y[NAN], y[INF] = 42.0, np.nan, np.inf
    return Curve(x, y)


def answer(curve: Curve, scale: str) -> dict[str, object]:
    return build_payload({"r": curve}, View(x_scale=scale, pixels=BUCKETS), "step")


@pytest.mark.parametrize("scale", ["lin", "log"])
def test_spike_nan_and_inf_of_one_step_are_in_500_buckets(million: Curve, scale: str) -> None:
    found = answer(million, scale)
    assert (found["method"], found["buckets"], found["points_total"]) == ("m4", BUCKETS, N)
    series = found["series"]["r"]
    grid = Grid(found["lo"], found["hi"], BUCKETS, scale == "log")
    places = grid.place(np.array([SPIKE + 1.0, NAN + 1.0, INF + 1.0])).tolist()
    assert 42.0 in series["y"][4 * places[0] : 4 * places[0] + 4]
    assert [mark[:3] for mark in series["marks"]] == sorted(
        [[places[1], "NaN", 1], [places[2], "Infinity", 1]]
    )
    assert series["breaks"] == sorted(places[1:])


def test_stride_and_mean_lose_the_spike(million: Curve) -> None:
    """What other trackers do to a chart, with as many points as M4 sends."""
    y = np.where(np.isfinite(million.y), million.y, 3.0)
    assert y[:: N // (4 * BUCKETS)].max() <= 5.0
    assert np.isfinite(million.y[:: N // (4 * BUCKETS)]).all()
    assert y.reshape(BUCKETS, -1).mean(axis=1).max() < 5.0


def test_largest_triangle_loses_one_of_two_spikes_in_a_bucket(million: Curve) -> None:
    y = np.where(np.isfinite(million.y), million.y, 3.0)
    y[SPIKE + 3] = -30.0
    buckets = np.arange(N) * BUCKETS // N
    assert {42.0, -30.0} <= set(choose_m4(buckets, y)[1].ravel().tolist())
    chosen = set(y[choose_triangles(million.x, y, BUCKETS)].tolist())
    assert len({42.0, -30.0} & chosen) == 1


def choose_triangles(x: np.ndarray, y: np.ndarray, n: int) -> list[int]:
    """Largest-triangle-three-buckets: of each bucket the point farthest from its neighbours."""
    edges = np.linspace(0, len(x), n + 1).astype(int).tolist()
    chosen = [0]
    for place in range(1, n - 1):
        inside, following = slice(*edges[place : place + 2]), slice(*edges[place + 1 : place + 3])
        ahead_x, ahead_y = x[following].mean(), y[following].mean()
        last = chosen[-1]
        area = np.abs(
            (x[last] - ahead_x) * (y[inside] - y[last])
            - (x[last] - x[inside]) * (ahead_y - y[last])
        )
        chosen.append(edges[place] + int(np.argmax(area)))
    return [*chosen, len(x) - 1]


VALUES = st.floats(allow_nan=True, allow_infinity=True, width=32)


@given(
    arrays.arrays(np.float64, st.integers(1, 300), elements=VALUES),
    st.integers(1, 40),
)
def test_every_bucket_has_its_first_least_greatest_and_last(y: np.ndarray, n: int) -> None:
    buckets = np.sort(np.arange(y.size) * n // y.size)
    is_finite = np.isfinite(y)
    places, values = choose_m4(buckets[is_finite], y[is_finite])
    assert places.tolist() == sorted(set(buckets[is_finite].tolist()))
    for place, kept in zip(places.tolist(), values, strict=True):
        inside = y[is_finite & (buckets == place)]
        kept = kept[~np.isnan(kept)]
        assert {inside.min(), inside.max()} <= set(kept.tolist())
        assert (kept[0], kept[-1]) == (inside[0], inside[-1])
        assert set(kept.tolist()) <= set(inside.tolist())


@given(
    arrays.arrays(np.float64, st.integers(1, 300), elements=VALUES),
    st.integers(4, 40),
)
def test_samples_hold_ends_extremes_and_all_that_is_not_finite(y: np.ndarray, n: int) -> None:
    steps = np.arange(y.size) * 7
    chosen = choose_samples(steps, y, n)
    kept, is_finite = y[chosen], np.isfinite(y)
    assert np.all(np.diff(chosen) > 0)
    assert np.isfinite(kept).sum() <= n
    assert (~np.isfinite(kept)).sum() == (~is_finite).sum()
    if is_finite.any():
        finite = kept[np.isfinite(kept)]
        assert (finite.min(), finite.max()) == (y[is_finite].min(), y[is_finite].max())
        assert (finite[0], finite[-1]) == (y[is_finite][0], y[is_finite][-1])


def test_runs_of_an_answer_share_one_grid() -> None:
    long = Curve(np.arange(50_000.0), np.arange(50_000.0))
    short = Curve(np.arange(20_000.0, 40_000.0), np.arange(20_000.0))
    found = build_payload({"a": long, "b": short}, View(pixels=100), "step")
    a, b = found["series"]["a"]["y"], found["series"]["b"]["y"]
    assert len(a) == len(b) == 4 * found["buckets"]
    place = Grid(found["lo"], found["hi"], found["buckets"]).place(np.array([20_000.0]))[0]
    assert [value is None for value in b[: 4 * place]] == [True] * (4 * place)
    assert b[4 * place] == 0.0


def test_few_points_are_sent_as_they_are() -> None:
    found = build_payload({"r": Curve(np.array([1.0, 2.0]), np.array([0.1, np.nan]))}, View(), "x")
    assert (found["method"], found["x"], found["series"]["r"]["y"]) == ("raw", [1, 2], [0.1, None])
    assert found["series"]["r"]["marks"] == [[1, "NaN", 1, 0.1]]


@pytest.mark.parametrize(("exact", "value"), [(None, 0.123456789), (2, 0.123456789), (1, 0.12346)])
def test_only_many_curves_lose_digits_and_say_so(exact: int | None, value: float) -> None:
    curve = Curve(np.array([1.0, 2.0]), np.array([0.123456789, np.nan]))
    found = build_payload({"a": curve, "b": curve}, View(exact_curves=exact), "step")
    assert found["series"]["a"]["y"] == [value, None]
    assert found.get("digits") == (5 if value == 0.12346 else None)


def test_window_counts_and_shows_only_its_points() -> None:
    curve = Curve(np.arange(100_000.0), np.arange(100_000.0))
    found = build_payload({"r": curve}, View(window=(10.0, 19.0)), "step")
    assert (found["method"], found["points_total"], found["x"]) == ("raw", 10, list(range(10, 20)))


def test_log_axis_counts_what_it_cannot_show() -> None:
    curve = Curve(np.array([0.0, 1.0, 2.0]), np.array([5.0, -1.0, 3.0]))
    found = build_payload({"r": curve}, View(x_scale="log", y_scale="log"), "step")
    assert (found["x_nonpositive"], found["series"]["r"]["nonpositive"]) == (1, 1)
    assert found["series"]["r"]["y"] == [None, 3.0]


def test_no_curve_at_all_is_an_answer() -> None:
    assert build_payload({}, View(), "step")["points_total"] == 0
