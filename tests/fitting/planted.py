"""Studies planted with a law of learning rate and batch size, and with one of schedules."""

from __future__ import annotations

from collections.abc import Callable
from itertools import product

import numpy as np

from fitting.maths.laws.lr_annealing import predict_schedule
from fitting.maths.schedules import make_cosine
from fitting.models import Study
from fitting.services import add_runs
from runs.models import Run
from tests.fitting.factories import finish, make_run
from tests.runs.factories import Job

LRS = 1e-2 * 2.0 ** np.arange(-2, 3)
BATCHES = 1024 * 2.0 ** np.arange(-2, 3)


def make_batches(study: Study) -> None:
    """Runs whose loss is quadratic about LR 0.01 and 1,024 tokens a step, at one (N, D)."""
    runs = []
    for lr, batch in product(LRS, BATCHES):
        u, v = np.log(lr / 1e-2), np.log(batch / 1024)
        shape = {"n_tokens": 1e6, "batch_tokens": float(batch), "peak_lr": float(lr)}
        loss = float(2.5 * (1 + 0.012 * u**2 + 0.004 * v**2))
        runs.append(make_run(study.project, loss, **shape))
    add_runs(study, runs)


CRITICAL = 4096.0  # tokens


def make_batch_sizes(study: Study, open_job: Callable[[dict[str, object]], Job]) -> list[Run]:
    """Log runs at seven batch sizes and two rates, whose loss is a law of S / (1 + B_crit / B)."""
    runs = []
    for batch, (lr, slower) in product(2.0 ** np.arange(9, 16), ((1e-3, 1.4), (3e-3, 1.0))):
        job = open_job(
            {"scale": {"n_params_non_embedding": 1e6, "batch_tokens": batch, "peak_lr": lr}}
        )
        steps = np.unique(np.geomspace(10, 20_000 * (1 + CRITICAL / batch), 120).astype(int))
        done = steps / (1 + CRITICAL / batch) / slower
        job.log(steps.tolist(), metrics={"loss.val": (1.5 + 20 * done**-0.5).tolist()})
        job.api.post(f"runs/{job.run.uid}/finish", {"state": "finished"})
        runs.append(job.run)
    add_runs(study, runs)
    return runs


SIGMOIDS = {"fp32": (0.61, 3000.0, 1.9), "bf16": (0.52, 3000.0, 1.9)}
START = 0.3


def make_scores(study: Study, open_job: Callable[[dict[str, object]], Job]) -> list[Run]:
    """Log pass rates and GPU-hours of two variants to 16,000 hours, the start model at step 0."""
    steps = [0, *range(100, 6401, 100)]
    hours = [2.5 * step for step in steps]
    runs = []
    for variant, (top, middle, steep) in SIGMOIDS.items():
        job = open_job({"config": {"logits": variant}, "scale": {"n_params_non_embedding": 8e9}})
        scores = [START + (top - START) / (1 + (middle / max(c, 1e-9)) ** steep) for c in hours]
        job.log(steps, metrics={"eval.pass_rate": scores, "gpu_hours": hours})
        job.api.post(f"runs/{job.run.uid}/finish", {"state": "finished"})
        runs.append(job.run)
    add_runs(study, runs)
    return runs


TRUTH = {"L0": 1.5, "A": 0.6, "C": 0.4, "alpha": 0.45}


def make_schedules(study: Study, api: object) -> None:
    """Cosine runs of 200 and 600 steps of one planted law, logged every fifth step."""
    runs = []
    for total in (200, 600):
        schedule = make_cosine(0.01, 0.0, total, 20)
        steps = np.arange(25, total, 5)
        losses = predict_schedule(TRUTH, schedule, 0.995, steps.astype(np.float64))
        run = make_run(study.project, None, state="running", batch_tokens=1024.0)
        metrics = {"loss.train": losses.tolist(), "optim.lr": schedule[steps].tolist()}
        Job(api, run).log(steps.tolist(), metrics=metrics)
        run.refresh_from_db()
        runs.append(finish(run))
    add_runs(study, runs)
