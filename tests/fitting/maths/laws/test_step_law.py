"""The step law by both rules (LAWS 4.2)."""

from __future__ import annotations

import numpy as np
import pytest

from fitting.maths.laws.lr_sensitivity import integrate_range
from fitting.maths.regression import regress
from fitting.maths.types import FloatArray, Rows, Settings
from tests.fitting.maths.reference import read_reference, read_steplaw
from tests.fitting.maths.synthetic import fit_rows, refuse_rows

POINT = Settings(replicas=0)


def test_golden_e1_published_bootstrap() -> None:
    data = read_reference("steplaw_published_bootstrap.csv")
    means = [data[name].mean() for name in ("lr_coefN", "lr_coefD", "bs_coefD")]
    assert means == pytest.approx([-0.71292, 0.30749, 0.57094], abs=1e-4)
    factors = np.exp([data["lr_intercept"].mean(), data["bs_intercept"].mean()])
    assert factors == pytest.approx([1.7973, 0.58069], abs=1e-3)
    ranges = {"lr_coefN": (-0.774, -0.655), "lr_coefD": (0.271, 0.345), "bs_coefD": (0.534, 0.606)}
    for name, golden in ranges.items():
        ends = np.quantile(data[name], [0.025, 0.975])
        assert ends == pytest.approx(golden, abs=1e-3), name


@pytest.mark.parametrize(
    ("threshold", "n", "golden"),
    [
        (
            0.0025,
            129,
            {
                "lr_const": 4.35268,
                "lr_N": -0.76623,
                "lr_D": 0.19701,
                "bs_const": -1.56771,
                "bs_D": 0.61253,
            },
        ),
        (0.001, 47, {"lr_N": -0.75529, "lr_D": 0.20514, "bs_D": 0.66803}),
        (0.005, 260, {"lr_N": -0.71174, "lr_D": 0.17313, "bs_D": 0.49566}),
    ],
    ids=["e2", "e2b-low", "e2b-high"],
)
def test_golden_e2_threshold_rule(threshold: float, n: int, golden: dict[str, float]) -> None:
    fit = fit_rows("step_law_threshold", read_steplaw(), POINT.with_options(threshold=threshold))
    assert fit.warnings[0].startswith(f"{n} runs")
    assert {name: fit.values()[name] for name in golden} == pytest.approx(golden, abs=1e-4)


def test_golden_e3_surface_rule() -> None:
    fit = fit_rows("step_law_surface", read_steplaw(), POINT)
    golden = {
        "lr_const": 2.35624,
        "lr_N": -0.69476,
        "lr_D": 0.20818,
        "bs_const": -0.60529,
        "bs_D": 0.56908,
    }
    assert fit.values() == pytest.approx(golden, abs=1e-4)
    assert [bool(row["used"]) for row in fit.table] == [True] * 17


def curves_of_steplaw() -> list[tuple[float, float, float, FloatArray, FloatArray]]:
    """Return (N, D, B, lr, loss) of each curve with >= 6 rates and an interior minimum."""
    rows = read_steplaw()
    keys = np.stack([rows.columns[r] for r in ("n_params", "n_tokens", "batch_tokens")], axis=1)
    curves = []
    for key in np.unique(keys, axis=0):
        here = np.flatnonzero(np.all(keys == key, axis=1))
        here = here[np.argsort(rows.columns["peak_lr"][here])]
        lr, loss = rows.columns["peak_lr"][here], rows.target[here]
        if here.size >= 6 and 0 < np.argmin(loss) < here.size - 1:
            curves.append((*(float(part) for part in key), lr, loss))
    return curves


def test_golden_e4_optimum_per_curve_with_one_neighbour() -> None:
    from fitting.maths.lr_optima import LrOptimum, find_optimum
    from fitting.maths.lr_points import gather_points

    design, optima = [], []
    for n, d, b, lr, loss in curves_of_steplaw():
        points = gather_points(lr, loss, np.zeros(lr.size, dtype=bool))
        found = find_optimum(points, neighbours=1, replicas=0)
        assert isinstance(found, LrOptimum)
        design.append([1.0, np.log(n), np.log(d), np.log(b)])
        optima.append(np.log(found.lr))
    assert len(optima) == 152
    line = regress(np.array(design), np.array(optima), np.ones((1, 152)))[0]
    assert line == pytest.approx([1.3364, -0.6073, 0.0104, 0.3055], abs=1e-3)


@pytest.mark.parametrize(
    ("common", "golden"),
    [
        (True, [0.0205, 0.0162, 0.0149, 0.0169, 0.2038]),
        (False, [0.4535, 0.5566, 0.0825, 0.4424, 0.6056]),
    ],
    ids=["e5", "e5b"],
)
def test_golden_e5_the_range_decides_the_sensitivity(common: bool, golden: list[float]) -> None:
    values: dict[float, list[float]] = {}
    for n, _, _, lr, loss in curves_of_steplaw():
        capped = np.minimum(loss, 11.0)
        own = float(capped.mean() - capped.min())
        shared = integrate_range(lr, capped, 6.91e-4, 7.812e-3)
        values.setdefault(n, []).append(shared if common else own)
    medians = [float(np.median(values[n])) for n in sorted(values)]
    assert medians == pytest.approx(golden, abs=1e-3)


def make_sweeps(noise: float = 0.0) -> Rows:
    """Return 3 x 3 cells of 7 x 7 sweeps around lr* = 2 N^-.5 D^.1, B* = D^.5."""
    parts = []
    for n in (1e7, 1e8, 1e9):
        for d in (1e9, 1e10, 1e11):
            u, v = np.meshgrid(np.linspace(-0.9, 1.1, 7), np.linspace(-1.1, 0.9, 7))
            lr = 2 * n**-0.5 * d**0.1 * np.exp(u.ravel())
            batch = d**0.5 * np.exp(v.ravel())
            loss = 3 * (1 + 0.01 * u.ravel() ** 2 + 0.004 * v.ravel() ** 2)
            parts.append([np.full(49, n), np.full(49, d), lr, batch, loss])
    n, d, lr, batch, loss = (np.concatenate(column) for column in zip(*parts, strict=True))
    loss = loss * (1 + noise * np.random.default_rng(0).standard_normal(loss.size))
    return Rows({"n_params": n, "n_tokens": d, "peak_lr": lr, "batch_tokens": batch}, loss)


def test_surface_rule_recovers_the_truth_exactly() -> None:
    values = fit_rows("step_law_surface", make_sweeps(), POINT).values()
    truth = {"lr_const": np.log(2), "lr_N": -0.5, "lr_D": 0.1, "bs_const": 0.0, "bs_D": 0.5}
    assert values == pytest.approx(truth, abs=1e-6)


@pytest.mark.parametrize("slug", ["step_law_surface", "step_law_threshold"])
def test_intervals_hold_the_truth_under_noise(slug: str) -> None:
    fit = fit_rows(slug, make_sweeps(2e-4), Settings(replicas=300))
    for name, truth in {"lr_N": -0.5, "bs_D": 0.5}.items():
        interval = fit.params[name].interval
        assert interval is not None
        assert interval.low - 0.02 <= truth <= interval.high + 0.02


def test_batch_in_the_regression_is_offered_beside() -> None:
    fit = fit_rows("step_law_threshold", read_steplaw(), POINT.with_options(with_batch=True))
    assert fit.values()["lr_D"] < 0.05 < fit.values()["lr_B"]


def test_two_cells_are_refused() -> None:
    refusal = refuse_rows("step_law_threshold", make_sweeps().take(np.arange(98)))
    assert "factor 1" in refusal.sentence or "have 2" in refusal.sentence
