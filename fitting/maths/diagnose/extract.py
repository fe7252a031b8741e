"""What studies compare between runs, taken from the state of one run."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from fitting.maths.diagnose.attention_logits import ABSOLUTE, SIGNED
from fitting.maths.diagnose.case import Case, RunConfig, State
from fitting.maths.diagnose.gradient_epsilon import GRADIENT, find_tail_mean

MAX_POINTS = 96  # of the curve of attention logits; early steps are kept more densely
LOGITS, GRADIENTS = "attention_logits", "gradient_epsilon"


def extract(state: Mapping[str, State], config: RunConfig) -> dict[str, object]:
    """Return the largest attention logit against step, and tail means of gradient RMS.

    The curve is the maximum over layers at each logged step; a softcapped model has none.
    """
    found: dict[str, object] = {}
    logits = Case(LOGITS, state.get(LOGITS, {}), config, {})
    tracks = logits.layers(SIGNED) or logits.layers(ABSOLUTE)
    if tracks and not config.has("softcap_attn"):
        highest: dict[int, float] = {}
        for track in tracks.values():
            for step, value in zip(track.samples.step, track.samples.high, strict=True):
                highest[int(step)] = max(highest.get(int(step), -np.inf), float(value))
        steps = sorted(highest)
        places = range(len(steps))
        if len(steps) > MAX_POINTS:
            spaced = np.geomspace(1, len(steps), MAX_POINTS).round().astype(int) - 1
            places = sorted({int(place) for place in spaced})  # type: ignore[assignment]
        kept = [steps[place] for place in places]
        values = [float(f"{highest[step]:.6g}") for step in kept]
        form = next(iter(tracks)).partition(".L")[0]
        found["logits"] = {"form": form, "steps": kept, "values": values}
    gradients = Case(GRADIENTS, state.get(GRADIENTS, {}), config, {})
    tails = {
        name: find_tail_mean(tail)
        for name in sorted(gradients.state)
        if name.startswith(GRADIENT) and (tail := gradients.track(name)) and len(tail.samples)
    }
    if tails:
        found["gradient_rms"] = {name: float(f"{value:.6g}") for name, value in tails.items()}
        found["adam_eps"] = config.number("adam_eps")
    return found
