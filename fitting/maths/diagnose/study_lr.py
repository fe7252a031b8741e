"""D4, D16 and D17: what a sweep of learning rates says of stability."""

from __future__ import annotations

from collections.abc import Sequence

from fitting.maths.diagnose.case import Limits
from fitting.maths.diagnose.stable_lr import MAX_EXCESS_NATS, StableLr
from fitting.maths.diagnose.study_diagnostic import StudyDiagnostic
from fitting.maths.diagnose.verdict import HIGH, MEDIUM, OK, WARN, WATCH, Threshold, Verdict
from fitting.maths.laws.lr_sensitivity import LrSensitivity
from fitting.maths.lr_exponent import LrExponent
from fitting.maths.lr_optima import LrOptimum
from fitting.maths.lr_sweep import LrScale, LrSweepResult, LrVariant
from fitting.maths.records import Refusal

STUDY = "Wortsman et al. 2023 (arXiv 2309.14322)"
SENSITIVITY = StudyDiagnostic(
    slug="lr_sensitivity",
    number="D4",
    title="LR sensitivity",
    question="How much does a wrong learning rate cost, and more so with size?",
    definition="Mean over the learning rates of min(loss, loss at initialisation) less the best "
    "loss; diverged runs count as their initial loss.",
    source=f"{STUDY}, section 2.2",
    needs=("loss.val", "loss_at_init", "peak_lr"),
    pitfalls="Short runs are undertrained at low learning rates, so that the left part dominates "
    "and the sum falls with size. A model at chance scores 0.",
)
DRIFT = StudyDiagnostic(
    slug="lr_drift",
    number="D16",
    title="Drift of the best LR",
    question="Does the best learning rate move with size, and does the grid still hold it?",
    definition="Vertex of a parabola in log LR through the best points of each size, and a "
    "weighted line of its logarithm on log N. A size whose best rate is the lowest or highest one "
    "tried, or whose parabola opens downwards, is at the edge of the grid: warn.",
    source=f"{STUDY}, Fig 8",
    needs=("loss.val", "peak_lr"),
    pitfalls="Undertrained runs prefer a larger learning rate.",
)
STABLE = StudyDiagnostic(
    slug="stable_lr",
    number="D17",
    title="Highest stable LR",
    question="How far above the best learning rate does training stay stable?",
    definition="Largest learning rate tried whose loss is within the excess of the best one and "
    "whose runs are all healthy, in steps of the grid above the best one.",
    source=f"{STUDY}, section 3.1.1",
    needs=("loss.val", "peak_lr"),
    pitfalls="Gaps in the grid; a single seed.",
    thresholds=(
        Threshold("excess", MAX_EXCESS_NATS, "nats above the best loss that count as stable"),
        Threshold("margin", 1, "grid steps above the best LR at the largest size: at most, watch"),
    ),
)
LR_DIAGNOSTICS = (SENSITIVITY, DRIFT, STABLE)


def judge_sweep(result: LrSweepResult, limits: Limits) -> list[Verdict]:
    """Return the verdicts of each variant of a sweep."""
    found = []
    for variant in result.variants:
        scales = [item for item in result.scales if item.variant == variant.variant]
        found += [
            _judge_sensitivity(scales, variant, limits),
            _judge_drift(scales, variant, limits),
            _judge_stable(scales, variant, limits),
        ]
    return found


def _judge_sensitivity(scales: Sequence[LrScale], variant: LrVariant, limits: Limits) -> Verdict:
    values: dict[str, object] = {"variant": variant.variant}
    known = [(item.scale, item.sensitivity) for item in scales]
    measured = [(n, its) for n, its in known if isinstance(its, LrSensitivity)]
    if not measured:
        return SENSITIVITY.refuse(limits, _find_reason([its for _, its in known]), values)
    n, largest = measured[-1]
    seeds = f"{largest.n_seeds} seed{'s' if largest.n_seeds > 1 else ''}"
    text = (
        f"LR sensitivity {largest.value:.3f} at N = {n:.3g} ({largest.left:.3f} left, "
        f"{largest.right:.3f} right of the optimum; grid {largest.coverage}, {seeds})."
    )
    values |= {"by_size": [[size, its.value, its.left, its.right] for size, its in measured]}
    confidence = HIGH if largest.n_seeds > 1 and largest.grid == "standard" else MEDIUM
    return SENSITIVITY.state(limits, OK, text, values, confidence)


def _judge_drift(scales: Sequence[LrScale], variant: LrVariant, limits: Limits) -> Verdict:
    values: dict[str, object] = {"variant": variant.variant}
    optima = [(item.scale, item.optimum) for item in scales]
    edge = [n for n, its in optima if isinstance(its, LrOptimum) and its.censored]
    bent = [n for n, its in optima if isinstance(its, Refusal) and its.code == "not_interior"]
    at_edge = sorted([*edge, *bent])
    values |= {"at_edge": at_edge}
    tail = f"{len(at_edge)} of {len(optima)} sizes at the grid edge"
    law = variant.exponent
    if not isinstance(law, LrExponent):
        if at_edge:
            return DRIFT.state(limits, WARN, f"Best LR: {tail}; {law.sentence}.", values)
        return DRIFT.refuse(limits, law.sentence, values)
    ends = (law.interval.low, law.interval.high) if law.interval else None
    values |= {"exponent": law.exponent, "interval": ends, "n_scales": law.n_scales}
    span = f"{ends[0]:.2f}, {ends[1]:.2f}" if ends else "interval unknown"
    verb = "falls" if law.exponent < 0 else "rises"
    text = f"Best LR {verb} as N^{law.exponent:.2f} ({span}); {tail}."
    return DRIFT.state(limits, WARN if at_edge else OK, text, values)


def _judge_stable(scales: Sequence[LrScale], variant: LrVariant, limits: Limits) -> Verdict:
    values: dict[str, object] = {"variant": variant.variant}
    known = [(item.scale, item.stable) for item in scales]
    found = [(n, its) for n, its in known if isinstance(its, StableLr)]
    if not found:
        return STABLE.refuse(limits, _find_reason([its for _, its in known]), values)
    n, last = found[-1]
    steps = f"{last.steps_above_best} grid step{'s' if last.steps_above_best != 1 else ''}"
    least = "at least " if last.at_grid_edge else ""
    text = f"Highest stable LR {least}{last.lr:g} at N = {n:.3g}, {steps} above the best LR."
    values |= {"by_size": [[size, its.lr, its.best_lr] for size, its in found]}
    is_near = last.steps_above_best <= STABLE.limit(limits, "margin") and not last.at_grid_edge
    return STABLE.state(limits, WATCH if is_near else OK, text, values)


def _find_reason(results: Sequence[object]) -> str:
    return next((item.sentence for item in results if isinstance(item, Refusal)), "no size")
