"""D11: curvature beyond the edge of stability."""

from __future__ import annotations

import numpy as np

from fitting.maths.diagnose.case import Case, RunConfig
from fitting.maths.diagnose.diagnostic import Diagnostic
from fitting.maths.diagnose.track import Track
from fitting.maths.diagnose.verdict import OK, WARN, WATCH, Threshold, Verdict

SLUG = "sharpness"
KEY, RATE = "curv.sharpness", "optim.lr"
SETTLED = 0.02
THRESHOLDS = (
    Threshold("watch", 1.0, "sustained sharpness over the stability edge: above, watch"),
    Threshold("warn", 2.0, "the same: above, warn"),
)


def start(name: str, config: RunConfig) -> Track | None:
    """Return an empty track for sharpness and learning rate."""
    return Track.start() if name in (KEY, RATE) else None


def find_edge(lr: float, beta1: float) -> float:
    """Return the stability edge of Adam: (2 + 2 beta1) / ((1 - beta1) lr).

    References
    ----------
    38 / lr for beta1 = 0.9: Cohen et al., quoted in Wortsman et al. 2023, section 4.
    """
    return (2 + 2 * beta1) / ((1 - beta1) * lr)


def judge(case: Case) -> Verdict:
    """Judge by the median ratio of the last 2% of the run, five values at least."""
    sharpness, rate = case.track(KEY), case.track(RATE)
    if sharpness is None or rate is None:
        return case.not_logged(*(n for n, t in ((KEY, sharpness), (RATE, rate)) if t is None))
    beta1 = case.config.number("beta1")
    if beta1 is None or not beta1 < 1:
        return case.not_configured("beta1")
    curve, rates = sharpness.samples, rate.samples
    if not len(curve) or not len(rates):
        return case.unknown("no finite value of the sharpness or the learning rate")
    lr = np.interp(curve.step, rates.step, rates.mean)
    ratio = np.where(lr > 0, curve.mean / find_edge(1.0, beta1) * lr, 0.0)
    n = len(curve.tail(SETTLED, at_least=5))
    now = float(np.median(ratio[-n:]))
    severity = WARN if now > case.limit("warn") else WATCH if now > case.limit("watch") else OK
    step = int(curve.step[-1])
    text = f"Sharpness is {now:.2f}x the stability edge at step {step:,}."
    first = int(curve.first[np.argmax(ratio > case.limit("watch"))]) if severity != OK else -1
    values = {"ratio": now, "largest": float(ratio.max())}
    return case.verdict(severity, text, values, [KEY, RATE], first_step=first)


DIAGNOSTIC = Diagnostic(
    slug=SLUG,
    number="D11",
    title="Preconditioned sharpness",
    question="Is the learning rate beyond the edge of stability?",
    definition="Largest eigenvalue of the preconditioned Hessian over (2 + 2 beta1) / ((1 - beta1) "
    "lr), 38 / lr for beta1 = 0.9.",
    source="Cohen et al. 2022, quoted in Wortsman et al. 2023, section 4",
    needs=(KEY, RATE, "beta1"),
    pitfalls="Sitting at the edge is normal training; only a sustained excess counts.",
    thresholds=THRESHOLDS,
    start=start,
    judge=judge,
    ladder=("watch", "warn"),
)
