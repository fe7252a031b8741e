"""What the demo project and its studies are called, hold, and say of themselves."""

from __future__ import annotations

from demo.connection import Document

PROJECT: Document = {
    "slug": "demo",
    "name": "Demo: tiny transformers",
    "description": (
        "Demo data: 343 real training runs of decoder-only transformers with 2 thousand to "
        "0.8 million parameters, on Python source code, byte by byte. Made by demo/train.py of "
        "this repository, logged through the public client; demo/DATASET.md is their card. "
        "Delete the project whenever it is in the way."
    ),
}

SCOPE = (
    "One architecture, one corpus, byte level: no exponent here transfers to real models. "
    "Differences below about 0.03 nats are within the spread of seeds and are not resolved."
)

LR_SWEEP: Document = {
    "slug": "lr-sweep",
    "name": "Learning rate x size",
    "description": (
        "Six widths, seven learning rates, with and without QK-norm, 600 steps each. At high "
        "learning rates the runs without QK-norm end with a higher loss, the more so the wider "
        "they are, while their attention logits grow by orders of magnitude; at low learning "
        "rates the curves lie close together. What is not here: no NaN and no loss spike occurred "
        "at this size in float32, failed runs sit high (around or above the bigram baseline of "
        "2.43), and the RMS of the gradient stays far above Adam's epsilon. "
        f"{SCOPE}"
    ),
    "variant_keys": ["qk_norm"],
}

COMPUTE_OPTIMAL: Document = {
    "slug": "compute-optimal",
    "name": "Compute-optimal frontier",
    "description": (
        "Four compute budgets from 1e11 to 3e12 FLOPs, five or six widths each, learning-rate "
        "schedules matched to each run's own length; the best learning rate of a cell is its "
        "point. FLOPs are counted with the output head and the full attention square; counting "
        "parameters without the head changes the exponent, because the head is 7 to 47% of N "
        "here. Runs of few steps are limited by optimizer steps, not by tokens, so a parametric "
        "L(N, D) leaves residuals of some percent and its exponent need not agree with the "
        f"isoFLOP minima: both are shown. {SCOPE}"
    ),
    "variant_keys": [],
}

INTERVENTIONS: Document = {
    "slug": "interventions",
    "name": "Interventions",
    "description": (
        "One change at a time against the sweep with QK-norm: z-loss, weight decay (independent "
        "and coupled), Adam's epsilon, warm-up, a learning rate per fan-in, attention logits "
        "forced to a given size. Output-logit divergence did not "
        "appear in these runs in float32 with 256 output classes: the z-loss pulls log Z down a "
        "little and that is all; the mean logit falls either way, in healthy runs too. Most "
        f"differences between these options are smaller than the spread of seeds. {SCOPE}"
    ),
    "variant_keys": [
        "qk_norm",
        "warmup_steps",
        "z_loss_coef",
        "weight_decay",
        "wd_mode",
        "adam_eps",
        "parametrization",
        "kappa",
    ],
}

STUDIES = (LR_SWEEP, COMPUTE_OPTIMAL, INTERVENTIONS)
