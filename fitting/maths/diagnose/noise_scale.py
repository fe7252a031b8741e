"""D12: the gradient noise scale beside the batch."""

from __future__ import annotations

import numpy as np

from fitting.maths.diagnose.case import Case, RunConfig
from fitting.maths.diagnose.diagnostic import Diagnostic
from fitting.maths.diagnose.track import Track
from fitting.maths.diagnose.verdict import OK, Threshold, Verdict

SLUG = "noise_scale"
KEY = "gns.b_simple"
THRESHOLDS = (Threshold("values", 200, "logged values from which on it is shown"),)


def start(name: str, config: RunConfig) -> Track | None:
    """Return an empty track for the noise scale."""
    return Track.start() if name == KEY else None


def judge(case: Case) -> Verdict:
    """Report the median of the last fifth of the run; there is no bad value."""
    track = case.track(KEY)
    if track is None:
        return case.not_logged(KEY)
    batch = case.config.number("batch_tokens")
    if not batch:
        return case.not_configured("batch_tokens")
    curve = track.samples
    if track.n < case.limit("values") or not len(curve):
        return case.unknown(f"needs {case.limit('values'):.0f} values, has {track.n}")
    scale = float(np.median(curve.tail(0.2, at_least=5).mean))
    if scale <= 0:
        return case.unknown("the estimate is negative, which is legal noise")
    text = f"Noise scale about {scale:.3g} tokens; the batch is {batch / scale:.2g}x of it."
    return case.verdict(OK, text, {"tokens": scale, "ratio": batch / scale}, [KEY])


DIAGNOSTIC = Diagnostic(
    slug=SLUG,
    number="D12",
    title="Gradient noise scale",
    question="How large is the batch beside the gradient's noise?",
    definition="B_simple = tr(Sigma) / |G|^2 as the framework logs it, median of the last fifth of "
    "the run.",
    source="McCandlish et al. 2018 (arXiv 1812.06162)",
    needs=(KEY, "batch_tokens"),
    pitfalls="It rests on strong assumptions and is not a critical batch size.",
    thresholds=THRESHOLDS,
    start=start,
    judge=judge,
)
