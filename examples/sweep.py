"""A learning-rate sweep over three sizes, in plain Python: a study that draws itself in seconds.

Every run minimises a noisy quadratic whose curvature grows with its width, so the best learning
rate falls with the size, and the study page of `toy-sweep` finds by how much.
"""

from __future__ import annotations

import random

import scaledash

STEPS = 100
NOISE = 0.05


def train(width: int, lr: float) -> None:
    """Gradient descent on 0.5 * c * x^2 with c = width / 16, and noise in the gradient."""
    config = {"n_params": 12 * width**2, "width": width, "peak_lr": lr, "seed": 0}
    noise = random.Random(width)
    curvature, x = width / 16, 3.0
    with scaledash.init(
        project="first-steps", name=f"d{width}-lr{lr:g}", study="toy-sweep", config=config
    ) as run:
        for step in range(1, STEPS + 1):
            x -= lr * (curvature * x + noise.gauss(0.0, NOISE))
            run.log({"loss.train": 0.5 * curvature * x * x, "tokens": step * 1024}, step=step)


if __name__ == "__main__":
    for width in (16, 32, 64):
        for lr in (0.01, 0.03, 0.1, 0.3, 1.0):
            train(width, lr)
