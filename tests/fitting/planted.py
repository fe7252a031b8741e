"""Studies planted with a law of learning rate and batch size, and with one of schedules."""

from __future__ import annotations

from itertools import product

import numpy as np

from fitting.maths.laws.lr_annealing import predict_schedule
from fitting.maths.schedules import make_cosine
from fitting.models import Study
from fitting.services import add_runs
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
