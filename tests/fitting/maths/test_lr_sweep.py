"""The learning-rate page's analysis as a whole."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fitting.maths.diagnose.stable_lr import StableLr
from fitting.maths.laws.lr_optimum import LrExponent, LrOptimum
from fitting.maths.laws.lr_sensitivity import LrSensitivity, SensitivityLaw
from fitting.maths.lr_sweep import LrSweepSettings, LrSweepTable, analyse_lr_sweep
from fitting.maths.types import Refusal
from tests.fitting.maths.trial_sweep import LRS, SIZES, make_trial_table

FAST = LrSweepSettings(replicas=50)
# DIAGNOSTICS D17: highest stable learning rate of the trial, widths 16, 32, 64, 128.
STABLE = {"off": (0.1, 0.03, 0.01, 0.01), "on": (0.1, 0.1, 0.03, 0.01)}


def take_rows(table: LrSweepTable, places: list[int]) -> LrSweepTable:
    return LrSweepTable(
        run_ids=tuple(table.run_ids[place] for place in places),
        scale=table.scale[places],
        variant=tuple(table.variant[place] for place in places),
        peak_lr=table.peak_lr[places],
        loss=table.loss[places],
        loss_at_init=table.loss_at_init[places],
        seed=table.seed[places],
        finished=table.finished[places],
        diverged=table.diverged[places],
    )


@pytest.mark.parametrize("variant", ["off", "on"])
def test_golden_d17_highest_stable_learning_rates(variant: str) -> None:
    result = analyse_lr_sweep(make_trial_table(), FAST)
    found = [item.stable for item in result.scales if item.variant == variant]
    assert all(isinstance(item, StableLr) for item in found)
    assert [item.lr for item in found if isinstance(item, StableLr)] == list(STABLE[variant])


def test_golden_d16_best_rate_falls_with_size_in_the_trial() -> None:
    result = analyse_lr_sweep(make_trial_table())
    for variant in result.variants:
        assert isinstance(variant.exponent, LrExponent)
        assert variant.exponent.exponent < -0.1
        assert variant.exponent.interval is not None
        assert (variant.exponent.n_scales, variant.exponent.n_censored) == (4, 0)


def test_optima_of_the_trial_lie_within_a_grid_step_of_the_best_run() -> None:
    result = analyse_lr_sweep(make_trial_table(), FAST)
    for item in result.scales:
        assert isinstance(item.optimum, LrOptimum)
        best = item.points.lr[np.argmin(item.points.loss)]
        assert abs(np.log(item.optimum.lr / best)) < np.log(3.4)


def test_unfinished_run_takes_no_part_and_is_listed() -> None:
    table = make_trial_table()
    finished = table.finished.copy()
    finished[0] = False
    result = analyse_lr_sweep(replace(table, finished=finished), FAST)
    assert [(item.rule, item.ids) for item in result.exclusions] == [
        ("unfinished", (table.run_ids[0],))
    ]
    sensitivity = result.scales[0].sensitivity
    assert isinstance(sensitivity, LrSensitivity)
    assert sensitivity.coverage == "6/7"


@pytest.mark.parametrize("loss", [np.nan, np.inf, -np.inf, 1e9])
def test_diverged_run_is_capped_in_the_sensitivity_and_dropped_from_the_parabola(
    loss: float,
) -> None:
    table = make_trial_table()
    losses = table.loss.copy()
    losses[6] = loss
    result = analyse_lr_sweep(replace(table, loss=losses), FAST)
    assert [(item.rule, item.count) for item in result.exclusions] == [("diverged", 1)]
    scale = result.scales[0]
    assert isinstance(scale.sensitivity, LrSensitivity)
    assert scale.sensitivity.losses[-1] == 5.8
    assert scale.points.diverged_lr.tolist() == [LRS[6]]


def test_crashed_divergent_run_counts_as_the_initial_loss() -> None:
    table = make_trial_table()
    finished, diverged = table.finished.copy(), table.diverged.copy()
    finished[6], diverged[6] = False, True
    result = analyse_lr_sweep(replace(table, finished=finished, diverged=diverged), FAST)
    sensitivity = result.scales[0].sensitivity
    assert isinstance(sensitivity, LrSensitivity)
    assert sensitivity.losses[-1] == 5.8


def test_two_sizes_with_one_rate_are_refused_in_the_words_of_the_page() -> None:
    table = make_trial_table()
    places = [place for place in range(len(table.run_ids)) if table.run_ids[place].endswith("0.01")]
    small = [place for place in places if table.scale[place] < 1e5]
    result = analyse_lr_sweep(take_rows(table, small), FAST)
    assert result.refusal is not None
    assert result.refusal.sentence == "needs >= 3 LRs at >= 2 sizes; have 2 sizes x 1 LR"


def test_empty_study_is_refused_without_error() -> None:
    result = analyse_lr_sweep(take_rows(make_trial_table(), []), FAST)
    assert result.refusal is not None
    assert "no finished run" in result.refusal.sentence


def test_everything_diverged_gives_refusals_only() -> None:
    table = make_trial_table()
    result = analyse_lr_sweep(replace(table, loss=np.full(table.loss.size, np.nan)), FAST)
    assert result.n_used == 0
    assert all(isinstance(item.optimum, Refusal) for item in result.scales)
    assert all(isinstance(item.exponent, Refusal) for item in result.variants)


def test_result_is_plain_data_for_a_json_encoder() -> None:
    plain = analyse_lr_sweep(make_trial_table(), FAST).to_dict()
    assert json.loads(json.dumps(plain))["digest"] == plain["digest"]


def test_replicas_stay_out_of_the_plain_data() -> None:
    assert "replicas" not in json.dumps(
        analyse_lr_sweep(make_trial_table(), FAST).to_dict()["scales"]
    )


@settings(max_examples=15, deadline=None)
@given(st.permutations(range(52)))
def test_row_order_changes_nothing(order: list[int]) -> None:
    table = make_trial_table()
    first = analyse_lr_sweep(table, FAST).to_dict()
    second = analyse_lr_sweep(take_rows(table, list(order)), FAST).to_dict()
    assert json.dumps(first) == json.dumps(second)


def test_seed_moves_intervals_only() -> None:
    first = analyse_lr_sweep(make_trial_table(), LrSweepSettings(seed=1))
    second = analyse_lr_sweep(make_trial_table(), LrSweepSettings(seed=2))
    for one, other in zip(first.scales, second.scales, strict=True):
        assert isinstance(one.optimum, LrOptimum)
        assert isinstance(other.optimum, LrOptimum)
        assert one.optimum.lr == other.optimum.lr
        assert one.optimum.interval != other.optimum.interval


def test_changed_loss_changes_the_digest() -> None:
    table = make_trial_table()
    changed = replace(table, loss=table.loss + 1e-12)
    assert table.digest() != changed.digest()


@settings(max_examples=40, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.sampled_from([*SIZES.values(), np.nan, -1.0]),
            st.sampled_from([*LRS, 2e-2, 0.0, np.nan]),
            st.sampled_from([2.0, 2.5, 3.0, 1e30, np.nan, np.inf, -np.inf]),
            st.sampled_from([5.8, np.nan]),
            st.booleans(),
            st.booleans(),
        ),
        max_size=30,
    )
)
def test_any_table_gives_a_result(
    rows: list[tuple[float, float, float, float, bool, bool]],
) -> None:
    columns = [np.array(column) for column in zip(*rows, strict=True)] or [np.empty(0)] * 6
    table = LrSweepTable(
        run_ids=tuple(f"r{place}" for place in range(len(rows))),
        scale=columns[0].astype(float),
        variant=("",) * len(rows),
        peak_lr=columns[1].astype(float),
        loss=columns[2].astype(float),
        loss_at_init=columns[3].astype(float),
        seed=np.zeros(len(rows)),
        finished=columns[4].astype(bool),
        diverged=columns[5].astype(bool),
    )
    result = analyse_lr_sweep(table, FAST)
    assert result.n_runs == len(rows)
    json.dumps(result.to_dict())


def test_sensitivity_law_of_a_variant_needs_equal_grids() -> None:
    result = analyse_lr_sweep(make_trial_table(), FAST)
    for variant in result.variants:
        assert isinstance(variant.sensitivity, Refusal)
        assert variant.sensitivity.code == "different_grids"


def test_sensitivity_law_carries_an_interval_from_seeds() -> None:
    table = make_trial_table()
    small = [place for place in range(len(table.run_ids)) if table.scale[place] < 2e5]
    once = take_rows(table, small)
    rng = np.random.default_rng(0)
    twice = LrSweepTable(
        run_ids=(*once.run_ids, *(f"{name}-again" for name in once.run_ids)),
        scale=np.tile(once.scale, 2),
        variant=once.variant * 2,
        peak_lr=np.tile(once.peak_lr, 2),
        loss=np.tile(once.loss, 2) + 0.01 * rng.standard_normal(2 * len(small)),
        loss_at_init=np.tile(once.loss_at_init, 2),
        seed=np.repeat([0.0, 1.0], len(small)),
        finished=np.tile(once.finished, 2),
        diverged=np.tile(once.diverged, 2),
    )
    for variant in analyse_lr_sweep(twice, FAST).variants:
        assert isinstance(variant.sensitivity, SensitivityLaw)
        assert variant.sensitivity.exponent < 0.0
        assert variant.sensitivity.interval is not None
