"""Two ladders against each other (LAWS 4.4 s3, s4; 4.5)."""

from __future__ import annotations

import numpy as np
import pytest

from fitting.maths.compare import (
    Crossing,
    LadderComparison,
    compare_ladders,
    find_crossing,
)
from fitting.maths.gains import Gain, GainLine, measure_gain, trace_gain
from fitting.maths.types import Fit, FloatArray, Refusal, Rows, Settings
from tests.fitting.maths.reference import read_reference
from tests.fitting.maths.synthetic import fit_rows

SLUG = "power_law_constant"


def fit_ladder(flops: FloatArray, loss: FloatArray, seed: int, replicas: int = 1000) -> Fit:
    return fit_rows(SLUG, Rows({"x": flops}, loss), Settings(replicas, seed))


def read_families() -> tuple[Fit, Fit, float, float]:
    data = read_reference("synthetic/crossover.csv")
    parts = [data[data["family"] == name] for name in ("a", "b")]
    first, second = (
        fit_ladder(part["compute"], part["loss"], seed) for seed, part in enumerate(parts)
    )
    return first, second, float(data["compute"].min()), float(data["compute"].max())


def test_golden_s3_crossing() -> None:
    first, second, low, high = read_families()
    assert first.values()["L_inf"] == pytest.approx(1.8512, abs=1e-3)
    assert second.values()["L_inf"] == pytest.approx(1.7340, abs=1e-3)
    crossing = find_crossing(first, second, low, high)
    assert isinstance(crossing, Crossing)
    assert crossing.flops == pytest.approx(7.753e18, rel=0.01)
    assert crossing.median == pytest.approx(7.8e18, rel=0.03)
    assert crossing.interval is not None
    ends = (crossing.interval.low, crossing.interval.high)
    assert ends == pytest.approx((5.8e18, 1.02e19), rel=0.1)
    assert not crossing.extrapolated
    assert not crossing.one_sided


@pytest.mark.parametrize(("flops", "truth"), [(1e18, 0.6257), (1e20, 1.9160), (1e21, 3.7574)])
def test_golden_s4_compute_equivalent_gain(flops: float, truth: float) -> None:
    first, second, low, high = read_families()
    gain = measure_gain(first, second, flops, (low, high))
    assert isinstance(gain, Gain)
    assert gain.gain == pytest.approx(truth, rel=0.03)
    assert gain.interval is not None


def test_the_gain_along_the_ladder_agrees_with_the_gain_at_a_point() -> None:
    first, second, low, high = read_families()
    line = trace_gain(first, second, (1e18, 1e20), (low, high))
    assert isinstance(line, GainLine)
    ends = [measure_gain(first, second, flops, (low, high)) for flops in (1e18, 1e20)]
    assert line.gain[[0, -1]] == pytest.approx([end.gain for end in ends], rel=1e-6)
    assert line.low[0] == pytest.approx(ends[0].interval.low, rel=1e-6)
    assert line.high[-1] == pytest.approx(ends[1].interval.high, rel=1e-6)


def test_a_gain_beyond_a_decade_of_the_reference_is_no_number() -> None:
    first, second, low, high = read_families()
    line = trace_gain(first, second, (1e18, 1e26), (low, high))
    assert np.isnan(line.gain[-1])
    assert not line.extrapolated[0]
    assert line.extrapolated[-1]


def make_ladder(offset: float, seed: int, replicas: int = 300) -> Fit:
    flops = np.geomspace(1e17, 1e22, 14)
    noise = 1 + 0.001 * np.random.default_rng(seed).standard_normal(14)
    loss = (1.8 + offset + 2.0 * (flops / 1e17) ** -0.1) * noise
    return fit_ladder(flops, loss, seed, replicas)


def test_parallel_curves_have_no_significant_crossing() -> None:
    refusal = find_crossing(make_ladder(0.0, 0), make_ladder(0.5, 1), 1e17, 1e22)
    assert isinstance(refusal, Refusal)
    assert "no significant crossing" in refusal.sentence


def test_verdict_names_the_compute_above_which_one_is_better() -> None:
    result = compare_ladders(make_ladder(0.5, 0), make_ladder(0.0, 1), 1e17, 1e22)
    assert isinstance(result, LadderComparison)
    assert result.verdict.startswith("the second is better above C = 1e+17")


def test_equal_ladders_have_no_winner() -> None:
    result = compare_ladders(make_ladder(0.0, 0), make_ladder(0.0, 1), 1e17, 1e22)
    assert isinstance(result, LadderComparison)
    assert result.verdict.startswith("no difference")


def test_gain_beyond_the_reference_is_refused() -> None:
    refusal = measure_gain(make_ladder(0.5, 0), make_ladder(0.0, 1), 1e21, (1e17, 1e22))
    assert isinstance(refusal, Refusal)
    assert "does not reach a loss" in refusal.sentence


def test_different_options_are_not_compared() -> None:
    rows = Rows({"x": np.geomspace(1, 1e4, 9)}, 1 + np.geomspace(1, 1e4, 9) ** -0.3)
    first = fit_rows(SLUG, rows, Settings(replicas=0))
    second = fit_rows(SLUG, rows, Settings(0, options={"delta": 1e-3}))
    refusal = compare_ladders(first, second, 1.0, 1e4)
    assert isinstance(refusal, Refusal)
    assert refusal.code == "different_settings"


def test_crossover_as_a_law_gives_the_same_crossing() -> None:
    data = read_reference("synthetic/crossover.csv")
    groups = tuple(str(name) for name in data["family"])
    rows = Rows({"flops": data["compute"]}, data["loss"], groups=groups)
    fit = fit_rows("crossover", rows, Settings(options={"gain_at": 1e20}))
    interval = fit.params["gain"].interval
    assert interval is not None
    assert interval.low < 1.9160 < interval.high  # the truth of the file
    assert fit.values()["crossing"] == pytest.approx(7.753e18, rel=0.01)
    assert fit.values()["gain"] == pytest.approx(1.9160, rel=0.03)
    interval = fit.params["crossing"].interval
    assert interval is not None
    assert (interval.low, interval.high) == pytest.approx((5.8e18, 1.02e19), rel=0.1)


def test_crossover_of_one_ladder_is_refused() -> None:
    from tests.fitting.maths.synthetic import refuse_rows

    x = np.geomspace(1e17, 1e20, 9)
    rows = Rows({"flops": x}, 2 + x**-0.1, groups=("a",) * 9)
    assert "needs two ladders; the group column has 1: a" in refuse_rows("crossover", rows).sentence
