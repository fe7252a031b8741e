"""D9: loss spikes after the second moment was underestimated."""

from __future__ import annotations

import numpy as np

from fitting.maths.diagnose.case import Case, RunConfig
from fitting.maths.diagnose.diagnostic import Diagnostic, is_metric
from fitting.maths.diagnose.spikes import Spikes
from fitting.maths.diagnose.track import Track
from fitting.maths.diagnose.verdict import OK, WATCH, Threshold, Verdict

SLUG = "adam_rms"
KEY, LOSS = "adam.rms.", "loss.train"
WITHIN = 8
EVENT = 2.3
THRESHOLDS = (
    Threshold("event", EVENT, "RMS of an event", "StableAdamW (2304.13013), unverified"),
    Threshold("ratio", 3.0, "rate of spikes after events over the base rate: above, watch"),
    Threshold("events", 5, "events that are needed"),
)


def start(name: str, config: RunConfig) -> Track | Spikes | None:
    """Return an empty accumulator for the loss and Adam's RMS."""
    if name == LOSS:
        return Spikes.start(("olmo-core",))
    return Track.start((EVENT,), capacity=1024) if is_metric(name, "adam.rms.*") else None


def judge(case: Case) -> Verdict:
    """Compare the rate of spikes 1 to 8 steps after events with the rate elsewhere."""
    tracks = {
        name: track for name in case.state if name.startswith(KEY) and (track := case.track(name))
    }
    if not tracks:
        return case.not_logged("adam.rms.*")
    finest = min(tracks, key=lambda name: tracks[name].cadence)
    cadence = tracks[finest].cadence
    if not cadence <= WITHIN:
        return case.unknown(f"logged every {cadence:.3g} steps, cannot resolve {WITHIN} steps")
    loss = case.state.get(LOSS)
    if not isinstance(loss, Spikes) or not loss.track.n:
        return case.not_logged(LOSS)
    scorer = loss.scorers[0]
    if not scorer.n_scored:
        return case.unknown(f"needs 129 values of the loss, has {scorer.n}")
    curve = tracks[finest].samples
    events = curve.first[curve.high >= case.limit("event")]
    near = np.zeros(scorer.steps.size, dtype=bool)
    for event in events:
        near |= (scorer.steps > event) & (
            scorer.steps <= event + WITHIN + curve.step[0] - curve.first[0]
        )
    n_spikes, n_after = scorer.n_spikes, int(near.sum())
    base = n_spikes / scorer.n_scored
    covered = max(len(events) * WITHIN / max(loss.track.cadence, 1.0), 1e-9)
    ratio = n_after / covered / base if base > 0 else 0.0
    values = {"n_events": len(events), "n_spikes": n_spikes, "n_after": n_after, "ratio": ratio}
    is_linked = len(events) >= case.limit("events") and ratio > case.limit("ratio")
    text = (
        f"{n_after} of {n_spikes} loss spikes came 1-{WITHIN} steps after an Adam RMS event "
        f"({len(events)} events, base rate {base:.2g})."
    )
    first = int(events[0]) if is_linked else -1
    return case.verdict(
        WATCH if is_linked else OK,
        text,
        values,
        [finest, LOSS],
        first_step=first,
        preset="olmo-core",
    )


DIAGNOSTIC = Diagnostic(
    slug=SLUG,
    number="D9",
    title="Adam RMS spikes",
    question="Do loss spikes follow an outdated second moment?",
    definition="RMS_t = sqrt(mean(g_t^2 / max(v_t, eps^2))) of a tensor; the rate of loss spikes "
    "1 to 8 steps after RMS >= 2.3 over their base rate.",
    source="Wortsman et al. 2023, Stable and low-precision training (arXiv 2304.13013)",
    needs=("adam.rms.* every step", LOSS),
    pitfalls="The first steps of warm-up; clipped gradients with an unclipped second moment.",
    thresholds=THRESHOLDS,
    start=start,
    judge=judge,
)
