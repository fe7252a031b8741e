"""A poll of live curves carries what is new, and a page puts it behind what it has."""

from __future__ import annotations

import json
from urllib.parse import urlencode

import numpy as np
import pytest
from django.test import Client

from runs.explore_news import add_tags, leave_held_out
from runs.series import Curve, View, build_payload
from tests.runs.factories import Job, open_run
from tests.teams.factories import Api


def read_chart(reader: Client, api: Api, held: str = "") -> dict[str, object]:
    query = urlencode({"m": "loss", "metric": "loss"})
    path = f"/p/{api.project.slug}/explore/curves.json?{query}"
    answer = reader.get(path, headers={"X-Held": held} if held else {})
    (chart,) = answer.json()["charts"]
    return chart


def make_chart(**sizes: int) -> dict[str, object]:
    """Return a chart of curves that each fall as far as they are long."""
    x = np.arange(1.0, max(sizes.values()) + 1)
    curves = {name: Curve(x[:size], 1 / x[:size]) for name, size in sizes.items()}
    chart = build_payload(curves, View(), "step")
    add_tags([chart])
    return chart


def cut(chart: dict[str, object], held: str) -> dict[str, object]:
    left = json.loads(json.dumps(chart))
    leave_held_out([left], held)
    return left


def test_u10_a_poll_of_fifty_live_runs_carries_what_is_new(api: Api, reader: Client) -> None:
    jobs = [Job(api, open_run(api, f"r{number}")) for number in range(50)]
    for job in jobs:
        job.log(list(range(1990)), loss=[1 / (step + 1) for step in range(1990)])
    before = read_chart(reader, api)
    for job in jobs[:3]:
        job.log([1990], loss=[0.5])
    after, news = read_chart(reader, api), read_chart(reader, api, before["held"])
    assert (news["from"], news["x"]) == (1990, [1990])
    assert {tuple(series["y"]) for series in news["series"].values()} == {(0.5,), (None,)}
    assert len(json.dumps(news)) < len(json.dumps(after)) / 20
    for name, series in news["series"].items():
        whole = before["series"][name]["y"] + series["y"]
        assert whole == after["series"][name]["y"]


def test_a_curve_of_buckets_is_sent_from_the_last_that_was_filled() -> None:
    before, after = make_chart(live=18_000, done=20_000), make_chart(live=18_500, done=20_000)
    news = cut(after, before["held"])
    for name in ("live", "done"):
        start = news["series"][name]["from"]
        assert start > 800
        assert (
            before["series"][name]["y"][: 4 * start] + news["series"][name]["y"]
            == (after["series"][name]["y"])
        )


def test_a_curve_that_changed_before_is_sent_whole_and_the_others_are_not() -> None:
    curves = {name: Curve(np.arange(1.0, 101), np.arange(100.0)) for name in ("late", "still")}
    before = build_payload(curves, View(), "step")
    add_tags([before])
    curves["late"].y[3] = np.nan
    after = build_payload(curves, View(), "step")
    add_tags([after])
    news = cut(after, before["held"])
    assert "from" not in news["series"]["late"]
    assert news["series"]["late"]["breaks"] == [3]
    assert (news["series"]["still"]["from"], news["series"]["still"]["y"]) == (100, [])


@pytest.mark.parametrize(
    "held",
    ["", ",", "x", "-", "9999999-aaaa", "20-00000000.20-00000000", "\N{SUPERSCRIPT TWO}-a.3-b"],
)
def test_another_frame_or_an_odd_header_gets_everything(held: str) -> None:
    chart = make_chart(a=20, b=10)
    assert cut(chart, held) == chart
    assert cut(chart, make_chart(a=20, c=10)["held"]) == chart


def test_averages_are_always_sent_whole(api: Api, reader: Client) -> None:
    Job(api, open_run(api, "a")).log([1, 2], loss=[1.0, 2.0])
    path = f"/p/{api.project.slug}/explore/curves.json?m=loss&metric=loss&agg=mean"
    assert "held" not in reader.get(path).json()["charts"][0]
