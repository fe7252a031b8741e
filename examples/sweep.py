"""A learning-rate sweep over three sizes, in plain Python: a study that draws itself in seconds.

Every run minimises a quadratic in 64 dimensions, with noise in the gradient, whose curvature grows
with its width. So the best learning rate falls with the size, and the page of the study `toy-sweep`
says by how much.
"""

from __future__ import annotations

import random

import scaledash

STEPS, DIMENSIONS = 100, 64


def train(width: int, lr: float) -> None:
    """Gradient descent on the mean of 0.5 * c * x^2 with c = width / 16."""
    noise = random.Random(width)
    curvature, weights = width / 16, [3.0] * DIMENSIONS
    config = {
        "n_params": 12 * width**2,
        "width": width,
        "peak_lr": lr,
        "seed": 0,
        "loss_at_init": 0.5 * curvature * 3.0**2,
    }
    with scaledash.init(
        project="first-steps", name=f"d{width}-lr{lr:g}", study="toy-sweep", config=config
    ) as run:
        for step in range(1, STEPS + 1):
            weights = [x - lr * (curvature * x + noise.gauss(0.0, 1.0)) for x in weights]
            loss = 0.5 * curvature * sum(x * x for x in weights) / DIMENSIONS
            run.log({"loss.train": loss, "tokens": step * 1024}, step=step)


if __name__ == "__main__":
    for width in (16, 32, 64):
        for lr in (0.005, 0.01, 0.02, 0.04, 0.08, 0.16, 0.32):
            train(width, lr)
