"""D14: creep of the gradient norm and pressure on the clip."""

from __future__ import annotations

import math

import numpy as np

from fitting.maths.diagnose.case import Case, RunConfig
from fitting.maths.diagnose.diagnostic import Diagnostic
from fitting.maths.diagnose.track import Track
from fitting.maths.diagnose.trend import fit_line
from fitting.maths.diagnose.verdict import OK, WARN, Threshold, Verdict

SLUG = "clipping"
KEY = "optim.grad_norm"
AT_CLIP = 0.999  # of the clip: a norm that was clipped lies here or above
LATE = 0.5
MIN_POINTS = 10
THRESHOLDS = (
    Threshold("share", 0.5, "share of steps clipped after warm-up, while rising: warn", most=1),
)


def start(name: str, config: RunConfig) -> Track | None:
    """Return an empty track that counts steps above the clip."""
    if name != KEY:
        return None
    clip = config.number("clip") or 0.0
    levels = (clip, clip * AT_CLIP) if clip > 0 else ()
    return Track.start(levels, config.warmup_steps, has_texture=True)


def judge(case: Case) -> Verdict:
    """Judge by the share of clipped steps and the trend of the last half."""
    track = case.track(KEY)
    if track is None:
        return case.not_logged(KEY)
    clip = case.config.number("clip")
    if clip is None:
        return case.not_configured("clip")
    if clip <= 0:
        return case.not_applicable("gradients are not clipped")
    if track.n_counted < MIN_POINTS:
        return case.unknown(f"needs {MIN_POINTS} values after warm-up, has {track.n_counted}")
    share, at_clip = (float(count) / track.n_counted for count in track.n_over)
    if track.largest <= clip * (2 - AT_CLIP) and at_clip > case.limit("share"):
        return case.unknown("the norm stands at the clip: it looks logged after clipping")
    part = track.samples.since(case.config.warmup_steps).tail(LATE)
    positive = part.select(part.mean > 0)
    line = fit_line(positive.step.astype(np.float64), np.log(positive.mean))
    pace = math.exp(min(line.slope * 0.1 * case.length, 50.0)) if line else 1.0
    is_bad = share > case.limit("share") and line is not None and line.is_rising
    trend = "rising" if line is not None and line.is_rising else "not rising"
    pressed = f"{100 * share:.0f}% of steps clipped"
    text = f"{pressed}, gradient norm {trend} ({pace:.2f}x per 10% of the run)."
    values = {"share": share, "pace": pace, "is_rising": trend == "rising", "clip": clip}
    first = int(part.first[0]) if is_bad else -1
    return case.verdict(WARN if is_bad else OK, text, values, [KEY], first_step=first)


DIAGNOSTIC = Diagnostic(
    slug=SLUG,
    number="D14",
    title="Gradient-norm creep and clipping pressure",
    question="Does the gradient norm creep up against the clip?",
    definition="Share of steps with a gradient norm above the clip after warm-up, and the slope of "
    "its logarithm over the last half of the run, over its standard error.",
    source="OLMo 2 (arXiv 2501.00656), section 3",
    needs=(KEY, "clip"),
    pitfalls="A low learning rate keeps the norm above the clip while it falls. A norm that is "
    "logged after clipping is flat at the clip.",
    thresholds=THRESHOLDS,
    start=start,
    judge=judge,
)
