"""The sigmoid of reinforcement learning over the score curves of a study, one fit a run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from fitting.maths.blocks import average_blocks
from fitting.maths.engine import fit_law
from fitting.maths.laws.rl_sigmoid import EXTRAPOLATED, refit_at_steepness
from fitting.maths.predict import evaluate_curve
from fitting.maths.records import BoolArray, Exclusion, FloatArray, Record, Refusal
from fitting.maths.registry import get_law
from fitting.maths.results import Fit, HeldOut
from fitting.maths.rows import Rows, Settings

LAW = "rl_sigmoid"
HOURS, FLOPS = "GPU-hours", "FLOPs"
EARLY_HOURS = 1500.0  # arXiv 2510.13786: about one epoch, "a heuristic"
MIN_POINTS = 5  # three parameters and two to judge them by
MAX_POINTS = 200  # of a curve: means of blocks
MAX_CURVES = 24  # a fit of 1,000 replicas takes 0.1 s


@dataclass(frozen=True)
class ScoreCurve:
    """The score of one run against the compute it had spent.

    Parameters
    ----------
    run_id, variant : the run and its label
    n_params : its size; NaN where it is not known
    compute, score : ndarrays, shape (k,), compute ascending; the score is a fraction
    start : score of the start model; NaN where it was not measured
    """

    run_id: str
    variant: str
    n_params: float
    compute: FloatArray
    score: FloatArray
    start: float


@dataclass(frozen=True)
class FittedScore(Record):
    """One run with its sigmoid.

    Parameters
    ----------
    run_id, variant, n_params : as in `ScoreCurve`
    start : score of the start model, R0
    first_compute : points before it are left out; 0 = none
    compute, score : ndarrays, shape (k,), the points as they are drawn
    used : ndarray, shape (k,), whether the fit holds the point
    fitted, predicted : ndarrays, shape (k,), the law, and the law without the second half of the
        compute; NaN where a point is outside
    fit : the law, or why there is none
    is_extrapolated : whether the data end before three times C_mid
    common : A and C_mid at the steepness that all runs share; empty with one run
    """

    run_id: str
    variant: str
    n_params: float
    start: float
    first_compute: float
    compute: FloatArray
    score: FloatArray
    used: BoolArray
    fitted: FloatArray
    predicted: FloatArray
    fit: Fit | Refusal
    is_extrapolated: bool = False
    common: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class ScoreResult(Record):
    """The analysis: one sigmoid a run.

    Parameters
    ----------
    unit : "GPU-hours" or "FLOPs", of every compute
    metric : name of the score
    steepness : median B of the runs, at which their asymptotes are compared; NaN below two
    """

    curves: tuple[FittedScore, ...]
    refusal: Refusal | None
    exclusions: tuple[Exclusion, ...]
    unit: str
    metric: str
    steepness: float
    n_runs: int
    n_used: int
    settings: Settings


@dataclass(frozen=True)
class ScoreTable:
    """The curves of a study, all against compute of one unit."""

    curves: Sequence[ScoreCurve]
    unit: str
    metric: str


def analyse_scores(
    table: ScoreTable, settings: Settings | None = None, first_compute: float | None = None
) -> ScoreResult:
    """Fit the sigmoid to every run, then once more at the steepness they share.

    Parameters
    ----------
    table : score curves of runs that ended
    settings : replicas and seed
    first_compute : points before it are left out; None = 1,500 GPU-hours of a run that is twice
        as long, else nothing

    Returns
    -------
    one fit a run, the 24 with the most compute at most

    Notes
    -----
    The second half of the compute is predicted from the first, as the source does.

    References
    ----------
    Khatri et al. 2025, arXiv 2510.13786, sections 2.1, 3.2, 4
    """
    settings = settings or Settings()
    usable, exclusions = screen_curves(table.curves)
    largest = sorted(usable, key=lambda curve: -curve.compute[-1])[:MAX_CURVES]
    chosen = sorted(largest, key=lambda curve: (curve.variant, curve.n_params, curve.run_id))
    fitted = [
        fit_curve(curve, settings, _choose_cut(curve, table.unit, first_compute))
        for curve in chosen
    ]
    steepness = find_steepness(fitted)
    return ScoreResult(
        curves=tuple(_compare(curve, steepness) for curve in fitted),
        refusal=None if fitted else refuse_curves(table, exclusions),
        exclusions=exclusions,
        unit=table.unit,
        metric=table.metric,
        steepness=steepness,
        n_runs=len(table.curves),
        n_used=len(chosen),
        settings=settings,
    )


def screen_curves(
    curves: Sequence[ScoreCurve],
) -> tuple[list[ScoreCurve], tuple[Exclusion, ...]]:
    """Return the curves that can be fitted, and why the others cannot.

    Parameters
    ----------
    curves : any

    Returns
    -------
    the usable curves, and one exclusion a rule that leaves any out

    References
    ----------
    Khatri et al. 2025, arXiv 2510.13786, section 2.1 (R0 is measured)
    """
    rules = (
        ("range", "the score leaves 0 to 1", _leaves_range),
        ("start", "the score of the start model (step 0) is not logged", _has_no_start),
        ("points", f"fewer than {MIN_POINTS} scores", _is_short),
    )
    left, exclusions = list(curves), []
    for rule, sentence, fails in rules:
        out = tuple(curve.run_id for curve in left if fails(curve))
        if out:
            exclusions.append(Exclusion(rule, sentence, len(out), out))
        left = [curve for curve in left if curve.run_id not in out]
    return left, tuple(exclusions)


def _leaves_range(curve: ScoreCurve) -> bool:
    return curve.score.size == 0 or bool(curve.score.min() < 0 or curve.score.max() > 1)


def _has_no_start(curve: ScoreCurve) -> bool:
    return not 0 <= curve.start <= 1


def _is_short(curve: ScoreCurve) -> bool:
    return curve.score.size < MIN_POINTS


def _choose_cut(curve: ScoreCurve, unit: str, wished: float | None) -> float:
    if wished is not None:
        return wished
    is_long = unit == HOURS and float(curve.compute[-1]) >= 2 * EARLY_HOURS
    return EARLY_HOURS if is_long else 0.0


def fit_curve(curve: ScoreCurve, settings: Settings, first_compute: float) -> FittedScore:
    """Fit the sigmoid to one run.

    Parameters
    ----------
    curve : a run with R0
    settings : replicas and seed
    first_compute : points before it are left out

    Returns
    -------
    the fit with its points

    References
    ----------
    Khatri et al. 2025, arXiv 2510.13786, section 2.1
    """
    compute, score = average_blocks(curve.compute, curve.score, MAX_POINTS)
    rows = make_rows(compute, score)
    options = {"r0": curve.start, "first_hours": first_compute, "hold_out": "half_compute"}
    fit = fit_law(get_law(LAW), rows, replace(settings, options=options))
    nothing = np.full(compute.size, np.nan)
    bare = FittedScore(
        run_id=curve.run_id,
        variant=curve.variant,
        n_params=curve.n_params,
        start=curve.start,
        first_compute=first_compute,
        compute=compute,
        score=score,
        used=compute >= first_compute,
        fitted=nothing,
        predicted=nothing,
        fit=fit,
    )
    if isinstance(fit, Refusal):
        return bare
    predicted = nothing.copy()
    if isinstance(fit.held_out, HeldOut):
        predicted[[int(name) for name in fit.held_out.ids]] = fit.held_out.predicted
    return replace(
        bare,
        fitted=evaluate_curve(fit, compute),
        predicted=predicted,
        is_extrapolated=bool(compute[-1] < EXTRAPOLATED * fit.values()["C_mid"]),
    )


def make_rows(compute: FloatArray, score: FloatArray) -> Rows:
    """Return the points as rows of the law, named by their place.

    Parameters
    ----------
    compute, score : ndarrays, shape (k,)

    Returns
    -------
    rows with the law's one input

    References
    ----------
    Khatri et al. 2025, arXiv 2510.13786, eq. 1
    """
    return Rows({"gpu_hours": compute}, score, tuple(f"{n:06d}" for n in range(compute.size)))


def find_steepness(curves: Sequence[FittedScore]) -> float:
    """Return the median B of the fitted runs, NaN with fewer than two.

    Parameters
    ----------
    curves : fitted or refused

    Returns
    -------
    B at which asymptotes are compared

    References
    ----------
    Khatri et al. 2025, arXiv 2510.13786, section 4 (A and B trade off)
    """
    known = [curve.fit.values()["B"] for curve in curves if isinstance(curve.fit, Fit)]
    return float(np.median(known)) if len(known) > 1 else np.nan


def _compare(curve: FittedScore, steepness: float) -> FittedScore:
    """Add the asymptote at the steepness that all runs share."""
    if isinstance(curve.fit, Refusal) or not np.isfinite(steepness):
        return curve
    rows = make_rows(curve.compute, curve.score)
    return replace(curve, common=refit_at_steepness(rows, curve.fit.options, steepness))


def refuse_curves(table: ScoreTable, exclusions: Sequence[Exclusion]) -> Refusal:
    """Return what a study without a usable score curve is missing.

    Parameters
    ----------
    table : its curves, none of them usable
    exclusions : why

    Returns
    -------
    the sentence with the numbers

    References
    ----------
    Khatri et al. 2025, arXiv 2510.13786, section 2.1
    """
    if not table.metric:
        return Refusal(
            "missing_input",
            "the sigmoid needs a score between 0 and 1 logged along the run, such as "
            "eval.pass_rate; no run logs one",
            "log eval.pass_rate with the step, at step 0 too, or name the metric as the study's "
            "loss metric",
        )
    if not table.curves:
        return Refusal(
            "missing_input",
            f"the sigmoid needs finished runs with {table.metric} and their compute; none has both",
            "log gpu_hours beside the score, or say how many FLOPs the run takes",
        )
    reasons = "; ".join(f"{item.count}: {item.sentence}" for item in exclusions)
    return Refusal(
        "too_few_points",
        f"none of {len(table.curves)} runs with {table.metric} can be fitted ({reasons})",
        "log the score at step 0 and at five or more later steps",
    )
