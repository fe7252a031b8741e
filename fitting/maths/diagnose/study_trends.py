"""D5 and D6 of a study: where trends over size meet what training does not survive."""

from __future__ import annotations

import math
from collections.abc import Sequence

from fitting.maths.diagnose.case import Limits
from fitting.maths.diagnose.epsilon_trend import EpsilonTrend
from fitting.maths.diagnose.logit_forecast import LogitForecast
from fitting.maths.diagnose.study_diagnostic import StudyDiagnostic
from fitting.maths.diagnose.verdict import OK, WARN, WATCH, Threshold, Verdict

WORTSMAN = "Wortsman et al. 2023 (arXiv 2309.14322)"
FORECAST = StudyDiagnostic(
    slug="logit_forecast",
    number="D5",
    title="Forecast of attention logits",
    question="At which size will attention logits reach the critical threshold?",
    definition="The largest attention logit at one early step against size for each learning rate "
    "and variant, and where the line reaches the project's critical threshold. Warn where the "
    "study's declared target lies beyond it.",
    source=f"{WORTSMAN}, section 3.3, Fig 9",
    needs=("attn.max_logit.L*", "peak_lr"),
    pitfalls="Much earlier a step tells nothing, much later the unstable runs have diverged. More "
    "than a decade beyond the runs is an extrapolation.",
    thresholds=(Threshold("near", 10, "crossing over the largest size: below, watch"),),
)
EPSILON = StudyDiagnostic(
    slug="epsilon_trend",
    number="D6",
    title="Gradient RMS against epsilon, by size",
    question="At which size will the gradient's RMS meet Adam's epsilon?",
    definition="Log-log line of the tail mean of a matrix's gradient RMS on size for each learning "
    "rate and variant, and where it meets epsilon.",
    source=f"{WORTSMAN}, section 3.4, Fig 11",
    needs=("grad.rms.*", "adam_eps"),
    pitfalls="Clipped or loss-scaled gradients hide it. A larger epsilon is not the remedy.",
    thresholds=(
        Threshold("watch", 100, "size at which they meet over the largest one: below, watch"),
        Threshold("warn", 10, "the same: below, warn"),
    ),
    ladder=("watch", "warn"),
)
TREND_DIAGNOSTICS = (FORECAST, EPSILON)


def judge_forecasts(forecasts: Sequence[LogitForecast], reason: str, limits: Limits) -> Verdict:
    """Judge by the nearest crossing; `reason` says why there is no forecast."""
    if not forecasts:
        return FORECAST.refuse(limits, reason)
    nearest = min(forecasts, key=lambda item: math.inf if item.ratio is None else item.ratio)
    values = {"variant": nearest.variant, "lr": nearest.lr, "crossing": nearest.crossing}
    reached = [item for item in forecasts if item.severity == WARN]
    if reached:
        first = min(reached, key=lambda item: item.crossing or math.inf)
        text = f"{first.sentence} The study's target lies beyond."
        return FORECAST.state(limits, WARN, text, {**values, "lr": first.lr})
    is_near = nearest.ratio is not None and nearest.ratio < FORECAST.limit(limits, "near")
    return FORECAST.state(limits, WATCH if is_near else OK, nearest.sentence, values)


def judge_gradients(trends: Sequence[EpsilonTrend], limits: Limits) -> Verdict:
    """Judge by the nearest size at which gradient RMS meets epsilon."""
    if not trends:
        return EPSILON.refuse(limits, "needs grad.rms.* and adam_eps at 3 sizes of a learning rate")
    ratio = {place: _find_ratio(trend) for place, trend in enumerate(trends)}
    place = min(ratio, key=lambda key: (ratio[key], trends[key].values[-1] / trends[key].epsilon))
    severity = OK
    for name, worse in (("watch", WATCH), ("warn", WARN)):
        severity = worse if ratio[place] < EPSILON.limit(limits, name) else severity
    trend = trends[place]
    values = {"variant": trend.variant, "lr": trend.lr, "crossing": trend.crossing}
    return EPSILON.state(limits, severity, trend.sentence, values)


def _find_ratio(trend: EpsilonTrend) -> float:
    return math.inf if trend.crossing is None else trend.crossing / float(trend.sizes[-1])
