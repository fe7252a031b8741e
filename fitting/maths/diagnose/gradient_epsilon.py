"""D6: gradients as small as Adam's epsilon."""

from __future__ import annotations

import numpy as np

from fitting.maths.diagnose.case import Case, RunConfig
from fitting.maths.diagnose.diagnostic import Diagnostic, is_metric
from fitting.maths.diagnose.track import NEVER, Track
from fitting.maths.diagnose.verdict import CRITICAL, OK, WARN, WATCH, Threshold, Verdict

SLUG = "gradient_epsilon"
GRADIENT, UPDATE = "grad.rms.", "update.rms."
TAIL_STEPS = 500
TAIL_SHARE = 0.05
THRESHOLDS = (
    Threshold("watch", 100.0, "gradient RMS over epsilon: below, watch"),
    Threshold("warn", 10.0, "the same: below, warn"),
    Threshold("critical", 1.0, "the same: below, critical; at 1 an update is halved"),
    Threshold("update", 0.5, "update RMS over its median: below, the collapse is confirmed"),
)


def start(name: str, config: RunConfig) -> Track | None:
    """Return an empty track for gradient and update RMS of a parameter."""
    return Track.start(capacity=256) if is_metric(name, "grad.rms.*", "update.rms.*") else None


def find_tail_mean(track: Track) -> float:
    """Return the mean of the final 500 steps, or of the last 5% where that is longer."""
    curve = track.samples
    part = curve.since(curve.step[-1] - max(TAIL_STEPS, TAIL_SHARE * curve.step[-1]))
    part = part if 4 * len(part) < 3 * len(curve) else curve.tail(TAIL_SHARE, at_least=3)
    return float((part.mean * part.n).sum() / part.n.sum())


def judge(case: Case) -> Verdict:
    """Judge by the parameter whose gradient is the smallest."""
    if case.config.text("optimizer") and "adam" not in case.config.text("optimizer"):
        return case.not_applicable(f"the optimizer is {case.config.text('optimizer')}")
    tails = {
        name: value
        for name in case.state
        if name.startswith(GRADIENT)
        and "emb" not in name
        and (track := case.track(name))
        and len(track.samples)
        and (value := find_tail_mean(track)) > 0
    }
    if not tails:
        return case.not_logged("grad.rms.* (a matrix, before clipping)")
    epsilon = case.config.number("adam_eps")
    if not epsilon:
        return case.not_configured("adam_eps")
    name = min(tails, key=lambda key: tails[key])
    ratio = tails[name] / epsilon
    severity = OK
    for band, limit in ((WATCH, "watch"), (WARN, "warn"), (CRITICAL, "critical")):
        severity = band if ratio <= case.limit(limit) else severity
    values: dict[str, object] = {"rms": tails[name], "ratio": ratio, "metric": name, "eps": epsilon}
    text = f"Gradient RMS of {name.removeprefix(GRADIENT)} is {ratio:.3g}x Adam's epsilon."
    keys = [name]
    update = UPDATE + name.removeprefix(GRADIENT)
    moved = case.track(update)
    if moved is not None and len(moved.samples):
        keys.append(update)
        median = float(np.median(moved.samples.mean))
        values["update_ratio"] = find_tail_mean(moved) / median if median > 0 else None
        if severity != OK and median > 0 and find_tail_mean(moved) < case.limit("update") * median:
            text += " The updates have collapsed with it."
    since = NEVER
    if severity != OK:
        curve = case.state[name].samples  # type: ignore[union-attr]
        below = curve.first[curve.mean <= case.limit(severity) * epsilon]
        since = int(below[0]) if below.size else int(curve.step[-1])
    return case.verdict(severity, text, values, keys, first_step=since)


DIAGNOSTIC = Diagnostic(
    slug=SLUG,
    number="D6",
    title="Gradient RMS against Adam epsilon",
    question="Is epsilon large enough to damp the updates?",
    definition="RMS(g) = sqrt(mean g^2) of a matrix before clipping, mean of the final 500 steps, "
    "over epsilon; a steady coordinate is damped by |g| / (|g| + eps).",
    source="Wortsman et al. 2023 (arXiv 2309.14322), section 3.4, Fig 11-13",
    needs=("grad.rms.*", "update.rms.*", "adam_eps"),
    pitfalls="Embeddings of rare tokens and frozen parameters are small for other reasons and left "
    "out. Clipped or loss-scaled gradients hide it. A larger epsilon is not the remedy.",
    thresholds=THRESHOLDS,
    start=start,
    judge=judge,
    ladder=("watch", "warn", "critical"),
)
