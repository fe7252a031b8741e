"""Parallel streams against the released losses (LAWS_FURTHER)."""

from __future__ import annotations

import numpy as np
import pytest

from fitting.maths.engine import fit_law
from fitting.maths.held_out import score_rows
from fitting.maths.registry import get_law
from fitting.maths.types import HeldOut, Rows, Settings
from tests.fitting.maths.reference import read_reference
from tests.fitting.maths.synthetic import fit_rows, make_rows, refuse_rows

SLUG = "parallel_streams"
# objective, E, alpha, amplitude, k, then the 95 % interval of k
GOLDEN = {
    "stack_v2_python": (3.676740e-5, 0.69121, 0.18936, 0.42794, 0.39346, (0.34, 0.48)),
    "pile": (1.813931e-5, 1.28859, 0.19628, 0.72734, 0.33444, (0.30, 0.37)),
}


def read_corpus(corpus: str) -> Rows:
    """Return QwenLM/ParScale@cd6acb4, one corpus."""
    data = read_reference("parscale_losses.csv")
    data = data[data["corpus"] == corpus]
    columns = {"n_params": data["params"].astype(float), "k_streams": data["P"].astype(float)}
    return Rows(columns, data["loss"])


@pytest.mark.parametrize("corpus", GOLDEN)
def test_golden_minimum(corpus: str) -> None:
    objective, constant, alpha, amplitude, k, _ = GOLDEN[corpus]
    fit = fit_rows(SLUG, read_corpus(corpus), Settings(replicas=0))
    assert fit.objective == pytest.approx(objective, rel=1e-5)
    assert fit.values()["E"] == pytest.approx(constant, abs=1e-3)
    assert fit.values()["alpha"] == pytest.approx(alpha, abs=1e-3)
    assert fit.derived["amplitude"].value == pytest.approx(amplitude, abs=1e-3)
    assert fit.values()["k"] == pytest.approx(k, abs=5e-4)


@pytest.mark.parametrize("corpus", GOLDEN)
def test_golden_interval_of_k(corpus: str) -> None:
    interval = fit_rows(SLUG, read_corpus(corpus), Settings()).params["k"].interval
    assert interval is not None
    assert (interval.low, interval.high) == pytest.approx(GOLDEN[corpus][5], abs=0.02)


@pytest.mark.parametrize(("corpus", "golden"), [("stack_v2_python", 0.0104), ("pile", 0.0075)])
def test_golden_largest_size_held_out(corpus: str, golden: float) -> None:
    rows, law = read_corpus(corpus), get_law(SLUG)
    streams, size = rows.columns["k_streams"], rows.columns["n_params"]
    largest = np.zeros(rows.n, dtype=bool)
    for p in np.unique(streams):
        largest[np.flatnonzero(streams == p)[np.argmax(size[streams == p])]] = True
    found = score_rows(law, rows, largest, "largest", law.read_options({}))
    assert isinstance(found, HeldOut)
    assert found.max_error == pytest.approx(golden, abs=2e-3)


@pytest.mark.parametrize(
    ("corpus", "low", "high"), [("stack_v2_python", -0.0038, 0.0045), ("pile", -0.0053, 0.0018)]
)
def test_golden_eight_streams_held_out(corpus: str, low: float, high: float) -> None:
    rows, law = read_corpus(corpus), get_law(SLUG)
    eight = rows.columns["k_streams"] == 8
    found = score_rows(law, rows, eight, "P = 8", law.read_options({}))
    assert isinstance(found, HeldOut)
    assert found.relative_error.size == 6
    ends = (found.relative_error.min(), found.relative_error.max())
    assert ends == pytest.approx((low, high), abs=1e-4)


def test_streams_are_identified_better_than_the_constant_under_noise() -> None:
    point = Settings(replicas=0, hold_out="none")
    fits = [fit_rows(SLUG, make_rows(SLUG, 0.002, seed), point).values() for seed in range(40)]
    assert np.median([fit["k"] for fit in fits]) == pytest.approx(0.389, abs=0.01)
    published = {"k": (0.366, 0.421), "alpha": (0.158, 0.226), "E": (0.617, 0.753)}
    for name, ends in published.items():
        spread = np.quantile([fit[name] for fit in fits], [0.025, 0.975])
        width = ends[1] - ends[0]
        assert spread == pytest.approx(ends, abs=0.25 * width), name


def test_two_numbers_of_streams_are_refused() -> None:
    rows = make_rows(SLUG)
    assert "have 2" in refuse_rows(SLUG, rows.take(rows.columns["k_streams"] < 3)).sentence


def test_different_token_counts_are_refused() -> None:
    rows = make_rows(SLUG)
    tokens = np.where(np.arange(rows.n) % 2, 1e9, 2e9)
    found = fit_law(get_law(SLUG), Rows({**rows.columns, "n_tokens": tokens}, rows.target))
    assert "no data term" in found.sentence
