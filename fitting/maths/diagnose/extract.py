"""What studies compare between runs, taken from the state of one run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from fitting.maths.diagnose.attention_logits import ABSOLUTE, SIGNED
from fitting.maths.diagnose.case import Case, RunConfig, State
from fitting.maths.diagnose.gradient_epsilon import GRADIENT, find_tail_mean
from fitting.maths.diagnose.norm_growth import SINGULAR
from fitting.maths.diagnose.output_logits import SIGNED as LOGZ

MAX_POINTS = 96  # of the curve of attention logits; early steps are kept more densely
LOGITS, GRADIENTS, OUTPUT = "attention_logits", "gradient_epsilon", "output_logits"
NORMS, TAIL = "norm_growth", 0.05
FACTS = ("seq_len", "width", "weight_decay")


def extract(state: Mapping[str, State], config: RunConfig) -> dict[str, object]:
    """Return attention logits and log Z against step, and tail means of gradient RMS.

    The curve of logits is the maximum over layers at each logged step; a softcapped model has
    none. Facts of the config and top singular values stand beside them where they are known.
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
        form = next(iter(tracks)).partition(".L")[0]
        found["logits"] = {"form": form, **_thin(steps, [highest[step] for step in steps])}
        gaps = [track.cadence for track in tracks.values() if track.n > 1]
        found["cadence"] = max(gaps, default=None)
    logz = Case(OUTPUT, state.get(OUTPUT, {}), config, {}).track(LOGZ)
    if logz is not None and not config.has("softcap_final"):
        samples = logz.samples
        found["logz"] = _thin(samples.step.tolist(), samples.mean.tolist())
    found |= {name: value for name in FACTS if (value := config.number(name)) is not None}
    return found | _find_tails(state, config) | _find_singular(state, config)


def _thin(steps: Sequence[int], values: Sequence[float]) -> dict[str, object]:
    """Return at most MAX_POINTS of a curve, early steps more densely."""
    places = list(range(len(steps)))
    if len(steps) > MAX_POINTS:
        spaced = np.geomspace(1, len(steps), MAX_POINTS).round().astype(int) - 1
        places = sorted({int(place) for place in spaced})
    kept = [float(f"{values[place]:.6g}") for place in places]
    return {"steps": [int(steps[place]) for place in places], "values": kept}


def _find_tails(state: Mapping[str, State], config: RunConfig) -> dict[str, object]:
    """Return the mean of the final values of each matrix, and what they are compared with."""
    gradients = Case(GRADIENTS, state.get(GRADIENTS, {}), config, {})
    tails = {
        name: find_tail_mean(tail)
        for name in sorted(gradients.state)
        if name.startswith(GRADIENT) and (tail := gradients.track(name)) and len(tail.samples)
    }
    if not tails:
        return {}
    rms = {name: float(f"{value:.6g}") for name, value in tails.items()}
    return {"gradient_rms": rms, "adam_eps": config.number("adam_eps")}


def _find_singular(state: Mapping[str, State], config: RunConfig) -> dict[str, object]:
    """Return the top singular value of each matrix, median of the last 5% of the run."""
    norms = Case(NORMS, state.get(NORMS, {}), config, {})
    found = {
        name: float(f"{np.median(track.samples.tail(TAIL).mean):.6g}")
        for name in sorted(norms.state)
        if name.startswith(SINGULAR) and (track := norms.track(name)) and len(track.samples)
    }
    return {"top_sv": found} if found else {}
