"""Instabilities of a study: logits and gradients of its runs against size, and their forecasts."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from fitting.maths.diagnose.case import Limits
from fitting.maths.diagnose.epsilon_trend import EpsilonTrend, GradientGroup, fit_epsilon_trend
from fitting.maths.diagnose.logit_forecast import (
    LIMIT,
    Group,
    LogitForecast,
    choose_step,
    forecast_logits,
)
from fitting.maths.diagnose.study_runs import (
    RunFacts,
    judge_comparability,
    judge_singular_values,
    judge_stalled,
)
from fitting.maths.diagnose.study_trends import judge_forecasts, judge_gradients
from fitting.maths.diagnose.verdict import Verdict
from fitting.maths.records import Record, Refusal

NEAR = 0.1  # of the step: a value logged that much earlier still stands for it


@dataclass(frozen=True)
class RunCurve(Record):
    """What one run says of its stability.

    Parameters
    ----------
    steps, logits : largest attention logit over layers against step
    logz_steps, logz : log Z of the output against step
    gradient_rms : parameter -> mean of the final 500 steps
    adam_eps : None where the config does not say
    """

    run: str
    n: float
    lr: float
    variant: str
    total_steps: float
    form: str = ""
    steps: tuple[int, ...] = ()
    logits: tuple[float, ...] = ()
    logz_steps: tuple[int, ...] = ()
    logz: tuple[float, ...] = ()
    gradient_rms: dict[str, float] = field(default_factory=dict)
    adam_eps: float | None = None

    def find_logit(self, step: int) -> float:
        """Return the last value at or shortly before a step, NaN where there is none."""
        place = int(np.searchsorted(self.steps, step, side="right")) - 1
        if place < 0 or self.steps[place] < (1 - NEAR) * step:
            return math.nan
        return self.logits[place]


@dataclass(frozen=True)
class InstabilitySettings(Record):
    """Choices of the study.

    Parameters
    ----------
    step : at which runs are compared; None for 2% of the longest run, 100 at least
    target : size that the study is for, None where nobody has said
    bands : attention logits from which on a run is at watch, warn and critical; where the last
        is reached is forecast
    """

    step: int | None = None
    target: float | None = None
    bands: tuple[float, ...] = (1e2, 1e3, LIMIT)


@dataclass(frozen=True)
class Refused(Record):
    """A learning rate and variant without a forecast, and why."""

    lr: float
    variant: str
    refusal: Refusal


@dataclass(frozen=True)
class Instability(Record):
    """The result.

    Parameters
    ----------
    form : metric of the logits, of which one study compares one only
    values : (run, n, lr, variant, logit at the step) of each run that has one
    verdicts : of the diagnostics of a study that compare runs
    """

    step: int
    limit: float
    form: str
    settings: InstabilitySettings
    values: tuple[tuple[str, float, float, str, float], ...]
    forecasts: tuple[LogitForecast, ...]
    refused: tuple[Refused, ...]
    gradients: tuple[EpsilonTrend, ...]
    curves: tuple[RunCurve, ...]
    refusal: Refusal | None = None
    verdicts: tuple[Verdict, ...] = ()


JUDGES_OF_FACTS = (judge_stalled, judge_singular_values, judge_comparability)


def analyse_instability(
    curves: Sequence[RunCurve],
    settings: InstabilitySettings,
    facts: Sequence[RunFacts] = (),
    limits: Limits | None = None,
) -> Instability:
    """Forecast attention logits and gradient RMS for each learning rate and variant.

    Parameters
    ----------
    curves : what was logged of each run, with its size, learning rate and variant
    settings : early step and target size
    facts : what each run brings into comparisons beside its curves
    limits : thresholds of the project instead of the defaults

    Returns
    -------
    the trends over size of each learning rate and variant, or why there is none

    References
    ----------
    Wortsman et al. 2023, arXiv 2309.14322, section 3.4 and figures 9 and 11
    """
    forms = sorted({curve.form for curve in curves if curve.form})
    form = forms[-1] if forms else ""  # attn.max_logit before attn.max_abs_logit
    compared = [curve for curve in curves if curve.form == form and curve.steps]
    step = settings.step or choose_step(np.array([curve.total_steps for curve in curves]))
    values = [
        (curve.run, curve.n, curve.lr, curve.variant, value)
        for curve in compared
        if math.isfinite(value := curve.find_logit(step)) and curve.n > 0 and curve.lr > 0
    ]
    limit = settings.bands[-1]
    found, refused = _forecast_all(values, step, settings.target, limit)
    gradients = tuple(_fit_gradients(curves))
    refusal = None if values else _explain(curves, step)
    reason = refusal.sentence if refusal else _find_reason(refused)
    return Instability(
        step,
        limit,
        form,
        settings,
        tuple(values),
        tuple(found),
        tuple(refused),
        gradients,
        tuple(curve for curve in curves if curve in compared or curve.logz_steps),
        refusal,
        (
            judge_forecasts(found, reason, limits or {}),
            judge_gradients(gradients, limits or {}),
            *(judge(facts, limits or {}) for judge in JUDGES_OF_FACTS),
        ),
    )


def _forecast_all(
    values: Sequence[tuple[str, float, float, str, float]],
    step: int,
    target: float | None,
    limit: float,
) -> tuple[list[LogitForecast], list[Refused]]:
    """Forecast each learning rate and variant of (run, size, rate, variant, logit)."""
    found, refused = [], []
    for variant, lr in sorted({(item[3], item[2]) for item in values}):
        mine = [item for item in values if (item[3], item[2]) == (variant, lr)]
        sizes = np.array([item[1] for item in mine])
        logits = np.array([item[4] for item in mine])
        result = forecast_logits(Group(lr, variant, sizes, logits), step, target, limit)
        if isinstance(result, Refusal):
            refused.append(Refused(lr, variant, result))
        else:
            found.append(result)
    return found, refused


def _find_reason(refused: Sequence[Refused]) -> str:
    return refused[0].refusal.sentence if refused else "no learning rate with attention logits"


def _fit_gradients(curves: Sequence[RunCurve]) -> list[EpsilonTrend]:
    """Fit the matrix that most runs log; the first by name where several tie."""
    counts: dict[str, int] = {}
    for curve in curves:
        for name in curve.gradient_rms:
            counts[name] = counts.get(name, 0) + 1
    if not counts:
        return []
    metric = min(counts, key=lambda name: (-counts[name], name))
    usable = [
        curve for curve in curves if metric in curve.gradient_rms and curve.adam_eps and curve.n > 0
    ]
    found = []
    for variant, lr, eps in sorted({(c.variant, c.lr, c.adam_eps or 0.0) for c in usable}):
        mine = [c for c in usable if (c.variant, c.lr, c.adam_eps) == (variant, lr, eps)]
        sizes = np.array([curve.n for curve in mine])
        rms = np.array([curve.gradient_rms[metric] for curve in mine])
        trend = fit_epsilon_trend(GradientGroup(lr, variant, metric, eps, sizes, rms))
        if isinstance(trend, EpsilonTrend):
            found.append(trend)
    return found


def _explain(curves: Sequence[RunCurve], step: int) -> Refusal:
    logged = sum(bool(curve.steps) for curve in curves)
    if not logged:
        sentence = f"none of the {len(curves)} runs logs attn.max_logit.L*"
        return Refusal("not_logged", sentence, "log the largest attention logit of each layer")
    sentence = f"{logged} runs log attention logits, none of them near step {step}"
    return Refusal("too_few_points", sentence, "choose another step in the study's settings")
