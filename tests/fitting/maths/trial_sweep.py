"""The reference learning-rate sweep at 200 steps: final validation loss (DEMO section 5)."""

from __future__ import annotations

import numpy as np

from fitting.maths.lr_sweep import LrSweepTable

LRS = (3e-4, 1e-3, 3e-3, 1e-2, 3e-2, 1e-1, 3e-1)
SIZES = {16: 9328.0, 32: 37088.0, 64: 147904.0, 128: 590720.0}
NAN = float("nan")
LOSSES = {
    (16, "off"): (4.440, 3.398, 2.755, 2.535, 2.419, 2.516, 2.914),
    (16, "on"): (4.439, 3.397, 2.747, 2.541, 2.429, 2.493, 2.654),
    (32, "off"): (3.623, 2.828, 2.522, 2.379, 2.375, 2.628, 2.958),
    (32, "on"): (3.615, 2.831, 2.547, 2.408, 2.381, 2.441, 2.582),
    (64, "off"): (2.944, 2.525, 2.357, 2.253, 2.458, 2.710, 2.929),
    (64, "on"): (2.930, 2.527, 2.376, 2.272, 2.262, 2.373, 2.517),
    (128, "off"): (NAN, 2.312, NAN, 2.241, 2.522, 2.828, 2.966),
    (128, "on"): (NAN, 2.333, NAN, 2.162, 2.269, 2.439, 2.505),
}
LOSS_AT_INIT = 5.8


def make_trial_table(least_lr: float = 0.0) -> LrSweepTable:
    """Return the trial's runs with a learning rate of at least `least_lr`."""
    rows = [
        (f"d{width}-{variant}-{lr:g}", SIZES[width], variant, lr, loss)
        for (width, variant), losses in LOSSES.items()
        for lr, loss in zip(LRS, losses, strict=True)
        if np.isfinite(loss) and lr >= least_lr
    ]
    ids, scale, variant, peak_lr, loss = zip(*rows, strict=True)
    n = len(rows)
    return LrSweepTable(
        run_ids=ids,
        scale=np.array(scale),
        variant=variant,
        peak_lr=np.array(peak_lr),
        loss=np.array(loss),
        loss_at_init=np.full(n, LOSS_AT_INIT),
        seed=np.zeros(n),
        finished=np.ones(n, dtype=bool),
        diverged=np.zeros(n, dtype=bool),
    )
