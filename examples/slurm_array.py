"""One task of the sweep in slurm_array.sh: the task's number picks width and learning rate.

Runs anywhere: `SLURM_ARRAY_TASK_ID=7 python examples/slurm_array.py`.
"""

from __future__ import annotations

import itertools
import os
import random

import scaledash

GRID = list(itertools.product((16, 32, 64), (0.005, 0.01, 0.02, 0.04, 0.08)))
STEPS, DIMENSIONS = 100, 64

task = int(os.environ.get("SLURM_ARRAY_TASK_ID", "0"))
width, lr = GRID[task % len(GRID)]
config = {"n_params": 12 * width**2, "width": width, "peak_lr": lr, "seed": 0}
noise = random.Random(width)
curvature, weights = width / 16, [3.0] * DIMENSIONS
with scaledash.init(
    project="first-steps",
    name=f"array-d{width}-lr{lr:g}",
    study="array-sweep",
    config=config,
    resume="auto",
) as run:
    first = run.step or 1  # a real script goes on behind its checkpoint
    for step in range(first, STEPS + 1):
        weights = [x - lr * (curvature * x + noise.gauss(0.0, 1.0)) for x in weights]
        loss = 0.5 * curvature * sum(x * x for x in weights) / DIMENSIONS
        run.log({"loss.train": loss, "tokens": step * 1024}, step=step)
