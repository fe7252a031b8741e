"""The curves explorer: what is drawn, how it is told apart, and what its address says."""

from __future__ import annotations

import json
from collections.abc import Sequence
from urllib.parse import urlencode

import numpy as np
import pytest
from django.test import Client

from runs.explore import ExploreWish
from runs.explore_keys import make_colors, make_dashes, make_facets
from runs.explore_lines import build_look
from runs.explore_runs import choose_first
from runs.models import Outcome, Run
from runs.smoothing import smooth
from tests.runs.factories import Job, make_api, open_run
from tests.teams.factories import Api


def explore(reader: Client, api: Api, **keys: str) -> dict[str, object]:
    answer = reader.get(f"/p/{api.project.slug}/explore.json?{urlencode(keys)}")
    assert answer.status_code == 200
    return answer.json()


def read_curves(reader: Client, api: Api, metric: str, **keys: str) -> dict[str, object]:
    query = urlencode({"m": metric, "metric": metric, **keys})
    answer = reader.get(f"/p/{api.project.slug}/explore/curves.json?{query}")
    assert answer.status_code == 200, answer.content
    return answer.json()


def log_run(api: Api, uid: str, values: Sequence[object], **fields: object) -> Run:
    run = open_run(api, uid, name=uid, **fields)
    Job(api, run).log(list(range(1, len(values) + 1)), loss=values)
    return run


def make_run(uid: str, **fields: object) -> Run:
    return Run(uid=uid, **fields)


@pytest.mark.parametrize(
    ("counts", "first"),
    [
        ({"loss.train": 9, "loss.val": 9, "lr": 9}, ["loss.val"]),
        ({"loss.train": 9, "loss.val": 5, "lr": 9}, ["loss.val"]),
        ({"loss.train": 9, "loss.val": 1, "lr": 9}, ["loss.train"]),
        ({"lr": 9, "grad.norm": 10}, ["grad.norm"]),
        ({}, []),
    ],
)
def test_a_loss_that_hardly_any_run_logs_is_not_drawn_first(
    counts: dict[str, int], first: list[str]
) -> None:
    assert choose_first(counts) == first


def test_every_key_of_the_address_is_read() -> None:
    wish = ExploreWish.read(
        {
            "f": "lr > 0",
            "m": r"loss,a\,b",
            "x": "metric:tokens",
            "xs": "log",
            "ys": "sym",
            "xr": "1,20",
            "sm": "0.9",
            "color": "n_params",
            "dash": "config.qk",
            "facet": "!seed",
            "agg": "median",
            "area": "ci",
            "sel": "r1,r2",
            "s": "-loss",
            "p": "all",
        }
    )
    assert wish == ExploreWish(
        filter="lr > 0",
        metrics=("loss", "a,b"),
        x_axis="metric:tokens",
        x_scale="log",
        y_scale="sym",
        window=(1.0, 20.0),
        smoothing=0.9,
        color="n_params",
        dash="config.qk",
        facet="!seed",
        aggregate="median",
        area="ci",
        selected=("r1", "r2"),
        sort="-loss",
        draws_all=True,
    )


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("x", "miles"),
        ("xs", "cubic"),
        ("ys", "cubic"),
        ("xr", "9,1"),
        ("xr", "nan,1"),
        ("sm", "1.5"),
        ("sm", "much"),
        ("agg", "mode"),
        ("p", "2"),
    ],
)
def test_a_value_that_makes_no_sense_is_the_default_and_a_note(key: str, value: str) -> None:
    wish = ExploreWish.read({key: value})
    assert [note for note in wish.notes if note.startswith(f"{key}={value} ")] == list(wish.notes)
    assert len(wish.notes) == 1
    assert wish == ExploreWish(notes=wish.notes)


def test_an_area_without_an_average_says_nothing() -> None:
    assert ExploreWish.read({"area": "std"}).area == "none"


def test_sizes_are_coloured_by_their_logarithm() -> None:
    runs = [make_run(str(n), n_params=float(n)) for n in (1e3, 1e4, 1e5)]
    colors = make_colors(runs, "n_params")
    assert [level.tone for level in colors.levels] == [{"size": 0}, {"size": 0.5}, {"size": 1}]


def test_words_are_coloured_as_categories_and_rare_ones_share_a_colour() -> None:
    kinds = ["adamw"] * 3 + ["sgd"] * 2 + list("abcdef")
    runs = [make_run(str(n), config={"optimizer": kind}) for n, kind in enumerate(kinds)]
    colors = make_colors(runs, "config.optimizer")
    assert [level.text for level in colors.levels[:2]] == ["adamw", "sgd"]
    assert [level.text for level in colors.levels][5:] == ["other values"]
    assert sum(level.n_runs for level in colors.levels) == len(runs)
    assert "8 values; 5 of them are coloured" in colors.note


def test_true_and_false_are_categories_not_sizes() -> None:
    runs = [make_run("a", config={"qk": True}), make_run("b", config={"qk": False})]
    assert [level.tone for level in make_colors(runs, "qk").levels] == [{"cat": 0}, {"cat": 1}]


def test_a_run_without_the_key_is_not_set_and_last() -> None:
    runs = [make_run("a"), make_run("b", config={"qk": "ln"})]
    assert [level.text for level in make_dashes(runs, "qk").levels] == ["ln", "not set"]


def test_facets_follow_the_numbers_not_their_text() -> None:
    runs = [make_run(str(n), config={"layers": n}) for n in (10, 2, 1)]
    assert [level.text for level in make_facets(runs, "layers").levels] == ["1", "2", "10"]


def test_all_but_seed_puts_replicas_together() -> None:
    runs = [
        make_run(f"{lr}-{seed}", config={"lr": lr, "seed": seed})
        for lr in (1, 2)
        for seed in (3, 4)
    ]
    wish = ExploreWish(color="!seed", aggregate="mean")
    lines = build_look(runs, wish).lines
    assert [[run.uid for run in line.runs] for line in lines] == [["1-3", "1-4"], ["2-3", "2-4"]]


def test_few_runs_have_a_colour_each_and_many_are_coloured_by_size() -> None:
    runs = [make_run(str(n), n_params=float(1 + n)) for n in range(7)]
    assert build_look(runs[:6], ExploreWish()).color.key == "run"
    assert build_look(runs, ExploreWish()).color.key == "n_params"
    assert build_look(runs, ExploreWish(color="-")).color.levels == ()


def test_without_metrics_the_loss_is_drawn_and_others_are_offered(api: Api, reader: Client) -> None:
    run = log_run(api, "one", [3.0, 2.0])
    Job(api, run).log([1], grad_norm=[1.0])
    document = explore(reader, api)
    assert (document["metrics"], document["offered"]) == (["loss"], ["grad_norm"])


def test_a_regular_expression_stands_for_the_metrics_it_matches(api: Api, reader: Client) -> None:
    run = log_run(api, "one", [3.0])
    Job(api, run).log([1], metrics={"grad/a": [1.0], "grad/b": [1.0]})
    assert explore(reader, api, m="^GRAD/")["metrics"] == ["grad/a", "grad/b"]


def test_a_name_with_signs_of_patterns_is_a_name_first(api: Api, reader: Client) -> None:
    Job(api, open_run(api, "one")).log([1], metrics={"a.b": [1.0], "aXb": [1.0]})
    assert explore(reader, api, m="a.b")["metrics"] == ["a.b"]


def test_a_pattern_that_is_none_is_said(api: Api, reader: Client) -> None:
    log_run(api, "one", [3.0])
    document = explore(reader, api, m="(")
    assert document["metrics"] == []
    assert any("is no pattern" in note for note in document["notes"])


def test_a_filter_that_cannot_be_read_points_at_the_mistake(api: Api, reader: Client) -> None:
    log_run(api, "one", [3.0])
    document = explore(reader, api, f="lr > fast")
    assert document["error"]["position"] == 6
    assert (document["n_drawn"], document["n_matching"]) == (0, 0)


def test_filter_and_selection_choose_the_curves(api: Api, reader: Client) -> None:
    for uid, lr in (("a", 0.1), ("b", 0.2), ("c", 0.3)):
        log_run(api, uid, [3.0], config={"lr": lr})
    document = explore(reader, api, f="config.lr > 0.15", sel="c,a")
    assert [line["key"] for line in document["lines"]] == ["c"]
    assert [run["uid"] for run in document["runs"]] == ["c", "b"]
    assert document["notes"] == ["1 selected run does not match, or log none of these metrics."]


def test_the_first_hundred_are_drawn_and_all_on_request(api: Api, reader: Client) -> None:
    job_runs = [Run(project=api.project, uid=f"r{n}", summary={"loss": {}}) for n in range(103)]
    Run.objects.bulk_create(job_runs)
    log_run(api, "one", [3.0])
    first = explore(reader, api, m="loss")
    assert (first["n_drawn"], first["n_logging"]) == (100, 104)
    assert explore(reader, api, m="loss", p="all")["n_drawn"] == 104


def test_the_table_is_sorted_as_asked_and_so_are_the_curves(api: Api, reader: Client) -> None:
    for uid, last in (("a", 2.0), ("b", 1.0), ("c", 3.0)):
        log_run(api, uid, [4.0, last])
    assert [line["key"] for line in explore(reader, api, s="loss")["lines"]] == ["b", "a", "c"]


def test_facets_split_a_metric_into_charts(api: Api, reader: Client) -> None:
    for uid, qk in (("a", "on"), ("b", "off"), ("c", "on")):
        log_run(api, uid, [3.0, 2.0], config={"qk": qk})
    charts = read_curves(reader, api, "loss", facet="config.qk")["charts"]
    assert {chart["facet"]: set(chart["series"]) for chart in charts} == {
        "off": {"b"},
        "on": {"a", "c"},
    }


def test_smooth_curves_come_with_the_raw_ones_behind(api: Api, reader: Client) -> None:
    values = [3.0, 5.0, 2.0, 4.0]
    log_run(api, "a", values)
    chart = read_curves(reader, api, "loss", sm="0.6")["charts"][0]
    assert chart["series"]["a"]["y"] == values
    expected = smooth(np.array(values), 0.6)
    assert chart["series"]["a"]["smooth"] == pytest.approx(expected)


def test_a_smooth_curve_of_buckets_is_the_one_over_every_point(api: Api, reader: Client) -> None:
    values = np.sin(np.arange(6000) / 50) + np.arange(6000) % 7
    log_run(api, "a", values.tolist())
    chart = read_curves(reader, api, "loss", sm="0.99")["charts"][0]
    assert chart["method"] == "m4"
    known = [value for value in chart["series"]["a"]["smooth"] if value is not None]
    assert known[-1] == pytest.approx(smooth(values, 0.99)[-1], rel=1e-4)


def test_averages_and_areas_are_over_the_runs_of_a_group(api: Api, reader: Client) -> None:
    for uid, values in (("a", [1.0, 2.0]), ("b", [3.0, 6.0])):
        log_run(api, uid, values, config={"lr": 1, "seed": uid})
    chart = read_curves(reader, api, "loss", color="!seed", agg="mean", area="minmax")["charts"][0]
    ((key, series),) = chart["series"].items()
    assert series["y"] == [2.0, 4.0]
    assert chart["bands"][key] == {"low": [1.0, 2.0], "high": [3.0, 6.0]}
    assert (chart["lines"][0]["n_runs"], chart["points_total"]) == (2, 4)


def test_no_area_is_sent_where_none_is_asked_for(api: Api, reader: Client) -> None:
    log_run(api, "a", [1.0, 2.0])
    chart = read_curves(reader, api, "loss", agg="median")["charts"][0]
    assert chart["bands"] == {}


def test_runs_without_the_metric_or_the_axis_are_counted(api: Api, reader: Client) -> None:
    log_run(api, "a", [1.0, 2.0])
    Job(api, open_run(api, "b")).log([1], other=[1.0])
    document = read_curves(reader, api, "loss", m="loss,other", x="tokens")
    assert (document["n_without_metric"], document["without_x"]) == (1, ["a"])


def test_values_that_are_not_finite_are_marked(api: Api, reader: Client) -> None:
    log_run(api, "a", [1.0, "NaN", 3.0])
    chart = read_curves(reader, api, "loss")["charts"][0]
    assert chart["series"]["a"]["marks"] == [[1, "NaN", 1, 1.0]]


def test_unchanged_curves_are_not_sent_again(api: Api, reader: Client) -> None:
    run = log_run(api, "a", [1.0])
    open_run(api, "unrelated")
    url = f"/p/{api.project.slug}/explore/curves.json?m=loss&metric=loss"
    tag = reader.get(url)["ETag"]
    assert reader.get(url, headers={"If-None-Match": tag}).status_code == 304
    Job(api, run).log([2], loss=[0.5])
    assert reader.get(url, headers={"If-None-Match": tag}).status_code == 200


def test_curves_are_compressed_for_whoever_takes_it(api: Api, reader: Client) -> None:
    log_run(api, "a", [float(n) for n in range(500)])
    url = f"/p/{api.project.slug}/explore/curves.json?m=loss&metric=loss"
    answer = reader.get(url, headers={"Accept-Encoding": "gzip"})
    assert answer["Content-Encoding"] == "gzip"


def test_a_diverged_run_is_said_to_be_one(api: Api, reader: Client) -> None:
    run = log_run(api, "a", [1.0, "Infinity"])
    run.refresh_from_db()
    assert run.outcome == Outcome.DIVERGED
    assert explore(reader, api)["lines"][0]["is_diverged"] is True


def test_names_with_markup_show_as_text(api: Api, reader: Client) -> None:
    log_run(api, "a", [1.0], config={"kind": "<b>bold</b>"})
    Run.objects.update(name='<a href="https://x.example">run</a>')
    text = reader.get(f"/p/{api.project.slug}/explore?color=config.kind").content.decode()
    assert "<b>bold" not in text
    assert '<a href="https://x.example">' not in text


def test_the_page_reads_without_javascript(api: Api, reader: Client) -> None:
    log_run(api, "a", [2.0, 1.25])
    text = reader.get(f"/p/{api.project.slug}/explore").content.decode()
    assert "1.25" in text
    assert json.dumps({"cat": 0}).replace('"', "&quot;") in text


def test_runs_of_other_projects_are_never_drawn(api: Api, reader: Client) -> None:
    other = make_api()
    log_run(other, "theirs", [1.0])
    log_run(api, "mine", [1.0])
    assert explore(reader, api, sel="theirs")["n_drawn"] == 0


def test_the_number_of_queries_does_not_grow_with_the_runs(
    api: Api, reader: Client, django_assert_max_num_queries: object
) -> None:
    for place in range(8):
        log_run(api, f"r{place}", [1.0])
    with django_assert_max_num_queries(20):
        reader.get(f"/p/{api.project.slug}/explore?color=n_params&facet=state")


def test_archived_runs_are_left_out_and_said_unless_they_are_named(
    api: Api, reader: Client
) -> None:
    for uid in ("kept", "stored"):
        log_run(api, uid, [1.0, 2.0])
    api.patch("runs/stored", {"archived": True})

    def list_drawn(**keys: str) -> list[str]:
        return sorted(run["uid"] for run in explore(reader, api, m="loss", **keys)["runs"])

    assert list_drawn() == ["kept"]
    assert list_drawn(f="archived != null") == ["stored"]
    assert list_drawn(sel="kept,stored") == ["kept", "stored"]
    assert "1 archived run is left out" in str(explore(reader, api, m="loss")["notes"])
