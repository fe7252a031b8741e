"""Traps that users of other trackers fell into, by their numbers: curves and averages."""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import urlencode

import numpy as np
import pytest
from django.test import Client

from runs.charts import METRIC_AXIS
from runs.models import Run
from runs.series import Curve, Grid, View, build_payload
from tests.runs.factories import Job, open_run
from tests.teams.factories import Api

LONG = 30_000
SEEDS = {"a": [1.0, 2.0, 3.0, 4.0], "b": [3.0, 6.0], "c": [5.0, 4.0]}


def read_curves(reader: Client, api: Api, **keys: str) -> dict[str, object]:
    query = urlencode({"m": "loss", "metric": "loss", **keys})
    answer = reader.get(f"/p/{api.project.slug}/explore/curves.json?{query}")
    assert answer.status_code == 200, answer.content
    (chart,) = answer.json()["charts"]
    return chart


def log_run(api: Api, uid: str, values: Sequence[object], **fields: object) -> Run:
    run = open_run(api, uid, name=uid, **fields)
    Job(api, run).log(list(range(1, len(values) + 1)), loss=values)
    return run


def make_long(n: int = LONG) -> Curve:
    x = np.arange(1.0, n + 1)
    return Curve(x, 3.0 + 2.0 * x**-0.3)


@pytest.mark.parametrize("n_curves", [1, 30, 100])
@pytest.mark.parametrize("scale", ["lin", "log"])
def test_u1_a_spike_of_one_step_is_drawn_among_any_number_of_runs(
    n_curves: int, scale: str
) -> None:
    curves = {str(number): make_long() for number in range(n_curves)}
    curves["0"].y[LONG // 2] = 42.0
    found = build_payload(curves, View(x_scale=scale), "step")
    assert found["method"] == "m4"
    assert max(value for value in found["series"]["0"]["y"] if value is not None) == 42.0


def test_u2_the_same_request_gives_the_same_points_and_growth_leaves_the_others() -> None:
    still, grown = make_long(), make_long(LONG - 5_000)
    before = build_payload({"still": still, "grown": grown}, View(), "step")
    assert build_payload({"still": still, "grown": grown}, View(), "step") == before
    after = build_payload({"still": still, "grown": make_long(LONG - 1)}, View(), "step")
    assert after["series"]["still"] == before["series"]["still"]
    assert after["series"]["grown"] != before["series"]["grown"]


def test_u3_a_zoom_reads_every_point_and_the_ends_are_always_sent() -> None:
    curve = make_long()
    whole = [value for value in build_payload({"r": curve}, View(), "step")["series"]["r"]["y"]
             if value is not None]  # fmt: skip
    assert [whole[0], whole[-1]] == pytest.approx([curve.y[0], curve.y[-1]], rel=1e-4)
    found = build_payload({"r": curve}, View(window=(20_000.0, 20_999.0)), "step")
    assert (found["method"], found["points_total"]) == ("raw", 1000)
    assert found["series"]["r"]["y"] == curve.y[19_999:20_999].tolist()


def test_u4_buckets_are_uniform_in_log_x_where_x_is_shown_so() -> None:
    """The first hundred of thirty thousand steps keep their shape: point by point."""
    curve = make_long()
    found = build_payload({"r": curve}, View(x_scale="log"), "step")
    buckets = Grid(found["lo"], found["hi"], found["buckets"], is_log=True).place(curve.x[:100])
    assert np.unique(buckets).size > 90
    assert np.unique(Grid(1, LONG, found["buckets"]).place(curve.x[:100])).size < 5


@pytest.mark.parametrize("axis", ["step", METRIC_AXIS + "tokens"])
def test_u5_no_value_is_drawn_that_was_not_logged(api: Api, reader: Client, axis: str) -> None:
    """Two metrics of different steps: neither is filled in where only the other was logged."""
    job = Job(api, open_run(api, "r"))
    job.log([1, 4, 7, 10], tokens=[100.0, 400.0, 700.0, 1000.0])
    job.log([2, 4, 9], loss=[3.0, 2.0, 1.0])
    chart = read_curves(reader, api, x=axis)
    assert chart["series"]["r"]["y"] == [3.0, 2.0, 1.0]
    assert set(chart["x"]) <= ({2, 4, 9} if axis == "step" else {100, 400, 700})


def test_u11_a_late_evaluation_at_an_older_step_is_shown(api: Api, reader: Client) -> None:
    job = Job(api, open_run(api, "r"))
    job.log([1, 2, 3], loss=[3.0, 2.0, 1.0])
    job.log([10], loss=[0.5])
    job.log([2, 5], loss=[2.5, 0.7])
    chart = read_curves(reader, api)
    assert (chart["x"], chart["series"]["r"]["y"]) == ([1, 2, 3, 5, 10], [3.0, 2.5, 1.0, 0.7, 0.5])
    assert chart["series"]["r"]["overwritten"] == 1


def test_u12_ten_rewinds_each_hide_the_older_tail_and_keep_it(api: Api, reader: Client) -> None:
    job = Job(api, open_run(api, "r"))
    job.log(list(range(20)), loss=[0.0] * 20)
    for attempt in range(1, 11):
        job.log(list(range(attempt, 20)), loss=[float(attempt)] * (20 - attempt), rewind=attempt)
    series = read_curves(reader, api)["series"]["r"]
    assert series["y"] == [*map(float, range(10)), *[10.0] * 10]
    assert series["superseded"] == sum(20 - attempt for attempt in range(1, 11))
    path = f"/p/{api.project.slug}/r/r/curves.json?m=loss&old=1"
    (chart,) = reader.get(path).json()["charts"]
    assert len(chart["series"]) == 11


def test_u15_all_three_kinds_are_marked_and_counted_never_zero(api: Api, reader: Client) -> None:
    log_run(api, "r", [2.0, "NaN", "Infinity", "-Infinity", 1.0])
    series = read_curves(reader, api)["series"]["r"]
    assert [mark[1:] for mark in series["marks"]] == [
        ["NaN", 1, 2.0],
        ["Infinity", 1, 2.0],
        ["-Infinity", 1, 2.0],
    ]
    assert series["y"] == [2.0, None, None, None, 1.0]
    assert series["breaks"] == [1, 2, 3]


def test_u24_log_x_counts_what_it_has_no_room_for(api: Api, reader: Client) -> None:
    Job(api, open_run(api, "r")).log([0, 1, 2], loss=[9.0, 0.0, 2.0])
    chart = read_curves(reader, api, xs="log", ys="log")
    assert (chart["x_nonpositive"], chart["series"]["r"]["nonpositive"]) == (1, 1)
    assert (chart["x"], chart["series"]["r"]["y"]) == ([1.0, 2.0], [None, 2.0])


def test_u25_one_metric_stands_on_steps_tokens_and_flops(api: Api, reader: Client) -> None:
    """Logged once; the facts of each run say how many tokens and FLOPs a step is."""
    for uid, size in (("small", 10), ("large", 1000)):
        scale = {"n_params": size, "n_tokens": 400, "flops": 6 * size * 400}
        log_run(api, uid, [4.0, 3.0], scale=scale)
    assert read_curves(reader, api)["x"] == [1, 2]
    assert read_curves(reader, api, x="tokens")["x"] == [200, 400]
    assert read_curves(reader, api, x="flops")["x"] == [12e3, 24e3, 12e5, 24e5]


def test_u27_groups_use_every_run_and_say_how_many(api: Api, reader: Client) -> None:
    for lr in (1, 2):
        for seed in range(60):
            config = {"lr": lr, "seed": seed, "opt": "adam" if seed % 2 else "sgd"}
            log_run(api, f"r{lr}-{seed}", [lr + seed / 60], config=config)
    chart = read_curves(reader, api, color="!seed", agg="mean", p="all")
    assert [line["n_runs"] for line in chart["lines"]] == [30] * 4
    assert chart["points_total"] == 120
    keys = {"color": "config.lr", "dash": "config.opt"}
    chart = read_curves(reader, api, agg="mean", p="all", **keys)
    assert {line["key"] for line in chart["lines"]} == {
        f"config.lr {lr}, config.opt {opt}" for lr in (1, 2) for opt in ("adam", "sgd")
    }


def read_highest(values: Sequence[float | None]) -> np.ndarray:
    """Return the greatest value of each bucket."""
    known = np.array([-np.inf if value is None else value for value in values])
    return known.reshape(-1, 4).max(axis=1)


def test_u28_means_and_spreads_are_those_of_all_raw_points(api: Api, reader: Client) -> None:
    table = np.random.default_rng(7).normal(size=(3, 6000)).cumsum(axis=1)
    for uid, values in zip("abc", table.tolist(), strict=True):
        log_run(api, uid, values)
    mean, spread = table.mean(axis=0), table.std(axis=0, ddof=1)
    for area, half in (("std", 1.0), ("stderr", 3**-0.5), ("ci", 4.303 * 3**-0.5)):
        chart = read_curves(reader, api, color="-", agg="mean", area=area)
        (series,), (band,) = chart["series"].values(), chart["bands"].values()
        buckets = Grid(chart["lo"], chart["hi"], chart["buckets"]).place(np.arange(1.0, 6001))
        for found, wanted in ((series["y"], mean), (band["high"], mean + spread * half)):
            expected = [wanted[buckets == bucket].max() for bucket in np.unique(buckets)]
            highest = read_highest(found)[np.unique(buckets)]
            assert highest == pytest.approx(expected, rel=1e-4, abs=1e-4)


def test_u28_no_line_joins_averages_of_different_runs(api: Api, reader: Client) -> None:
    """Where runs have ended, the average goes on as a curve of its own, without an area."""
    for uid, values in SEEDS.items():
        log_run(api, uid, values)
    chart = read_curves(reader, api, color="-", agg="mean", area="minmax")
    ((key, series),) = chart["series"].items()
    assert series["y"] == [3.0, 4.0, None, None]
    assert chart["fewer"][key] == [None, None, 3.0, 4.0]
    assert chart["bands"][key]["high"] == [5.0, 6.0, None, None]
    assert chart["groups"][key]["counts"] == [[1, 3], [3, 1]]


def test_u28_a_zoom_does_not_change_an_average(api: Api, reader: Client) -> None:
    """What lies just outside the window still says where its run passes inside."""
    Job(api, open_run(api, "a")).log([0, 10, 20], loss=[0.0, 10.0, 20.0])
    Job(api, open_run(api, "b")).log([0, 4, 12, 20], loss=[2.0, 6.0, 14.0, 22.0])
    (series,) = read_curves(reader, api, color="-", agg="mean", xr="3,13")["series"].values()
    assert series["y"] == [5.0, 11.0, 13.0]


def test_u28_the_table_shows_mean_and_spread_of_each_group(api: Api, reader: Client) -> None:
    for uid, last in (("a", 2.0), ("b", 4.0), ("c", "NaN")):
        log_run(api, uid, [9.0, last])
    path = f"/p/{api.project.slug}/explore?m=loss&color=-&agg=mean"
    page = reader.get(path).content.decode()
    note = "mean of the last values of 2 runs, standard deviation, 1 not finite"
    assert f'title="{note}">3 <span class="muted">± 1.4</span>' in page
