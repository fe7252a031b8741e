"""One task of the sweep in slurm_array.sh: the task's number picks width and learning rate.

Runs anywhere: `SLURM_ARRAY_TASK_ID=7 python examples/slurm_array.py`.
"""

from __future__ import annotations

import itertools
import os
import random

import scaledash

GRID = list(itertools.product((16, 32, 64), (0.01, 0.03, 0.1, 0.3, 1.0)))
STEPS = 100

task = int(os.environ.get("SLURM_ARRAY_TASK_ID", "0"))
width, lr = GRID[task % len(GRID)]
config = {"n_params": 12 * width**2, "width": width, "peak_lr": lr, "seed": 0}
noise = random.Random(width)
curvature, x = width / 16, 3.0
with scaledash.init(
    project="first-steps",
    name=f"array-d{width}-lr{lr:g}",
    study="array-sweep",
    config=config,
    resume="auto",
) as run:
    first = run.step or 1  # a real script goes on behind its checkpoint
    for step in range(first, STEPS + 1):
        x -= lr * (curvature * x + noise.gauss(0.0, 0.05))
        run.log({"loss.train": 0.5 * curvature * x * x, "tokens": step * 1024}, step=step)
