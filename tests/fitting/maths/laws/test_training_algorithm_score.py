"""AlgoPerf scores (LAWS_FURTHER)."""

from __future__ import annotations

import numpy as np
import pytest

from fitting.maths.laws.training_algorithm_score import score_submissions, score_without_each
from fitting.maths.types import Rows, Settings
from tests.fitting.maths.synthetic import fit_rows, refuse_rows

SLUG = "training_algorithm_score"
TIMES = np.array([[100, 200, 300, 400], [110, 150, 600, np.inf], [500, 150, 330, 390]], dtype=float)
GOLDEN = [0.970085, 0.658333, 0.741667]


def make_runs(studies: int = 3) -> Rows:
    s, w, k = np.meshgrid(np.arange(3.0), np.arange(4.0), np.arange(float(studies)), indexing="ij")
    columns = {"submission": s.ravel(), "workload": w.ravel(), "study": k.ravel()}
    jitter = 1 + 0.02 * (k.ravel() - 1)
    return Rows(columns, TIMES[s.ravel().astype(int), w.ravel().astype(int)] * jitter)


def test_golden_scores() -> None:
    assert score_submissions(TIMES) == pytest.approx(GOLDEN, abs=1e-6)


def test_median_over_studies_gives_the_same_scores() -> None:
    fit = fit_rows(SLUG, make_runs(), Settings(replicas=0))
    assert list(fit.values().values()) == pytest.approx(GOLDEN, abs=1e-6)


def test_missing_target_takes_part_as_infinity() -> None:
    rows = make_runs()
    rows.target[~np.isfinite(rows.target)] = np.nan
    fit = fit_rows(SLUG, rows, Settings(replicas=0))
    assert fit.values()["score[1]"] == pytest.approx(GOLDEN[1], abs=1e-6)


def test_score_depends_on_the_set_of_submissions() -> None:
    table = score_without_each(TIMES)
    assert np.isnan(table[0, 0])
    assert table[0, 2] > GOLDEN[2]


def test_studies_are_resampled() -> None:
    fit = fit_rows(SLUG, make_runs(), Settings(replicas=100))
    interval = fit.params["score[0]"].interval
    assert interval is not None
    assert interval.low <= GOLDEN[0] <= interval.high


def test_one_submission_is_refused() -> None:
    rows = make_runs()
    assert "1 submissions" in refuse_rows(SLUG, rows.take(rows.columns["submission"] == 0)).sentence
