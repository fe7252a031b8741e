"""Smoothing and averages: over every point, with whatever is not finite counted."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from runs.groups import group_runs
from runs.models import Run
from runs.series import Curve
from runs.smoothing import average, smooth
from tests.runs.factories import Job, make_api, open_run
from tests.teams.factories import Api, error_of


def smooth_slowly(y: np.ndarray, beta: float) -> list[float]:
    """The definition, one value at a time."""
    total = weight = 0.0
    found = []
    for value in y.tolist():
        total, weight = beta * total + value, beta * weight + 1
        found.append(total / weight)
    return found


@given(
    st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=200),
    st.sampled_from([0.0, 0.1, 0.5, 0.9, 0.99, 0.9999]),
)
def test_smoothing_is_the_debiased_average(values: list[float], beta: float) -> None:
    y = np.array(values)
    # Sums of up to 200 terms of 1e6: rounding stays far below 1e-6.
    assert smooth(y, beta) == pytest.approx(smooth_slowly(y, beta), rel=1e-12, abs=1e-6)


def test_smoothing_leaves_non_finite_values_in_place_and_out_of_the_average() -> None:
    found = smooth(np.array([1.0, np.nan, 3.0, np.inf]), 0.5)
    assert np.isnan(found[1]) and found[3] == np.inf
    assert found[[0, 2]].tolist() == [1.0, (3.0 + 0.5 * 1.0) / 1.5]


def curve(x: list[float], y: list[float]) -> Curve:
    return Curve(np.array(x), np.array(y))


def test_average_is_taken_where_any_run_has_a_point() -> None:
    found = average([curve([0, 2], [0.0, 2.0]), curve([1, 2], [5.0, 4.0])], "mean", "minmax")
    assert found.x.tolist() == [0, 1, 2]
    assert found.middle.tolist() == [0.0, 3.0, 3.0]
    assert (found.low.tolist(), found.high.tolist()) == ([0.0, 1.0, 2.0], [0.0, 5.0, 4.0])
    assert found.n_runs.tolist() == [1, 2, 2]


def test_non_finite_points_are_left_out_and_counted() -> None:
    curves = [curve([0, 1, 2], [1.0, np.nan, 3.0]), curve([0, 1, 2], [3.0, np.inf, 5.0])]
    found = average(curves, "mean", "std")
    assert (found.middle.tolist(), found.n_nonfinite) == ([2.0, 3.0, 4.0], 2)


@pytest.mark.parametrize(
    ("band", "half"), [("std", 1.0), ("stderr", 1 / np.sqrt(3)), ("ci", 4.303 / np.sqrt(3))]
)
def test_band_of_three_seeds(band: str, half: float) -> None:
    found = average([curve([0], [value]) for value in (1.0, 2.0, 3.0)], "median", band)
    assert found.middle[0] == 2.0
    assert found.high[0] - found.middle[0] == pytest.approx(half, rel=1e-12)


def test_all_but_seed_labels_groups_by_what_differs() -> None:
    runs = [
        Run(uid=f"{lr}-{seed}", config={"optim": {"lr": lr}, "train": {"seed": seed}, "depth": 4})
        for lr in (0.1, 0.2)
        for seed in (1, 2)
    ]
    found = group_runs(runs, "except:seed")
    assert {label: [run.uid for run in group] for label, group in found.items()} == {
        "optim.lr=0.1": ["0.1-1", "0.1-2"],
        "optim.lr=0.2": ["0.2-1", "0.2-2"],
    }


@pytest.fixture
def api(db: None) -> Api:
    """Two learning rates with two seeds each."""
    api = make_api()
    for lr in (1, 2):
        for seed in (0, 1):
            run = open_run(api, f"r{lr}{seed}", config={"lr": lr, "seed": seed}, group=f"g{lr}")
            Job(api, run).log([1, 2], metrics={"loss": [lr + seed, lr - seed], "acc": [0.5, 0.7]})
    return api


def series(api: Api, query: str) -> dict[str, object]:
    path = f"series?project={api.project.slug}&runs=r10,r11,r20,r21&metric=loss&{query}"
    answer = api.get(path)
    assert answer.status_code == 200, answer.content
    return answer.json()


def test_groups_have_a_curve_and_a_band(api: Api) -> None:
    found = series(api, "group=except:seed")
    assert set(found["series"]) == set(found["groups"]) == {"lr=1", "lr=2"}
    assert found["series"]["lr=1"]["y"] == [1.5, 0.5]
    assert found["bands"]["lr=1"] == {"low": [1.0, 0.0], "high": [2.0, 1.0]}
    assert found["groups"]["lr=2"]["runs"] == ["r20", "r21"]


def test_runs_group_by_a_field_too(api: Api) -> None:
    assert set(series(api, "group=group&agg=median&band=std")["series"]) == {
        "group=g1",
        "group=g2",
    }
    assert set(series(api, "group=config.seed")["series"]) == {"seed=0", "seed=1"}


def test_smoothing_is_applied_before_points_are_left_out(api: Api) -> None:
    found = series(api, "smooth=0.5")["series"]["r11"]["y"]
    assert found == pytest.approx([2.0, (0.0 + 0.5 * 2.0) / 1.5])


def test_any_metric_can_be_the_axis(api: Api) -> None:
    found = series(api, "x=metric:acc")
    assert (found["x"], found["series"]["r10"]["y"]) == ([0.5, 0.7], [1.0, 1.0])
    assert series(api, "x=metric:none")["without_x"] == ["r10", "r11", "r20", "r21"]


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("smooth=1", "smooth"),
        ("smooth=nan", "smooth"),
        ("group=lr", "group"),
        ("agg=max", "agg"),
        ("group=group&band=iqr", "band"),
        ("x=metric:", "x"),
    ],
)
def test_odd_wish_is_422_and_named(api: Api, query: str, field: str) -> None:
    path = f"series?project={api.project.slug}&runs=r10&metric=loss&{query}"
    status, _, named = error_of(api.get(path))
    assert (status, named) == (422, field)
