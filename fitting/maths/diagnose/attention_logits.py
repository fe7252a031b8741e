"""D1: growth of the largest attention logit."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from fitting.maths.diagnose.case import LAYER, Case, RunConfig
from fitting.maths.diagnose.diagnostic import Diagnostic, is_metric
from fitting.maths.diagnose.track import Track
from fitting.maths.diagnose.trend import find_theil_sen_slope
from fitting.maths.diagnose.verdict import (
    CRITICAL,
    LOW,
    WARN,
    Threshold,
    Verdict,
    find_band,
    is_at_least,
    raise_band,
)

SLUG = "attention_logits"
SIGNED, ABSOLUTE = "attn.max_logit", "attn.max_abs_logit"
BANDS = ("watch", "warn", "critical")
THRESHOLDS = (
    Threshold("watch", 1e2, "largest attention logit"),
    Threshold("warn", 1e3, "largest attention logit", "Wortsman et al. 2023, Fig 10"),
    Threshold("critical", 1e4, "largest attention logit", "Wortsman et al. 2023, section 3.3"),
    Threshold(
        "doubling", 0.1, "doubling time over the remaining steps: below it, one band up", most=1
    ),
    Threshold("growth_from", 10.0, "largest logit from which on its growth counts"),
)
REMEDIES = "Known remedies: QK-norm, a lower learning rate, QK-clip."


def start(name: str, config: RunConfig) -> Track | None:
    """Return an empty track for a metric of attention logits."""
    if not is_metric(name, f"{SIGNED}.L*", f"{ABSOLUTE}.L*"):
        return None
    levels = tuple(config.limit(SLUG, item).value for item in THRESHOLDS[:3])
    return Track.start(levels, capacity=256)


def judge(case: Case) -> Verdict:
    """Judge by the running maximum over all layers."""
    if case.config.has("softcap_attn"):
        cap = case.config.text("softcap_attn")
        return case.not_applicable(f"attention logits are soft-capped at {cap}; see the entropy")
    tracks = case.layers(SIGNED) or case.layers(ABSOLUTE)
    if not tracks:
        return case.not_logged(f"{SIGNED}.L*")
    form = next(iter(tracks)).partition(".L")[0]
    bad = [(track.first_bad_step, name) for name, track in tracks.items() if track.n_bad]
    finite = {name: track for name, track in tracks.items() if math.isfinite(track.largest)}
    if bad:
        step, name = min(bad)
        text = f"Attention logits of {_name_layer(name)} were not finite at step {step:,}. "
        values = {"first_nonfinite_step": step, "layer": name}
        return case.verdict(CRITICAL, text + REMEDIES, values, tracks, first_step=step)
    name, track = max(finite.items(), key=lambda item: item[1].largest)
    limits = [case.limit(band) for band in BANDS]
    severity = find_band(track.largest, *limits)
    doubling = _find_doubling(case, track)
    since = _find_first_over(finite.values(), severity, limits)
    if doubling is not None and track.largest >= case.limit("growth_from"):
        remaining = case.length - track.last_step
        if doubling < case.limit("doubling") * remaining:
            severity = raise_band(severity)
            since = since if since is not None else track.last_step
    values = {
        "largest": track.largest,
        "step": track.largest_step,
        "layer": name,
        "last": max(item.last_value for item in finite.values()),
        "doubling_steps": doubling,
        "form": form,
    }
    return case.verdict(
        severity, _describe(severity, name, track, doubling), values, tracks, first_step=since
    )


def _describe(severity: str, name: str, track: Track, doubling: float | None) -> str:
    where = f"{_name_layer(name)} reached {track.largest:.3g} at step {track.largest_step:,}"
    if severity == "ok":
        return f"Attention logits stay small: {where}."
    pace = f", doubling every {doubling:,.0f} steps" if doubling is not None else ""
    return f"Attention logits grow: {where}{pace}. {REMEDIES}"


def _name_layer(name: str) -> str:
    found = LAYER.search(name)
    return f"layer {found[1]}" if found else "the largest layer"


def _find_doubling(case: Case, track: Track) -> float | None:
    """Return the steps in which the maximum doubles at its pace over the last 20% of points."""
    samples = track.samples
    recent = samples.select(slice(-max(len(samples) // 5, 5), None))
    recent = recent.since(case.config.warmup_steps)
    if len(recent) < 5:
        return None
    slope = find_theil_sen_slope(
        recent.step.astype(np.float64), np.log10(np.maximum(recent.high, 1e-12))
    )
    return math.log10(2) / slope if slope > 0 else None


def _find_first_over(tracks: object, severity: str, limits: list[float]) -> int | None:
    """Return the first step over the severity's limit, in any layer."""
    if severity not in BANDS:
        return None
    level = limits[BANDS.index(severity)]
    found = []
    for track in tracks:  # type: ignore[attr-defined]
        if level in track.levels:
            found.append(int(track.first_over[track.levels.index(level)]))
        else:
            samples = track.samples
            found += [int(step) for step in samples.first[samples.high >= level][:1]]
    return min((step for step in found if step >= 0), default=None)


def revise(own: Verdict, others: Mapping[str, Verdict]) -> Verdict:
    """Let a critical verdict stand only with collapsed entropy or a diverged loss beside it."""
    if own.severity != CRITICAL or "largest" not in own.values:
        return own
    entropy, shape = others.get("attention_entropy"), others.get("loss_shape")
    if is_at_least(entropy, WARN) or is_at_least(shape, WARN):
        return own
    if entropy is None or not entropy.is_known:
        remark = "attention entropy is not logged, so nothing confirms it"
        return replace(own, confidence=LOW, remarks=(*own.remarks, remark))
    remark = "one band lower: neither the attention entropy nor the loss confirms it"
    return replace(own, severity=WARN, remarks=(*own.remarks, remark))


DIAGNOSTIC = Diagnostic(
    slug=SLUG,
    number="D1",
    title="Attention-logit growth",
    question="Do attention logits grow towards saturation?",
    definition="The largest z = q.k / sqrt(d_head) over batch, heads, unmasked pairs and layers, "
    "after RoPE and QK-norm. One band up while it doubles in less than a tenth of the remaining "
    "steps.",
    source="Wortsman et al. 2023 (arXiv 2309.14322), sections 3.1.1 and 3.3, Fig 10",
    needs=("attn.max_logit.L*",),
    pitfalls="Attention sinks are large and harmless, so critical also needs a collapsed entropy "
    "or a sick loss. A maximum grows with the sample: compare equal sizes only. QK-norm with a "
    "learnable gain is no hard bound.",
    thresholds=THRESHOLDS,
    start=start,
    judge=judge,
    revise=revise,
    ladder=BANDS,
    kept=BANDS,
)
