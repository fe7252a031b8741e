"""D18: a softmax that is saturated in fp32."""

from __future__ import annotations

import numpy as np

from fitting.maths.diagnose.case import Case, RunConfig
from fitting.maths.diagnose.diagnostic import Diagnostic
from fitting.maths.diagnose.track import Track
from fitting.maths.diagnose.trend import fit_line
from fitting.maths.diagnose.verdict import OK, WARN, Threshold, Verdict

SLUG = "softmax_collapse"
SHARE, NORM, LARGEST = "logits.p_one_frac", "optim.grad_norm", "logits.max"
LATE = 0.3
THRESHOLDS = (
    Threshold("share", 0.5, "share of targets whose probability is 1: above, warn", most=1),
)


def start(name: str, config: RunConfig) -> Track | None:
    """Return an empty track for saturated targets, gradient norm and the largest logit."""
    return Track.start(capacity=256) if name in (SHARE, NORM, LARGEST) else None


def judge(case: Case) -> Verdict:
    """Judge by the share of saturated targets, else by a gradient of exactly zero."""
    share = case.track(SHARE)
    if share is not None and len(share.samples):
        now = float(share.samples.tail(0.02).mean.mean())
        is_bad = now > case.limit("share")
        text = f"{100 * now:.0f}% of targets have probability 1."
        text = f"Softmax saturated: {text}" if is_bad else text
        over = share.samples.first[share.samples.mean > case.limit("share")]
        first = int(over[0]) if is_bad else -1
        return case.verdict(WARN if is_bad else OK, text, {"share": now}, [SHARE], first_step=first)
    norm, largest = case.track(NORM), case.track(LARGEST)
    if norm is None or largest is None or not len(norm.samples) or not len(largest.samples):
        return case.not_logged(SHARE)
    part = largest.samples.tail(LATE)
    line = fit_line(part.step.astype(np.float64), part.mean)
    is_bad = norm.last_value == 0 and line is not None and line.is_rising
    text = (
        "The gradient is exactly zero while logits grow." if is_bad else "Gradients are not zero."
    )
    zero = norm.samples.first[norm.samples.high == 0]
    first = int(zero[0]) if is_bad and zero.size else -1
    return case.verdict(
        WARN if is_bad else OK,
        text,
        {"grad_norm": norm.last_value, "largest_logit": largest.last_value},
        [NORM, LARGEST],
        first_step=first,
        limit_to="medium",
        missing=(SHARE,),
    )


DIAGNOSTIC = Diagnostic(
    slug=SLUG,
    number="D18",
    title="Softmax collapse",
    question="Has fp32 run out of digits in the softmax?",
    definition="Share of tokens whose target has probability exactly 1, or a gradient of exactly "
    "zero while the largest logit grows.",
    source="Prieto et al. 2025 (arXiv 2501.04697), unverified",
    needs=(SHARE, "or optim.grad_norm with logits.max"),
    pitfalls="Only tasks with a tiny loss get there; frozen steps have a zero gradient too.",
    thresholds=THRESHOLDS,
    start=start,
    judge=judge,
)
