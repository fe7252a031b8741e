"""LR sensitivity of the demo's real runs: what the study publishes, and plain numpy on raw points.

The second computation reads the packed file and the definition alone (Wortsman et al. 2023,
arXiv 2309.14322, section 2.2): the mean over the grid of min(L, L0) minus the least mean loss.
"""

from __future__ import annotations

import math
from collections import defaultdict

import numpy as np
import pytest

from demo.load import Run
from fitting.models import Fit
from fitting.queries import find_current_fit
from fitting.services import add_runs
from tests.demo.replayed import list_sweep
from tests.fitting.factories import make_study, settle
from tests.runs.factories import Job, make_api, open_run

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.slow]

GRID = [3e-4, 1e-3, 3e-3, 1e-2, 3e-2, 1e-1, 3e-1]
Cell = tuple[int, str]


@pytest.fixture
def published() -> Fit:
    """Every run of the demo's sweep, logged over HTTP, and the fit that the worker published."""
    study = make_study(variant_keys=["qk_norm"])
    api = make_api(study.project)
    runs = []
    for packed in list_sweep():
        run = open_run(api, config=packed["config"], name=packed["name"])
        job, series = Job(api, run), packed["metrics"]["loss.val"]
        job.log(series["steps"], metrics={"loss.val": series["values"]})
        api.post(f"runs/{run.uid}/finish", {"state": packed["state"]})
        runs.append(run)
    add_runs(study, runs)
    settle()
    fit = find_current_fit(study)
    assert fit is not None
    return fit


def measure_from_points(runs: tuple[Run, ...]) -> dict[Cell, tuple[float, float, float]]:
    """Return (whole, left, right) of each size and variant, in nats."""
    capped: dict[Cell, dict[float, list[float]]] = defaultdict(lambda: defaultdict(list))
    for run in runs:
        config = run["config"]
        last = float(run["metrics"]["loss.val"]["values"][-1])
        initial = config["loss_at_init"]
        loss = min(last, initial) if math.isfinite(last) else initial
        cell = (config["n_params_non_embedding"], f"qk_norm={config['qk_norm']}")
        capped[cell][config["peak_lr"]].append(loss)
    found = {}
    for cell, by_lr in capped.items():
        assert sorted(by_lr) == GRID
        means = np.array([np.mean(by_lr[lr]) for lr in GRID])
        excess, best = means - means.min(), int(means.argmin())
        parts = (excess, excess[:best], excess[best + 1 :])
        found[cell] = tuple(float(part.sum()) / len(GRID) for part in parts)
    return found


def test_what_the_study_publishes_equals_an_independent_computation(published: Fit) -> None:
    expected = measure_from_points(list_sweep())
    told = {
        (round(scale["scale"]), scale["variant"]): scale["sensitivity"]
        for scale in published.result["scales"]
    }
    assert told.keys() == expected.keys()
    assert len(told) == 12  # six widths, with QK-norm and without
    for cell, parts in expected.items():
        published_parts = [told[cell][name] for name in ("value", "left", "right")]
        assert published_parts == pytest.approx(parts, rel=1e-9, abs=1e-12)
        assert (told[cell]["grid"], told[cell]["coverage"]) == ("standard", "7/7")
