"""Critical batch size of a study: steps to a loss at several batch sizes, one fit a target."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from fitting.maths.blocks import average_blocks
from fitting.maths.engine import fit_law
from fitting.maths.laws.critical_batch import MIN_BATCHES
from fitting.maths.predict import evaluate_curve
from fitting.maths.records import FloatArray, Record, Refusal
from fitting.maths.registry import get_law
from fitting.maths.results import Fit
from fitting.maths.rows import Rows, Settings

LAW = "critical_batch"
# Where the targets lie between the least loss that every batch reached and the loss at the start.
TARGETS = (0.0, 0.05, 0.15, 0.35)
MAX_BLOCKS = 128  # of a curve: means of neighbouring points
MIN_POINTS = 3
MAX_FAMILIES = 8


@dataclass(frozen=True)
class BatchCurve:
    """The loss of one run along its steps.

    Parameters
    ----------
    run_id, variant : the run and its label
    n_params, batch_tokens, peak_lr : of the run
    steps, loss : ndarrays, shape (k,), ascending steps, finite
    """

    run_id: str
    variant: str
    n_params: float
    batch_tokens: float
    peak_lr: float
    steps: FloatArray
    loss: FloatArray


@dataclass(frozen=True)
class TargetFit(Record):
    """Steps to one loss at every batch size, with the law through them.

    Parameters
    ----------
    target : loss to reach, nats
    batch_tokens, steps, peak_lr : ndarrays, shape (k,), the run of each batch size that is there
        first
    run_ids : of those runs
    n_lrs : ndarray, shape (k,), learning rates that reach the target
    at_edge : whether the fastest rate is the lowest or the highest one tried, of three or more
    fit : the law, or why there is none
    fitted : ndarray, shape (k,), its steps; empty without a fit
    """

    target: float
    batch_tokens: FloatArray
    steps: FloatArray
    peak_lr: FloatArray
    run_ids: tuple[str, ...]
    n_lrs: FloatArray
    at_edge: tuple[bool, ...]
    fit: Fit | Refusal
    fitted: FloatArray


@dataclass(frozen=True)
class BatchFamily(Record):
    """Runs of one variant and size at four batch sizes or more.

    Parameters
    ----------
    variant, n_params : what they share
    targets : the lowest loss first
    """

    variant: str
    n_params: float
    targets: tuple[TargetFit, ...]


@dataclass(frozen=True)
class CriticalResult(Record):
    """The analysis: one family for each variant and size with enough batch sizes."""

    families: tuple[BatchFamily, ...]
    refusal: Refusal | None
    n_runs: int
    n_used: int
    settings: Settings


def analyse_critical_batches(
    curves: Sequence[BatchCurve], settings: Settings | None = None
) -> CriticalResult:
    """Fit the steps to a fixed loss against batch size, for each variant and size.

    Parameters
    ----------
    curves : of finished healthy runs
    settings : replicas and seed

    Returns
    -------
    one family a variant and size, the eight largest sizes at most, with up to four targets each

    Notes
    -----
    Of the learning rates of a batch size the one that is at the target first counts, so the rate
    is tuned as far as it was swept. A run whose schedule ends later than it reaches the target was
    not annealed for it: targets above the least common loss read mid-schedule points.

    References
    ----------
    McCandlish et al. 2018, arXiv 1812.06162, section 2.2 and appendix D
    """
    settings = settings or Settings()
    families = choose_families([curve for curve in curves if curve.steps.size >= MIN_POINTS])
    found = tuple(fit_family(members, settings) for members in families)
    return CriticalResult(
        families=found,
        refusal=None if found else refuse_batches(count_batches(curves)),
        n_runs=len(curves),
        n_used=sum(len(members) for members in families),
        settings=settings,
    )


def choose_families(curves: Sequence[BatchCurve]) -> list[list[BatchCurve]]:
    """Return the runs of each variant and size with enough batch sizes.

    Parameters
    ----------
    curves : any

    Returns
    -------
    families, the largest sizes, in order of variant and size

    References
    ----------
    McCandlish et al. 2018, arXiv 1812.06162 (one model, several batch sizes)
    """
    members: dict[tuple[str, str], list[BatchCurve]] = defaultdict(list)
    for curve in curves:
        members[curve.variant, f"{curve.n_params:.9g}"].append(curve)
    enough = [runs for runs in members.values() if len(_list_batches(runs)) >= MIN_BATCHES]
    largest = sorted(enough, key=lambda runs: -runs[0].n_params)[:MAX_FAMILIES]
    return sorted(largest, key=lambda runs: (runs[0].variant, runs[0].n_params))


def count_batches(curves: Sequence[BatchCurve]) -> int:
    """Return the most batch sizes that one variant and size has.

    Parameters
    ----------
    curves : any

    Returns
    -------
    their number, 0 without a curve

    References
    ----------
    McCandlish et al. 2018, arXiv 1812.06162
    """
    seen: dict[tuple[str, str], set[float]] = defaultdict(set)
    for curve in curves:
        seen[curve.variant, f"{curve.n_params:.9g}"].add(curve.batch_tokens)
    return max(map(len, seen.values()), default=0)


def _list_batches(curves: Sequence[BatchCurve]) -> list[float]:
    return sorted({curve.batch_tokens for curve in curves})


def fit_family(members: Sequence[BatchCurve], settings: Settings) -> BatchFamily:
    """Fit the law at each target that every batch size reaches.

    Parameters
    ----------
    members : runs of one variant and size
    settings : replicas and seed

    Returns
    -------
    the family, the lowest target first

    References
    ----------
    McCandlish et al. 2018, arXiv 1812.06162, eq. 2.11
    """
    curves = [_lower(member) for member in members]
    batches = _list_batches(members)
    of_batch = {b: [curve for curve in curves if curve.batch_tokens == b] for b in batches}
    least = max(min(float(run.loss[-1]) for run in runs) for runs in of_batch.values())
    first = min(max(float(run.loss[0]) for run in runs) for runs in of_batch.values())
    targets = [least + share * max(first - least, 0.0) for share in TARGETS]
    fits = [fit_target(of_batch, target, settings) for target in dict.fromkeys(targets)]
    return BatchFamily(members[0].variant, members[0].n_params, tuple(fits))


def _lower(curve: BatchCurve) -> BatchCurve:
    """Return block means of the curve, each no higher than those before it."""
    steps, loss = average_blocks(curve.steps, curve.loss, MAX_BLOCKS)
    return replace(curve, steps=steps, loss=np.minimum.accumulate(loss))


def find_step(curve: BatchCurve, target: float) -> float:
    """Return the step at which a falling curve is at a loss, NaN where it never is.

    Parameters
    ----------
    curve : with a loss that never rises
    target : loss

    Returns
    -------
    the step, linear between the points

    References
    ----------
    McCandlish et al. 2018, arXiv 1812.06162, appendix D
    """
    if not curve.loss[-1] <= target:
        return float("nan")
    after = int(np.argmax(curve.loss <= target))
    if after == 0:
        return float(curve.steps[0])
    (x0, x1), (y0, y1) = curve.steps[after - 1 : after + 1], curve.loss[after - 1 : after + 1]
    return float(x0 + (x1 - x0) * (y0 - target) / (y0 - y1))


def fit_target(
    of_batch: Mapping[float, Sequence[BatchCurve]], target: float, settings: Settings
) -> TargetFit:
    """Take the run of each batch size that is at the target first, and fit the law to them.

    Parameters
    ----------
    of_batch : batch size -> its runs, with losses that never rise
    target : loss that every batch size reaches
    settings : replicas and seed; the largest batch is held out

    Returns
    -------
    the fit with its points

    References
    ----------
    McCandlish et al. 2018, arXiv 1812.06162, eq. 2.11
    """
    rows: list[tuple[float, BatchCurve, int, bool]] = []
    for runs in of_batch.values():
        reached = [(find_step(run, target), run) for run in runs]
        known = [(step, run) for step, run in reached if np.isfinite(step)]
        if not known:
            continue
        step, best = min(known, key=lambda pair: pair[0])
        rates = sorted({run.peak_lr for run in runs})
        is_edge = len(rates) > 2 and best.peak_lr in (rates[0], rates[-1])
        rows.append((step, best, len({run.peak_lr for _, run in known}), is_edge))
    batch = np.array([best.batch_tokens for _, best, _, _ in rows])
    steps = np.array([step for step, _, _, _ in rows])
    ids = tuple(best.run_id for _, best, _, _ in rows)
    held = replace(settings, hold_out_ids=ids[-1:])
    fit = fit_law(get_law(LAW), Rows({"batch_tokens": batch}, steps, ids), held)
    return TargetFit(
        target=target,
        batch_tokens=batch,
        steps=steps,
        peak_lr=np.array([best.peak_lr for _, best, _, _ in rows]),
        run_ids=ids,
        n_lrs=np.array([float(n) for _, _, n, _ in rows]),
        at_edge=tuple(edge for _, _, _, edge in rows),
        fit=fit,
        fitted=np.empty(0) if isinstance(fit, Refusal) else evaluate_curve(fit, batch),
    )


def refuse_batches(n_batches: int) -> Refusal:
    """Return what a study without a family is missing.

    Parameters
    ----------
    n_batches : most batch sizes that one variant and size has

    Returns
    -------
    the sentence with the numbers

    References
    ----------
    McCandlish et al. 2018, arXiv 1812.06162
    """
    return Refusal(
        "too_few_groups",
        f"the critical batch size needs >= {MIN_BATCHES} batch sizes of one model with loss "
        f"curves; has {n_batches}",
        "train one size to the same loss at more batch sizes, the learning rate tuned for each",
    )
