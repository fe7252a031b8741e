"""Which next run would shrink an interval most, and what it costs."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from fitting.maths.predict import evaluate_replicas
from fitting.maths.registry import get_law
from fitting.maths.types import Columns, Fit, FloatArray, Record, Refusal


@dataclass(frozen=True)
class NextRun(Record):
    """One candidate run.

    Parameters
    ----------
    place : place among the candidates
    sd_before, sd_after : standard deviation of the quantity before and after this run
    flops : cost in FLOPs; NaN where the candidates have none
    shrinkage : share of the standard deviation that the run takes away
    shrinkage_per_flop : shrinkage over the cost, per FLOP; NaN without a cost
    """

    place: int
    sd_before: float
    sd_after: float
    flops: float
    shrinkage: float = np.nan
    shrinkage_per_flop: float = np.nan

    @property
    def reduction(self) -> float:
        """Return the share of the standard deviation that the run takes away."""
        return 1.0 - self.sd_after / self.sd_before


@dataclass(frozen=True)
class Plan(Record):
    """Candidate runs for one quantity.

    Parameters
    ----------
    quantity : the parameter or derived quantity whose interval is to shrink
    noise : relative standard deviation of one run that was assumed
    noise_source : where it comes from
    runs : best first
    """

    quantity: str
    noise: float
    noise_source: str
    runs: tuple[NextRun, ...]


NO_REPLICAS = Refusal("no_replicas", "planning needs replicas of the fit", "fit with replicas")


def rank_next_runs(
    fit: Fit, quantity: FloatArray, candidates: Columns, noise: float, by_cost: bool = False
) -> tuple[NextRun, ...] | Refusal:
    """Rank candidate runs by how much they would shrink a quantity's spread, best first.

    Parameters
    ----------
    fit : with replicas, of a law that predicts single runs
    quantity : ndarray, shape (B,), the quantity in the same replicas, such as a derived one
    candidates : role -> ndarray, shape (m,), inputs of the possible runs
    noise : relative standard deviation of one run's loss, from repeats with other seeds
    by_cost : order by shrinkage per FLOP in place of shrinkage

    Returns
    -------
    one entry per candidate with its shrinkage, its FLOPs and the shrinkage per FLOP; or a Refusal
    without replicas, for a law that predicts no run, and for a quantity without spread

    Notes
    -----
    A linear-Gaussian update on the replicas: observing y with noise s takes
    ``cov(q, y)^2 / (var(y) + s^2)`` off the variance of q. Exact for linear laws; for others good
    while the run does not change the picture.

    References
    ----------
    Rasmussen and Williams 2006, Gaussian Processes for Machine Learning, eq. A.6
    """
    predicted = _predict_candidates(fit, candidates)
    if isinstance(predicted, Refusal):
        return predicted
    usable = np.isfinite(quantity) & np.all(np.isfinite(predicted), axis=1)
    q, y = quantity[usable], predicted[usable]
    if q.size < 2 or np.var(q) <= 0.0:
        return Refusal("no_replicas", "the quantity is the same in every replica", "")
    dq, dy = q - q.mean(), y - y.mean(axis=0)
    before = float(np.var(q))
    shared = dq @ dy / q.size
    spent = (noise * y.mean(axis=0)) ** 2
    after = np.sqrt(np.maximum(before - shared**2 / (np.var(y, axis=0) + spent), 0.0))
    shrinkage = 1.0 - after / before**0.5
    cost = _read_cost(candidates, y.shape[1])
    columns = (after, cost, shrinkage, shrinkage / cost)
    runs = [
        NextRun(place, before**0.5, *(float(column[place]) for column in columns))
        for place in range(y.shape[1])
    ]
    if by_cost:
        return tuple(sorted(runs, key=lambda run: -run.shrinkage_per_flop))
    return tuple(sorted(runs, key=lambda run: run.sd_after))


def plan_next_runs(
    fit: Fit, name: str, candidates: Columns, noise: float | None = None, by_cost: bool = False
) -> Plan | Refusal:
    """Say which candidate would shrink the interval of a parameter or derived quantity most.

    Parameters
    ----------
    fit : with replicas, of a law that predicts single runs
    name : of a parameter or a derived quantity of the fit, such as ``alpha`` or ``n_opt``
    candidates : role -> ndarray, shape (m,), inputs of the possible runs
    noise : relative standard deviation of one run; None = from repeats, else residuals
    by_cost : order by shrinkage per FLOP in place of shrinkage

    Returns
    -------
    the candidates in order with the noise that was assumed and where it came from

    References
    ----------
    Rasmussen and Williams 2006, Gaussian Processes for Machine Learning, eq. A.6
    """
    law = get_law(fit.law)
    formulas = {item.name: item for item in law.derived}
    if name not in fit.params and name not in formulas:
        known = ", ".join([*fit.params, *formulas])
        return Refusal("missing_input", f"{law.title} has no {name}; it has {known}", "")
    assumed, source = _choose_noise(fit, noise)
    if not fit.replica_params:
        return NO_REPLICAS
    quantity = fit.replica_params.get(name)
    if quantity is None:
        with np.errstate(all="ignore"):
            quantity = formulas[name].compute(fit.replica_params, fit.options)
    ranked = rank_next_runs(fit, quantity, candidates, assumed, by_cost)
    return ranked if isinstance(ranked, Refusal) else Plan(name, assumed, source, ranked)


def _choose_noise(fit: Fit, noise: float | None) -> tuple[float, str]:
    """Return the relative noise of one run and where it comes from."""
    if noise is not None:
        return noise, "given"
    if np.isfinite(fit.loss_noise):
        return fit.loss_noise, "repeats with other seeds"
    scale = 1.4826 * float(np.median(np.abs(fit.residuals))) if fit.residuals.size else 0.0
    return scale, "the residuals of the fit: nothing was repeated"


def _predict_candidates(fit: Fit, candidates: Columns) -> FloatArray | Refusal:
    if not fit.replica_params:
        return NO_REPLICAS
    law = get_law(fit.law)
    missing = [
        item.role for item in law.inputs if not item.optional and item.role not in candidates
    ]
    if missing:
        return Refusal("missing_input", f"the candidates lack {', '.join(missing)}", "")
    try:
        return evaluate_replicas(fit, candidates)
    except ValueError as error:
        return Refusal("unsupported", f"{error}: no run can be planned for it", "use approach 3")


def _read_cost(candidates: Columns, n: int) -> FloatArray:
    if "flops" in candidates:
        return candidates["flops"]
    if {"n_params", "n_tokens"} <= set(candidates):
        return 6.0 * candidates["n_params"] * candidates["n_tokens"]
    return np.full(n, np.nan)
