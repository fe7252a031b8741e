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
    assert (interval.low, interval.high) == pytest.approx(GOLDEN[corpus][5], abs=0.025)


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


def test_two_numbers_of_streams_are_refused() -> None:
    rows = make_rows(SLUG)
    assert "have 2" in refuse_rows(SLUG, rows.take(rows.columns["k_streams"] < 3)).sentence


def test_different_token_counts_are_refused() -> None:
    rows = make_rows(SLUG)
    tokens = np.where(np.arange(rows.n) % 2, 1e9, 2e9)
    found = fit_law(get_law(SLUG), Rows({**rows.columns, "n_tokens": tokens}, rows.target))
    assert "no data term" in found.sentence
