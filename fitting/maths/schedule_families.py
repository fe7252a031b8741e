"""Laws of the loss along a schedule, over runs that differ in their schedule alone."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from fitting.maths.blocks import average_blocks
from fitting.maths.engine import fit_law, prepare_rows
from fitting.maths.held_out import predict_rows
from fitting.maths.records import FloatArray, Record, Refusal
from fitting.maths.registry import get_law
from fitting.maths.results import Fit, HeldOut
from fitting.maths.rows import Rows, Settings
from fitting.maths.schedules import find_warmup_end, rebuild_schedule

LAW, MULTI_POWER = "lr_annealing", "multi_power"
LAWS = (LAW, MULTI_POWER)
MAX_POINTS = 32  # of a curve: means of blocks of steps
MIN_POINTS = 8
END_BLOCKS = 3  # a single one carries the noise of its batches
MAX_FAMILIES = 8  # the largest; one takes 0.3 s
MAX_MULTI_POWER = 1  # of them, the largest: one takes 1 s of CPU with two curves, 2 s with four
DIFFERENT = 1.05  # lengths further apart than this are different schedules


@dataclass(frozen=True)
class ScheduleCurve:
    """The training loss and the learning rate of one run.

    Parameters
    ----------
    run_id, family : the run, and the label of what it shares with others: variant, size, LR, batch
    n_params, peak_lr : of the run
    final_loss : by the study's estimator
    steps, loss : ndarrays, shape (k,), logged training loss
    lr_steps, lr : ndarrays, shape (m,), logged learning rate
    """

    run_id: str
    variant: str
    n_params: float
    peak_lr: float
    batch_tokens: float
    final_loss: float
    steps: FloatArray
    loss: FloatArray
    lr_steps: FloatArray
    lr: FloatArray


@dataclass(frozen=True)
class FittedCurve(Record):
    """One curve of a family as it is drawn.

    Parameters
    ----------
    run_id : the run
    steps, loss : ndarrays, shape (k,), block means after the warm-up
    fitted : ndarray, shape (k,), the law fitted to all curves
    predicted : ndarray, shape (k,), the law fitted to the other curves; empty where it was refused
    lr : ndarray, shape (k,), learning rate at the steps
    total_steps : length of the schedule
    """

    run_id: str
    steps: FloatArray
    loss: FloatArray
    fitted: FloatArray
    predicted: FloatArray
    lr: FloatArray
    total_steps: int


@dataclass(frozen=True)
class Family(Record):
    """Runs of one variant, size, peak learning rate and batch, with different schedules.

    Parameters
    ----------
    variant, n_params, peak_lr : what they share
    fit : the law on all of their curves, or why there is none
    curves : as they are drawn
    mae : mean absolute error of the law on its own curves, in nats; NaN without a fit
    held_out_mae : the same for each curve predicted from the others
    end_error : relative error of the predicted loss over the last three blocks of the longest curve
    multi_power : the same runs under the multi-power law; None where it was not tried
    """

    variant: str
    n_params: float
    peak_lr: float
    fit: Fit | Refusal
    curves: tuple[FittedCurve, ...]
    mae: float
    held_out_mae: float
    end_error: float
    multi_power: Family | None = None


@dataclass(frozen=True)
class ScheduleResult(Record):
    """The analysis: one family for each variant and size that has one."""

    families: tuple[Family, ...]
    refusal: Refusal | None
    n_runs: int
    n_used: int
    settings: Settings


def analyse_schedules(
    curves: Sequence[ScheduleCurve], settings: Settings | None = None
) -> ScheduleResult:
    """Fit the laws of schedules to every family of runs that differ in their schedule alone.

    Parameters
    ----------
    curves : of finished healthy runs
    settings : replicas and seed

    Returns
    -------
    one family per variant and size: the learning rate with the most curves, then the least loss;
    the largest size under the multi-power law too

    Notes
    -----
    Rows before the end of the warm-up take no part. Points of one curve are not independent, so
    intervals need eight curves or more; what counts is each curve predicted from the others. The
    parameters of the multi-power law trade off, so it has no interval at all.

    References
    ----------
    Tissue et al. 2024, arXiv 2408.11029; Luo et al. 2025, arXiv 2503.12811
    """
    settings = settings or Settings()
    chosen = choose_families([curve for curve in curves if curve.steps.size >= MIN_POINTS])
    largest = sorted(chosen, key=lambda members: -members[0].n_params)[:MAX_MULTI_POWER]
    families = tuple(
        _fit_both(members, settings, any(members is item for item in largest)) for members in chosen
    )
    return ScheduleResult(
        families=families,
        refusal=None if families else _refuse(curves),
        n_runs=len(curves),
        n_used=sum(len(members) for members in chosen),
        settings=settings,
    )


def _fit_both(members: Sequence[ScheduleCurve], settings: Settings, has_both: bool) -> Family:
    family = fit_family(members, settings)
    if not has_both:
        return family
    once = replace(settings, replicas=0)
    return replace(family, multi_power=fit_family(members, once, MULTI_POWER))


def choose_families(curves: Sequence[ScheduleCurve]) -> list[list[ScheduleCurve]]:
    """Return the runs of each family, the longest schedule last.

    Parameters
    ----------
    curves : any

    Returns
    -------
    families of two or more lengths, the eight largest sizes at most; of the learning rates of a
    variant and size the one with the most lengths, then the least final loss

    References
    ----------
    Tissue et al. 2024, arXiv 2408.11029 (one law for the curves of one size and batch)
    """
    members: dict[tuple[str, str, str, str], list[ScheduleCurve]] = defaultdict(list)
    for curve in curves:
        key = (
            curve.variant,
            f"{curve.n_params:.9g}",
            f"{curve.peak_lr:.6g}",
            f"{curve.batch_tokens:.6g}",
        )
        members[key].append(curve)
    best: dict[tuple[str, str], list[ScheduleCurve]] = {}
    for (variant, size, _, _), runs in sorted(members.items()):
        family = _keep_lengths(runs)
        known = best.get((variant, size))
        if len(family) > 1 and (known is None or _rank(family) > _rank(known)):
            best[variant, size] = family
    largest = sorted(best.values(), key=lambda family: -family[0].n_params)[:MAX_FAMILIES]
    return sorted(largest, key=lambda family: (family[0].variant, family[0].n_params))


def _keep_lengths(runs: Sequence[ScheduleCurve]) -> list[ScheduleCurve]:
    """Return one run of each length, the best of its seeds, ascending."""
    kept: list[ScheduleCurve] = []
    for run in sorted(runs, key=lambda run: (run.lr_steps[-1], run.final_loss)):
        if not kept or run.lr_steps[-1] > DIFFERENT * kept[-1].lr_steps[-1]:
            kept.append(run)
    return kept


def _rank(family: Sequence[ScheduleCurve]) -> tuple[int, float]:
    return len(family), -min(run.final_loss for run in family)


def fit_family(members: Sequence[ScheduleCurve], settings: Settings, law: str = LAW) -> Family:
    """Fit a law of schedules to the curves of one family, and predict each from the others.

    Parameters
    ----------
    members : runs of two or more schedules
    settings : replicas and seed
    law : slug of the law

    Returns
    -------
    the fit with its curves

    References
    ----------
    Tissue et al. 2024, arXiv 2408.11029
    """
    rows = make_rows(members)
    fit = fit_law(get_law(law), rows, settings)
    head = (members[0].variant, members[0].n_params, members[0].peak_lr)
    if isinstance(fit, Refusal):
        return Family(*head, fit, (), np.nan, np.nan, np.nan)
    prepared = prepare_rows(get_law(law), rows, fit.options)
    assert isinstance(prepared, Rows)
    fitted = predict_rows(get_law(law), fit.values(), prepared, fit.options)
    assert fitted is not None
    held = _read_held_out(fit)
    curves = []
    for member in members:
        places = np.flatnonzero(np.array(prepared.groups) == member.run_id)
        steps = prepared.columns["step"][places]
        known = [held.get(prepared.ids[place]) for place in places]
        curves.append(
            FittedCurve(
                run_id=member.run_id,
                steps=steps,
                loss=prepared.target[places],
                fitted=fitted[places],
                predicted=np.array([np.nan if value is None else value for value in known])
                if held
                else np.empty(0),
                lr=rows.schedules[member.run_id][steps.astype(np.int64)],
                total_steps=int(rows.schedules[member.run_id].size),
            )
        )
    last = curves[-1]
    end = np.nan
    if last.predicted.size:
        end = last.predicted[-END_BLOCKS:].mean() / last.loss[-END_BLOCKS:].mean() - 1.0
    errors = [np.abs(curve.predicted - curve.loss) for curve in curves if curve.predicted.size]
    return Family(
        *head,
        fit,
        tuple(curves),
        float(np.mean(np.abs(fitted - prepared.target))),
        float(np.mean(np.concatenate(errors))) if errors else np.nan,
        float(end),
    )


def _read_held_out(fit: Fit) -> dict[str, float]:
    if not isinstance(fit.held_out, HeldOut):
        return {}
    return dict(zip(fit.held_out.ids, fit.held_out.predicted.tolist(), strict=True))


def make_rows(members: Sequence[ScheduleCurve]) -> Rows:
    """Return block means of the curves after the warm-up, with the schedule of each.

    Parameters
    ----------
    members : runs with distinct ids

    Returns
    -------
    rows with step, groups = run, and schedules

    References
    ----------
    Tissue et al. 2024, arXiv 2408.11029 (one law for the curves of one size and batch)
    """
    steps, losses, ids, groups = [], [], [], []
    schedules = {}
    for member in members:
        schedule = rebuild_schedule(member.lr_steps, member.lr, 0)
        schedules[member.run_id] = schedule
        first = find_warmup_end(schedule)
        inside = (member.steps > first) & (member.steps < schedule.size)
        x, y = average_blocks(member.steps[inside], member.loss[inside], MAX_POINTS)
        steps.append(np.round(x))
        losses.append(y)
        ids += [f"{member.run_id} {number:04d}" for number in range(x.size)]
        groups += [member.run_id] * x.size
    return Rows(
        {"step": np.concatenate(steps)},
        np.concatenate(losses),
        tuple(ids),
        tuple(groups),
        schedules=schedules,
    )


def _refuse(curves: Sequence[ScheduleCurve]) -> Refusal:
    if not curves:
        return Refusal(
            "missing_input",
            "the schedule law needs whole loss curves with the learning rate of their steps; no "
            "finished run logs both",
            "log the learning rate as optim.lr beside the training loss",
        )
    return Refusal(
        "too_few_groups",
        "the schedule law needs >= 2 runs of one size, learning rate and batch with different "
        f"schedules; none of {len(curves)} runs has a partner",
        "train one configuration for another number of steps",
    )
