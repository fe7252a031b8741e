"""The x axis of a metric: what its script named with define_metric, and what a reader chooses."""

from __future__ import annotations

from urllib.parse import urlencode

import pytest
from django.test import Client

from runs.axes import group_axes
from runs.models import Run
from runs.step_metrics import choose_axis, find_step_metric, list_axes, list_grown
from tests.runs.factories import Job, open_run
from tests.teams.factories import Api

BY_EPOCH = {"_scaledash": {"metrics": {"val/*": {"step_metric": "epoch"}}}}
LOGGED = {"epoch": {}, "val/loss": {}}


def log_epochs(api: Api, uid: str, config: dict[str, object]) -> Run:
    """Log a loss at each step, and a validation loss with its epoch at every tenth."""
    run = open_run(api, uid, name=uid, config=config)
    job = Job(api, run)
    job.log([0, 10, 20], metrics={"val/loss": [4.0, 3.0, 2.0], "epoch": [0.0, 0.5, 1.0]})
    job.log([0, 5, 10, 15, 20], metrics={"train/loss": [5.0, 4.0, 3.0, 2.5, 2.0]})
    return run


def read_run_charts(reader: Client, api: Api, **query: str) -> dict[str, dict[str, object]]:
    path = f"/p/{api.project.slug}/r/a/curves.json"
    answer = reader.get(f"{path}?m=val/loss&m=train/loss&{urlencode(query)}")
    return {chart["metric"]: chart for chart in answer.json()["charts"]}


def read_explored(reader: Client, api: Api, **query: str) -> dict[str, object]:
    keys = {"m": "val/loss", "metric": "val/loss", **query}
    return reader.get(f"/p/{api.project.slug}/explore/curves.json?{urlencode(keys)}").json()


def test_a_name_counts_before_a_pattern_and_a_long_pattern_before_a_short_one() -> None:
    defined = {"*": "a", "val/*": "b", "val/loss": "c"}
    found = [find_step_metric(defined, name) for name in ("val/loss", "val/acc", "train/loss")]
    assert found == ["c", "b", "a"]
    assert find_step_metric({"val/*": "b"}, "train/loss") == ""


def test_an_axis_on_which_no_logged_metric_stands_is_not_listed() -> None:
    assert list_axes(BY_EPOCH, LOGGED) == {"epoch"}
    assert list_axes(BY_EPOCH, {"epoch": {}, "train/loss": {}}) == set()
    assert list_axes(BY_EPOCH, {"val/loss": {}}) == set()


def test_runs_that_name_different_axes_stand_on_steps() -> None:
    assert choose_axis([(BY_EPOCH, LOGGED)], "val/loss") == "metric:epoch"
    assert choose_axis([(BY_EPOCH, LOGGED), ({}, {})], "val/loss") == "metric:epoch"
    assert choose_axis([(BY_EPOCH, LOGGED), ({}, LOGGED)], "val/loss") == "step"
    assert choose_axis([(BY_EPOCH, {"val/loss": {}})], "val/loss") == "step"
    assert choose_axis([({"_scaledash": "broken"}, LOGGED)], "val/loss") == "step"


def test_each_chart_of_a_run_stands_on_the_axis_that_its_script_named(
    api: Api, reader: Client
) -> None:
    log_epochs(api, "a", BY_EPOCH)
    charts = read_run_charts(reader, api, at="5,20")
    assert (charts["val/loss"]["x_axis"], charts["val/loss"]["x"]) == ("metric:epoch", [0, 0.5, 1])
    assert charts["val/loss"]["at"] == {"5": 0.0, "20": 1.0}
    assert (charts["train/loss"]["x_axis"], charts["train/loss"]["x"][1]) == ("step", 5)
    chosen = read_run_charts(reader, api, x="step")
    assert {chart["x_axis"] for chart in chosen.values()} == {"step"}
    anything = read_run_charts(reader, api, x="metric:epoch")["train/loss"]
    assert (anything["x_axis"], anything["points_total"], anything["hi"]) == ("metric:epoch", 5, 1)


def test_the_explorer_begins_on_the_axis_that_the_scripts_named(api: Api, reader: Client) -> None:
    log_epochs(api, "a", BY_EPOCH)
    (chart,) = read_explored(reader, api)["charts"]
    assert (chart["x_axis"], chart["x"]) == ("metric:epoch", [0.0, 0.5, 1.0])
    (chart,) = read_explored(reader, api, x="step")["charts"]
    assert (chart["x_axis"], chart["x"]) == ("step", [0, 10, 20])
    page = reader.get(f"/p/{api.project.slug}/explore?m=val/loss").content.decode()
    assert '<option value="" selected>auto: epoch</option><option value="step">step' in page


def test_what_only_grew_stands_first_among_the_metrics_of_the_menu() -> None:
    grew, fell = {"last": 9, "min": 0, "max": 9}, {"last": 1, "min": 1, "max": 9}
    flat, odd = {"last": 1, "min": 1, "max": 1}, {"last": "NaN", "min": 0, "max": 9}
    first = {"epoch": grew, "loss": fell, "const": flat, "odd": odd, "both": grew}
    assert list_grown([first, {"both": fell}], []) == ["epoch"]
    assert list_grown([first], ["loss"]) == ["both", "epoch", "loss"]
    run = Run(uid="r", config={}, summary={"epoch": grew, "loss": fell})
    menu = group_axes([run], ["step", "time"], ["epoch", "loss"], "metric:gone")
    assert [(title, [value for value, _, _ in choices]) for title, choices in menu] == [
        ("", ["", "time", "metric:gone"]),
        ("Metrics that grew", ["metric:epoch"]),
        ("Other metrics", ["metric:loss"]),
    ]
    assert [text for _, choices in menu for _, text, is_chosen in choices if is_chosen] == ["gone"]


def test_the_curve_of_a_run_is_smoothed_over_every_point(api: Api, reader: Client) -> None:
    log_epochs(api, "a", {})
    series = read_run_charts(reader, api, sm="0.5")["val/loss"]["series"]["a"]
    assert series["y"] == [4.0, 3.0, 2.0]
    assert series["smooth"] == pytest.approx([4.0, 5 / 1.5, (2 + 1.5 + 1) / 1.75])
