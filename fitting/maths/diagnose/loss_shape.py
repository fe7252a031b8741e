"""D8: the shape of the loss, which sets the run's outcome."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace

from fitting.maths.diagnose.case import Case, RunConfig
from fitting.maths.diagnose.diagnostic import Diagnostic, is_metric
from fitting.maths.diagnose.excursions import Excursion, Shape
from fitting.maths.diagnose.track import Track
from fitting.maths.diagnose.verdict import (
    CRITICAL,
    LOW,
    OK,
    WARN,
    WATCH,
    Threshold,
    Verdict,
    is_at_least,
)

SLUG = "loss_shape"
LOSSES = ("loss.train", "loss.val", "loss.total")
NON_FINITE, FAST, SLOW, LASTING = (
    "non_finite",
    "fast_divergence",
    "slow_divergence",
    "non_recovering",
)
SPIKE, SLOW_RECOVERY, STALLED, HEALTHY = (
    "recovered_spike",
    "slow_recovery",
    "stalled_high",
    "healthy",
)
EXCURSION = "excursion"
DIVERGED_CLASSES = (NON_FINITE, FAST, SLOW, LASTING)
MIN_POINTS = 10
FAST_STEPS = 50
QUIET = 3  # equal values in a row that a filter of NaN would leave
THRESHOLDS = (
    Threshold("excess", 0.1, "nats above the best smoothed loss that count as an excursion"),
    Threshold("ratio", 2.0, "loss over its reference: above and staying, fast divergence"),
    Threshold(
        "recovery", 0.02, "share of the run within which a spike counts as recovered", most=1
    ),
    Threshold("lasting", 0.1, "share of the run above the reference: longer, diverged", most=1),
    Threshold("spike", 0.5, "nats by which a single value has to stick out to be a spike"),
)


def start(name: str, config: RunConfig) -> Track | None:
    """Return an empty track for losses and whatever may fail before them."""
    if name in LOSSES:
        return Track.start(capacity=1024, has_texture=name == LOSSES[0])
    if is_metric(name, "optim.grad_norm", "attn.max_logit.L*", "logits.logz_mean", "act.rms.L*"):
        return Track.start(capacity=16)
    return None


def judge(case: Case) -> Verdict:
    """Return the first class that holds."""
    logged = [name for name in LOSSES if case.track(name)]
    if not logged:
        return case.not_logged(LOSSES[0])
    failed = _find_nonfinite(case, logged)
    if failed is not None:
        return failed
    track = case.track(logged[0])
    assert track is not None
    curve = track.samples
    if track.n < MIN_POINTS:
        return case.unknown(f"needs {MIN_POINTS} values of {logged[0]}, has {track.n}")
    shape = Shape.read(curve, case.length, case.limit("excess"))
    excursions = shape.find_excursions()
    diverged = _judge_open(case, shape, excursions, logged[0])
    if diverged is not None:
        return diverged
    return _judge_recovered(case, shape, excursions, logged)


def _find_nonfinite(case: Case, logged: list[str]) -> Verdict | None:
    bad = [
        (track.first_bad_step, name)
        for name in logged
        if (track := case.track(name)) and track.n_bad
    ]
    others = [
        (track.first_bad_step, name)
        for name in case.state
        if name not in logged and (track := case.track(name)) and track.n_bad
    ]
    first = min([*bad, *others], default=None)
    values: dict[str, object] = {"class": NON_FINITE}
    if first is not None:
        values |= {"first_metric": first[1], "first_metric_step": first[0]}
    if bad:
        step, name = min(bad)
        text = f"Loss: {name} is not finite from step {step:,}"
        if first is not None and first[0] < step:
            text += f"; {first[1]} was non-finite first, at step {first[0]:,}"
        values |= {"step": step, "metric": name}
        return case.verdict(CRITICAL, text + ".", values, logged, first_step=step)
    norm = case.track("optim.grad_norm")
    loss = case.track(logged[0])
    if norm is None or loss is None or math.isfinite(norm.last_value) or not _is_frozen(loss):
        return None
    text = (
        f"Loss: the gradient norm is not finite from step {norm.first_bad_step:,} while the loss "
        "stands still; the framework seems to replace a NaN loss (HF logging_nan_inf_filter)."
    )
    values |= {"step": norm.first_bad_step, "metric": "optim.grad_norm"}
    keys = [*logged, "optim.grad_norm"]
    return case.verdict(CRITICAL, text, values, keys, first_step=norm.first_bad_step)


def _is_frozen(loss: Track) -> bool:
    """Say whether the last values are all the same."""
    recent = loss.samples.select(slice(-QUIET, None))
    return len(recent) == QUIET and recent.high.max() == recent.low.min()


def _judge_open(
    case: Case, shape: Shape, excursions: list[Excursion], metric: str
) -> Verdict | None:
    """Judge an excursion that the loss has not come back from, or only just.

    A divergence is over when the loss stayed near its reference for 2% of the run.
    """
    if not excursions:
        return None
    found = excursions[-1]
    settling = case.settle(shape.curve)
    if found.end is not None and not settling.first[0] <= found.end:
        return None
    kind = _classify_open(case, shape, found)
    if found.end is not None and kind not in DIVERGED_CLASSES:
        return None
    severity = CRITICAL if kind in DIVERGED_CLASSES else WARN
    severity = WATCH if kind == EXCURSION else severity
    name = {
        FAST: "fast divergence",
        SLOW: "slow divergence",
        LASTING: "not recovered",
        SLOW_RECOVERY: "slow to recover",
        EXCURSION: "above its reference",
    }[kind]
    text = (
        f"Loss: {name} from step {found.onset:,} ({found.reference:.3f} to {found.peak:.3f}), "
        f"{100 * found.length / case.length:.1f}% of the run so far."
    )
    if found.end is not None:
        text += f" It is back since step {found.end:,}, which has to last."
    values = {"class": kind, "step": found.onset, "reference": found.reference, "peak": found.peak}
    missing = () if case.config.number("loss_at_init") else ("loss_at_init",)
    return case.verdict(severity, text, values, [metric], first_step=found.onset, missing=missing)


def _classify_open(case: Case, shape: Shape, found: Excursion) -> str:
    curve, share = shape.curve, found.length / case.length
    tops = [2.0 * found.reference if found.reference > 0 else math.inf]
    tops[0] *= case.limit("ratio") / 2.0
    initial = case.config.number("loss_at_init")
    top = min([*tops, *([initial] if initial is not None and initial > found.reference else [])])
    over = curve.step[(curve.step >= found.onset) & (curve.high > top)]
    gap = (curve.step[-1] - curve.first[0]) / max(len(curve) - 1, 1)
    is_fast = over.size > 0 and over[0] - found.onset <= max(FAST_STEPS, 2 * gap)
    n_held = 1 if found.end is None else len(case.settle(curve)) + 1
    if is_fast and shape.smooth[-n_held:].max() > top:
        return FAST
    if found.is_rising and not found.has_jump and share >= case.limit("recovery"):
        return SLOW
    if share > case.limit("lasting"):
        return LASTING
    return SLOW_RECOVERY if share > case.limit("recovery") else EXCURSION


def _judge_recovered(
    case: Case, shape: Shape, excursions: list[Excursion], logged: list[str]
) -> Verdict:
    """Judge what the loss came back from, and where it ends."""
    metric, curve = logged[0], shape.curve
    final = float(shape.smooth[-1])
    above = _judge_start(case, shape, metric)
    if above is not None:
        return above
    slow = [item for item in excursions if item.length > case.limit("recovery") * case.length]
    if slow:
        worst = max(slow, key=lambda item: item.length)
        text = (
            f"Loss: slow recovery, above its reference from step {worst.onset:,} to "
            f"{worst.end:,} ({worst.reference:.3f} to {worst.peak:.3f})."
        )
        values = {"class": SLOW_RECOVERY, "step": worst.onset, "peak": worst.peak, "final": final}
        return case.verdict(WARN, text, values, [metric], first_step=worst.onset)
    stalled = _judge_height(case, final, logged)
    spikes = curve.first[shape.find_spikes(case.limit("spike"))].tolist()
    steps = sorted({*spikes, *(item.onset for item in excursions)})
    if stalled is not None:
        return replace(stalled, values={**stalled.values, "spikes": steps[:20]})
    if steps:
        peaks = [item.peak for item in excursions] + curve.high[
            shape.find_spikes(case.limit("spike"))
        ].tolist()
        text = (
            f"Loss: {len(steps)} recovered spike{'s' if len(steps) > 1 else ''}, the first at step "
            f"{steps[0]:,}, up to {max(peaks):.3f}; {final:.3f} now."
        )
        values = {
            "class": SPIKE,
            "step": steps[0],
            "peak": max(peaks),
            "final": final,
            "steps": steps[:20],
        }
        return case.verdict(WATCH, text, values, [metric], first_step=steps[0])
    values = {"class": HEALTHY, "final": final, "noise": shape.noise}
    text = f"Loss: healthy, {final:.3f} at step {int(curve.step[-1]):,}."
    return case.verdict(OK, text, values, [metric])


def _judge_start(case: Case, shape: Shape, metric: str) -> Verdict | None:
    """Call a run that is past its middle and above its initial loss diverged."""
    initial, final = case.config.number("loss_at_init"), float(shape.smooth[-1])
    if initial is None or case.last_step < 0.5 * case.length or final <= initial + shape.tolerance:
        return None
    first = int(shape.curve.first[0])
    text = f"Loss: {final:.3f} is above the {initial:.3f} at initialisation, which it never left."
    values = {
        "class": FAST,
        "step": first,
        "reference": initial,
        "peak": float(shape.curve.high.max()),
    }
    return case.verdict(CRITICAL, text, values, [metric], first_step=first)


def _judge_height(case: Case, final: float, logged: list[str]) -> Verdict | None:
    """Compare the end of a long enough run with what a bigram or unigram model reaches."""
    if case.last_step < 0.5 * case.length or case.last_step < 2 * case.config.warmup_steps:
        return None
    metric = "loss.val" if "loss.val" in logged else logged[0]
    track = case.track(metric)
    assert track is not None
    value = track.last_value if metric == "loss.val" else final
    found = [
        (name, limit)
        for name in ("bigram", "unigram")
        if (limit := case.config.number(f"baseline_{name}")) is not None
    ]
    if not found or value <= found[0][1]:
        return None
    name, limit = found[0]
    text = (
        f"Loss: {value:.3f} at step {track.last_step:,} is above the {limit:.3f} of a {name} model."
    )
    values = {"class": STALLED, "final": value, "baseline": limit, "baseline_name": name}
    return case.verdict(WARN, text, values, [metric], first_step=track.last_step)


def revise(own: Verdict, others: Mapping[str, Verdict]) -> Verdict:
    """Call a high loss stalled only where attention is sick; otherwise it may be undertrained."""
    if own.values.get("class") != STALLED:
        return own
    sick = [
        slug
        for slug in ("attention_logits", "attention_entropy")
        if is_at_least(others.get(slug), WARN)
    ]
    if sick:
        return replace(own, sentence=f"{own.sentence} Attention is sick as well: stalled high.")
    known = [
        others[slug].is_known
        for slug in ("attention_logits", "attention_entropy")
        if slug in others
    ]
    text = "Nothing says that it is unstable: it may be undertrained."
    if not any(known):
        return replace(own, severity=WATCH, confidence=LOW, sentence=f"{own.sentence} {text}")
    values = {**own.values, "class": "undertrained"}
    return replace(
        own, severity=OK, values=values, sentence=f"{own.sentence} {text}", first_step=None
    )


def find_outcome(verdict: Verdict | None) -> str:
    """Return ``diverged``, ``healthy`` or ``unknown``: the one rule for a run's outcome."""
    if verdict is None or not verdict.is_known:
        return "unknown"
    return "diverged" if verdict.values.get("class") in DIVERGED_CLASSES else "healthy"


DIAGNOSTIC = Diagnostic(
    slug=SLUG,
    number="D8",
    title="Shape of the loss",
    question="Did the run diverge?",
    definition="The first class that holds: non-finite, fast divergence, slow divergence, not "
    "recovered (these four make the outcome diverged), slow recovery, stalled high, recovered "
    "spike, healthy. The loss is a rolling median over 1% of the run, compared with its own best.",
    source="Classes by ScaleDash, after Wortsman et al. 2023, Fig 2, and Molybog et al. 2023",
    needs=("loss.train", "loss_at_init", "baseline_bigram"),
    pitfalls="Hidden points of earlier attempts take no part. A framework that replaces a NaN loss "
    "hides a divergence: a constant loss beside a NaN gradient norm gives it away.",
    thresholds=THRESHOLDS,
    start=start,
    judge=judge,
    revise=revise,
)
