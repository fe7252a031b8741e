"""D10: large updates that no longer point downhill."""

from __future__ import annotations

import numpy as np

from fitting.maths.diagnose.case import Case, RunConfig
from fitting.maths.diagnose.diagnostic import Diagnostic
from fitting.maths.diagnose.excursions import roll_median
from fitting.maths.diagnose.track import Track
from fitting.maths.diagnose.verdict import OK, WARN, Threshold, Verdict

SLUG = "update_alignment"
NORM, COSINE = "update.norm", "update.cos_grad"
WINDOW = 0.05
THRESHOLDS = (
    Threshold("growth", 2.0, "update norm over its rolling median"),
    Threshold("cosine", 0.01, "cosine of update and descent direction below it", most=1),
)


def start(name: str, config: RunConfig) -> Track | None:
    """Return an empty track for norm and direction of the update."""
    return Track.start() if name in (NORM, COSINE) else None


def judge(case: Case) -> Verdict:
    """Look for a growing norm with a lost direction, after the warm-up."""
    norm, cosine = case.track(NORM), case.track(COSINE)
    missing = [name for name, track in ((NORM, norm), (COSINE, cosine)) if track is None]
    if norm is None or cosine is None:
        return case.not_logged(*missing)
    curve, direction = norm.samples, cosine.samples
    curve = curve.since(case.config.warmup_steps)
    if len(curve) < 20 or not len(direction):
        return case.unknown(f"needs 20 values after warm-up, has {len(curve)}")
    median = roll_median(curve.mean, max(3, int(WINDOW * len(curve)) | 1))
    shifted = np.concatenate([median[:1], median[:-1]])
    growth = curve.mean / np.maximum(np.minimum.accumulate(shifted), 1e-300)
    cos = np.interp(curve.step, direction.step, direction.mean)
    lost = (growth > case.limit("growth")) & (cos < case.limit("cosine"))
    worst = int(np.argmax(np.where(lost, growth, 0.0))) if lost.any() else int(np.argmax(growth))
    values = {
        "growth": float(growth[worst]),
        "cosine": float(cos[worst]),
        "step": int(curve.step[worst]),
    }
    where = f"{growth[worst]:.2g}x at step {curve.step[worst]:,} (cosine {cos[worst]:.3f})"
    if not lost.any():
        text = f"Updates keep their size and direction: at most {where}."
        return case.verdict(OK, text, values, [NORM, COSINE])
    first = int(curve.first[np.argmax(lost)])
    text = f"Updates grew and lost direction: {where}."
    return case.verdict(WARN, text, values, [NORM, COSINE], first_step=first)


DIAGNOSTIC = Diagnostic(
    slug=SLUG,
    number="D10",
    title="Uncorrelated Adam updates",
    question="Do large updates still point downhill?",
    definition="Norm of the update over the least rolling median so far, while its cosine with the "
    "descent direction is near zero.",
    source="Molybog et al. 2023 (arXiv 2304.09871)",
    needs=(NORM, COSINE),
    pitfalls="The cosine is small in any noisy, small batch.",
    thresholds=THRESHOLDS,
    start=start,
    judge=judge,
)
