"""D3: run-away of the output logits."""

from __future__ import annotations

import numpy as np

from fitting.maths.diagnose.case import Case, RunConfig
from fitting.maths.diagnose.diagnostic import Diagnostic, is_metric
from fitting.maths.diagnose.history import Samples
from fitting.maths.diagnose.track import NEVER, Track
from fitting.maths.diagnose.trend import fit_line
from fitting.maths.diagnose.verdict import CRITICAL, OK, WARN, Threshold, Verdict
from fitting.maths.records import FloatArray

SLUG = "output_logits"
SIGNED, SQUARE, LARGEST = "logits.logz_mean", "logits.logz_sq", "logits.max"
LATE = 0.3
SETTLED = 0.02
BF16_RESOLVED = 256.0  # bf16 has 8 significant bits: from here on neighbours differ by 2
THRESHOLDS = (
    Threshold("moved", 10.0, "change of log Z since the first value: above, warn"),
    Threshold("moved_far", 30.0, "the same: above, critical"),
    Threshold("late", 3.0, "one-sided fitted change in the last 30% of steps: above, warn"),
    Threshold("bf16", BF16_RESOLVED, "largest output logit of a bf16 head: above, critical"),
)


def start(name: str, config: RunConfig) -> Track | None:
    """Return an empty track for log Z and the largest output logit."""
    return Track.start() if is_metric(name, SIGNED, SQUARE, LARGEST) else None


def judge(case: Case) -> Verdict:
    """Judge by how far log Z moved, in all and late."""
    if case.config.has("softcap_final"):
        return case.not_applicable("the output logits are soft-capped")
    key = SIGNED if case.track(SIGNED) else SQUARE
    track = case.track(key)
    if track is None:
        return case.not_logged(SIGNED)
    if track.n_bad:
        step = track.first_bad_step
        text = f"log Z was not finite at step {step:,}."
        values: dict[str, object] = {"first_nonfinite_step": step}
        return case.verdict(CRITICAL, text, values, [key], first_step=step)
    curve = track.samples
    logz = curve.mean if key == SIGNED else np.sqrt(np.maximum(curve.mean, 0.0))
    n_settled = len(curve.tail(SETTLED))
    moved = float(np.median(logz[-n_settled:]) - logz[0])
    late = _find_late_change(curve, logz)
    values = {"moved": moved, "late_change": late, "now": float(logz[-1])}
    severity, since = _judge_change(case, curve, logz, moved, late)
    text = f"log Z moved {moved:+.2f} since the first value, {late:+.2f} in the last 30% of steps."
    keys = [key]
    head = case.track(LARGEST)
    if head is not None and case.config.text("logits_dtype") in ("bf16", "bfloat16"):
        keys.append(LARGEST)
        if head.largest > case.limit("bf16"):
            severity, since = CRITICAL, head.largest_step
            text += f" Logits reach {head.largest:.0f}, where bf16 resolves 2 only."
    verb = "are steady" if severity == OK else "drift"
    return case.verdict(
        severity,
        f"Output logits {verb}: {text}",
        values,
        keys,
        first_step=since,
        limit_to="high" if key == SIGNED else "medium",
        remarks=() if key == SIGNED else ("judged on the root of its square: the sign is lost",),
    )


def _judge_change(
    case: Case,
    curve: Samples,
    logz: FloatArray,
    moved: float,
    late: float,
) -> tuple[str, int]:
    distance = np.abs(logz - logz[0])
    for name, severity in (("moved_far", CRITICAL), ("moved", WARN)):
        if abs(moved) > case.limit(name):
            return severity, int(curve.first[np.argmax(distance > case.limit(name))])
    if abs(late) > case.limit("late"):
        return WARN, int(curve.tail(LATE).first[0])
    return OK, NEVER


def _find_late_change(curve: Samples, logz: FloatArray) -> float:
    """Return the fitted change over the last 30% of steps; 0 unless it is one-sided."""
    part = curve.tail(LATE)
    n = len(part)
    if n < 8:
        return 0.0
    x, y = np.log10(np.maximum(part.step, 1).astype(np.float64)), logz[-n:]
    whole, first, second = (
        fit_line(x, y),
        *(fit_line(x[half], y[half]) for half in (slice(None, n // 2), slice(n // 2, None))),
    )
    if whole is None or first is None or second is None:
        return 0.0
    is_one_sided = np.sign(first.slope) == np.sign(second.slope) == np.sign(whole.slope)
    return whole.change if is_one_sided and abs(whole.slope) > 2 * whole.error else 0.0


DIAGNOSTIC = Diagnostic(
    slug=SLUG,
    number="D3",
    title="Output-logit divergence",
    question="Do the output logits run away late in training?",
    definition="p_i = exp(y_i) / Z; the logits drift together while the loss still looks fine. "
    "Compared are the first and the present log Z, and its fitted change on log steps over the "
    "last 30%.",
    source="Wortsman et al. 2023 (arXiv 2309.14322), section 3.1.2; the papers give no threshold",
    needs=("logits.logz_mean",),
    pitfalls="The mean logit falls in healthy runs and is never an alarm by itself. With a final "
    "softcap the question does not arise.",
    thresholds=THRESHOLDS,
    start=start,
    judge=judge,
    ladder=("moved", "moved_far"),
    version=2,  # log Z is kept for studies
)
