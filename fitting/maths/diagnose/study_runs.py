"""D8, D15 and D20 of a study: what its runs say together."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from fitting.maths.diagnose.case import Limits
from fitting.maths.diagnose.study_diagnostic import StudyDiagnostic
from fitting.maths.diagnose.study_trends import TREND_DIAGNOSTICS
from fitting.maths.diagnose.verdict import OK, WARN, WATCH, Threshold, Verdict

STALLED = StudyDiagnostic(
    slug="stalled_runs",
    number="D8",
    title="Runs stalled high",
    question="Which runs end far above their neighbours without having diverged?",
    definition="Final loss above the best run of the same size and variant by the excess, with a "
    "learning rate above the best one, or with attention at warn or worse. As high below the best "
    "learning rate is undertrained, and no alarm.",
    source="ScaleDash; the usual failure of tiny fp32 models",
    needs=("loss.val", "peak_lr"),
    pitfalls="Runs of different lengths end at different losses.",
    thresholds=(Threshold("excess", 0.2, "nats above the best run: above, stalled"),),
)
SINGULAR = StudyDiagnostic(
    slug="singular_values",
    number="D15",
    title="Top singular value across widths",
    question="Does the gain of a matrix stay the same across widths?",
    definition="Top singular value over sqrt(lr / weight decay) d^0.75, median of the last 5% of "
    "each run, compared with the narrowest width.",
    source="arXiv 2510.15262, abstract",
    needs=("param.top_sv.*", "width", "peak_lr", "weight_decay"),
    pitfalls="Runs too short for equilibrium; coupled weight decay.",
    thresholds=(Threshold("drift", 0.2, "relative change across widths: above, warn"),),
)
COMPARABLE = StudyDiagnostic(
    slug="comparability",
    number="D20",
    title="Comparability of the runs",
    question="Do the runs log the same things in the same way?",
    definition="Losses of mixed meaning (warn), two forms of attention logits, cadences that "
    "differ, and samples of different size behind a maximum.",
    source="ScaleDash",
    needs=("any metric",),
    pitfalls="A maximum grows with batch, length and heads, whatever the model does.",
    thresholds=(Threshold("cadence", 2, "coarsest cadence over the finest one: above, watch"),),
)
RUN_DIAGNOSTICS = (*TREND_DIAGNOSTICS, STALLED, SINGULAR, COMPARABLE)


@dataclass(frozen=True)
class RunFacts:
    """What one run brings into a comparison; None and NaN where it is not known.

    Parameters
    ----------
    loss_key : what its final loss means, a canonical key
    is_sick : attention logits or attention entropy at warn or worse
    cadence : mean distance of logged steps of attention logits
    top_sv : parameter -> top singular value, median of the last 5% of the run
    """

    run: str
    n: float
    lr: float
    variant: str
    loss: float = math.nan
    loss_key: str = ""
    is_diverged: bool = False
    is_sick: bool = False
    form: str = ""
    cadence: float | None = None
    batch_tokens: float | None = None
    seq_len: float | None = None
    width: float | None = None
    weight_decay: float | None = None
    top_sv: Mapping[str, float] = field(default_factory=dict)


def judge_stalled(facts: Sequence[RunFacts], limits: Limits) -> Verdict:
    """Compare each run's final loss with the best one of its size and variant."""
    groups: dict[tuple[float, str], list[RunFacts]] = {}
    for item in facts:
        if math.isfinite(item.loss) and not item.is_diverged:
            groups.setdefault((item.n, item.variant), []).append(item)
    compared = {key: mine for key, mine in groups.items() if len(mine) > 1}
    if not compared:
        return STALLED.refuse(limits, "needs two finished runs of one size and variant")
    stalled: list[tuple[float, RunFacts, RunFacts]] = []
    n_undertrained = 0
    for mine in compared.values():
        best = min(mine, key=lambda item: item.loss)
        high = [item for item in mine if item.loss > best.loss + STALLED.limit(limits, "excess")]
        bad = [item for item in high if item.lr > best.lr or item.is_sick]
        n_undertrained += len(high) - len(bad)
        stalled += [(item.loss - best.loss, item, best) for item in bad]
    values = {"runs": [item.run for _, item, _ in stalled][:50], "n_undertrained": n_undertrained}
    tail = (
        f"{n_undertrained} more are as high at a lower LR: undertrained." if n_undertrained else ""
    )
    if not stalled:
        return STALLED.state(limits, OK, f"No run is stalled high. {tail}".strip(), values)
    excess, worst, best = max(stalled, key=lambda item: item[0])
    plural = "s are" if len(stalled) > 1 else " is"
    text = (
        f"{len(stalled)} run{plural} stalled high; the worst ends {excess:.2f} nats above the best "
        f"of its size (N = {worst.n:.3g}, LR {worst.lr:g} against {best.lr:g}). {tail}"
    )
    return STALLED.state(limits, WARN, text.strip(), values)


def judge_singular_values(facts: Sequence[RunFacts], limits: Limits) -> Verdict:
    """Compare the scaled top singular value of each matrix across widths."""
    logged = [item for item in facts if item.top_sv]
    if not logged:
        return SINGULAR.refuse(limits, "not logged: param.top_sv.*")
    usable = [item for item in logged if item.width and item.weight_decay and not item.is_diverged]
    if not usable:
        return SINGULAR.refuse(limits, "not in the config: width, weight_decay")
    found: list[tuple[float, str, str, float, float]] = []
    for name, variant in sorted({(key, item.variant) for item in usable for key in item.top_sv}):
        mine = [item for item in usable if item.variant == variant and name in item.top_sv]
        ratios: dict[float, list[float]] = {}
        for item in mine:
            width, decay = item.width or math.nan, item.weight_decay or math.nan
            scale = math.sqrt(item.lr / decay) * width**0.75
            ratios.setdefault(width, []).append(item.top_sv[name] / scale)
        widths = sorted(ratios)
        medians = {width: float(np.median(ratios[width])) for width in widths}
        for width in widths[1:]:
            drift = medians[width] / medians[widths[0]] - 1
            found.append((drift, name, variant, widths[0], width))
    if not found:
        return SINGULAR.refuse(limits, "needs 2 widths of one variant, has 1")
    drift, name, variant, narrow, wide = max(found, key=lambda item: abs(item[0]))
    text = (
        f"Top singular value of {name.removeprefix('param.top_sv.')} drifts {100 * drift:+.0f}% "
        f"from width {narrow:g} to {wide:g}, beyond sqrt(lr / weight decay) d^0.75."
    )
    is_bad = abs(drift) > SINGULAR.limit(limits, "drift")
    values = {"variant": variant, "drift": drift, "parameter": name}
    return SINGULAR.state(limits, WARN if is_bad else OK, text, values)


def judge_comparability(facts: Sequence[RunFacts], limits: Limits) -> Verdict:
    """List what differs between runs that are compared with each other."""
    if not facts:
        return COMPARABLE.refuse(limits, "no run to compare")
    losses = Counter(item.loss_key for item in facts if item.loss_key)
    mixed = []
    if len(losses) > 1:
        named = ", ".join(f"{key} ({count} runs)" for key, count in losses.most_common())
        mixed.append(f"losses of mixed meaning: {named}")
    others = []
    forms = Counter(item.form for item in facts if item.form)
    if len(forms) > 1:
        others.append(f"attention logits of two forms: {', '.join(sorted(forms))}")
    cadences = sorted(item.cadence for item in facts if item.cadence)
    if cadences and cadences[-1] > COMPARABLE.limit(limits, "cadence") * cadences[0]:
        others.append(f"cadences from every {cadences[0]:.3g} to every {cadences[-1]:.3g} steps")
    others += [
        f"maxima over samples of different size: {name} {min(known):g} to {max(known):g}"
        for name in ("batch_tokens", "seq_len")
        if len(known := {getattr(item, name) for item in facts if getattr(item, name)}) > 1
    ]
    limited = [*mixed, *others]
    values = {"limits": limited, "n_runs": len(facts)}
    if not limited:
        text = f"The {len(facts)} runs log the same things in the same way."
        return COMPARABLE.state(limits, OK, text, values)
    plural = "s" if len(limited) > 1 else ""
    text = f"{len(limited)} limit{plural} on comparisons: {'; '.join(limited)}."
    return COMPARABLE.state(limits, WARN if mixed else WATCH, text, values)
