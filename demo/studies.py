"""What the demo project and its studies are called, hold, and say of themselves."""

from __future__ import annotations

from demo.connection import Document

PROJECT: Document = {
    "slug": "demo",
    "name": "Demo: tiny transformers",
    "is_demo": True,
    "description": (
        "Demo data: 347 real training runs of decoder-only transformers with 2 thousand to "
        "0.8 million parameters, on Python source code, byte by byte. Made by demo/train.py of "
        "this repository, logged through the public client; demo/DATASET.md is their card. "
        "Delete the project whenever it is in the way."
    ),
}

RESOLVED_NATS, UNRESOLVED_NATS = 0.05, 0.03  # tests compare them with the spread of the runs

SCOPE = (
    "One architecture, one corpus, byte level: no exponent here transfers to real models. "
    f"Differences below {UNRESOLVED_NATS:g} nats are within the spread of seeds; below "
    f"{RESOLVED_NATS:g} a single pair of runs does not resolve them either."
)

LR_SWEEP: Document = {
    "slug": "lr-sweep",
    "name": "Learning rate x size",
    "description": (
        "What to look at: in Final loss against learning rate, how the dashed curves (without "
        "QK-norm) leave the solid ones at high learning rates, the earlier the wider the model; "
        "at low ones both lie close together, and the marks beside a line are its seeds. In "
        "Learning-rate sensitivity, the figure's table: its part right of the optimum rises with N "
        "without QK-norm, while the whole falls first, because small models are undertrained at "
        "low rates. In Instabilities, the largest attention logit against N: each line says at "
        "which N it reaches 1e4, and how far off it was at the largest width, held out. In "
        "Forecasts, the best learning rate of that width, frozen before its runs were loaded, and "
        "its score. Not here: no NaN and no loss spike occurred at this size in float32, failed "
        "runs sit high (around or above the bigram baseline of 2.43), and the RMS of the gradient "
        f"stays far above Adam's epsilon. {SCOPE}"
    ),
    "variant_keys": ["qk_norm"],
}

COMPUTE_OPTIMAL: Document = {
    "slug": "compute-optimal",
    "name": "Compute-optimal frontier",
    "description": (
        "What to look at: in IsoFLOP, the loss against size at each budget from 10¹¹ to 3·10¹² "
        "FLOPs, with its minimum strictly inside the sizes. In Frontier, the exponent of N*(C) by "
        "three approaches side by side: they disagree, and no single interval contains that. In "
        "Parametric, the residuals: runs of few steps are limited by optimizer steps, not by "
        "tokens, so L(N, D) leaves some percent, and cells it did not see are marked. In "
        "Forecasts, what was frozen before the largest fitted budget was loaded, then from all of "
        "them for 10¹³ FLOPs, with the scores of the runs that came later. FLOPs count the output "
        "head and the full attention square; N is without embedding and head, which changes the "
        "exponent, because the head is 7 to 47% of all weights that compute here. Most cells have "
        f"their best learning rate at an edge of the two or three tried. {SCOPE}"
    ),
    "variant_keys": [],
}

INTERVENTIONS: Document = {
    "slug": "interventions",
    "name": "Interventions",
    "description": (
        "What to look at: choose a variant above the plots; it is drawn beside the baseline, the "
        "sweep with QK-norm. A learning rate per fan-in (mup-simple) keeps the best learning rate "
        "nearly where it is as the model grows, while the baseline's falls: see Best learning rate "
        "against size. No warm-up costs loss at every rate tried, and forcing attention logits up "
        "(kappa) costs the more the larger they are; z-loss, weight decay and Adam's epsilon make "
        "differences within the spread of seeds. Four variants train 800 steps (80 of warm-up), "
        "the others 600: compare them among themselves. Output-logit divergence did not appear in "
        "these runs in float32 with 256 output classes: the z-loss pulls log Z down a little and "
        f"that is all; the mean logit falls either way, in healthy runs too. {SCOPE}"
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
