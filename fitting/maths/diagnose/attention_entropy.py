"""D2: collapse of the attention entropy."""

from __future__ import annotations

import math

import numpy as np

from fitting.maths.diagnose.case import Case, RunConfig
from fitting.maths.diagnose.diagnostic import Diagnostic, is_metric
from fitting.maths.diagnose.history import Samples
from fitting.maths.diagnose.track import Track
from fitting.maths.diagnose.verdict import CRITICAL, OK, WARN, WATCH, Threshold, Verdict

SLUG = "attention_entropy"
KEY = "attn.entropy"
DROP_WINDOW = 0.05
THRESHOLDS = (
    Threshold(
        "layer", 0.05, "entropy of a layer over its largest possible value: below, warn", most=1
    ),
    Threshold("all_layers", 0.01, "the same in every layer: below, critical", most=1),
    Threshold("drop", 0.5, "share lost within 5% of the run after warm-up: above, watch", most=1),
)


def start(name: str, config: RunConfig) -> Track | None:
    """Return an empty track for a metric of attention entropy."""
    return Track.start(capacity=256) if is_metric(name, f"{KEY}.L*") else None


def find_largest_entropy(seq_len: float) -> float:
    """Return the entropy of uniform causal attention: mean over i < T of log(i + 1).

    References
    ----------
    For T = 64 it is 3.206.
    """
    return math.lgamma(seq_len + 1) / seq_len


def judge(case: Case) -> Verdict:
    """Judge each layer by its least value within the last 2% of the run.

    A collapse counts at once, and is over when the entropy stayed above the limit that long.
    """
    tracks = case.layers(KEY)
    if not tracks:
        return case.not_logged(f"{KEY}.L*")
    seq_len = case.config.number("seq_len")
    if seq_len is None or seq_len < 2:
        return case.not_configured("seq_len")
    scale = find_largest_entropy(seq_len)
    curves = {name: track.samples for name, track in tracks.items() if len(track.samples)}
    if not curves:
        return case.unknown("every logged entropy is not a finite number")
    settled = {name: float(case.settle(curve).low.min()) / scale for name, curve in curves.items()}
    lowest = min(settled, key=lambda name: settled[name])
    low = [name for name, value in settled.items() if value < case.limit("layer")]
    is_all = all(value < case.limit("all_layers") for value in settled.values())
    values: dict[str, object] = {
        "lowest": settled[lowest],
        "layer": lowest,
        "n_low": len(low),
        "n_layers": len(curves),
        "largest_possible": scale,
    }
    if low:
        since = min(_find_since(curves[name], case.limit("layer") * scale) for name in low)
        severity = CRITICAL if is_all else WARN
        text = (
            f"Attention entropy collapsed in {len(low)} of {len(curves)} layers (lowest "
            f"{settled[lowest]:.3f} of 1) since step {since:,}."
        )
        return case.verdict(severity, text, values, tracks, first_step=since)
    drop, step, name = max(_find_drop(case, curve, key) for key, curve in curves.items())
    values |= {"largest_drop": drop, "drop_step": step}
    if drop > case.limit("drop"):
        text = (
            f"Attention entropy of {name.rpartition('.')[2]} lost {100 * drop:.0f}% within 5% of "
            f"the run, by step {step:,}; it is {settled[name]:.2f} of 1 now."
        )
        return case.verdict(WATCH, text, values, tracks, first_step=step)
    text = f"Attention entropy is sound: lowest layer {settled[lowest]:.2f} of 1."
    return case.verdict(OK, text, values, tracks)


def _find_since(curve: Samples, limit: float) -> int:
    """Return the first step of the last stretch below the limit."""
    is_below = curve.low < limit
    last = int(np.flatnonzero(is_below)[-1])
    above = np.flatnonzero(~is_below[:last])
    return int(curve.first[int(above[-1]) + 1 if above.size else 0])


def _find_drop(case: Case, curve: Samples, name: str) -> tuple[float, int, str]:
    """Return the largest share lost within 5% of the run after warm-up, and its end."""
    part = curve.since(case.config.warmup_steps)
    if len(part) < 2:
        return 0.0, 0, name
    back = np.searchsorted(part.step, part.step - DROP_WINDOW * case.length)
    before = np.maximum(part.mean[back], 1e-12)
    lost = 1 - part.mean / before
    worst = int(np.argmax(lost))
    return float(lost[worst]), int(part.step[worst]), name


DIAGNOSTIC = Diagnostic(
    slug=SLUG,
    number="D2",
    title="Attention entropy collapse",
    question="Do attention heads look at one position only?",
    definition="-sum_j A_ij log A_ij, mean over queries and heads of a layer, divided by the mean "
    "of log(i+1) over the causal positions.",
    source="Zhai et al. 2023 (arXiv 2303.06296)",
    needs=("attn.entropy.L*", "seq_len"),
    pitfalls="Positional and previous-token heads have an entropy near zero: the layer's mean is "
    "judged, never the lowest head.",
    thresholds=THRESHOLDS,
    start=start,
    judge=judge,
    ladder=("layer", "all_layers"),
)
