"""The three kinds of law behind one face: estimate, replicate, predict, differentiate."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np

from fitting.maths.batched import CurveProblem, fit_curves
from fitting.maths.separable import SeparableProblem, fit_point, fit_replicas, make_jacobian
from fitting.maths.types import (
    BoolArray,
    Columns,
    Convergence,
    CurveForm,
    FloatArray,
    Law,
    Objective,
    Options,
    Params,
    Point,
    Procedure,
    Refusal,
    Rows,
    Separable,
    Settings,
)
from fitting.maths.uncertainty import draw_counts, expand_counts, stack_replicas

POINT_TOLERANCE, REPLICA_TOLERANCE = 1e-12, 1e-7
REPLICA_ITERATIONS = 900  # of a curve; a flat valley takes hundreds, and only it is still alive
SAME_MINIMUM = 1e-6
UNMOVED = 1e-6


@dataclass(frozen=True)
class Estimated:
    """A point estimate with the evidence for it.

    Parameters
    ----------
    jacobian : ndarray, shape (n, p), in centred coordinates; empty for procedures
    residuals : ndarray, shape (n,), observed minus predicted in the objective's space
    is_start : no parameter has moved from where the search began
    """

    point: Point
    convergence: Convergence
    jacobian: FloatArray
    residuals: FloatArray
    is_start: bool = False


class Fitter(Protocol):
    """What the engine asks of a law on fixed rows."""

    def estimate(self) -> Estimated | Refusal:
        """Return the point estimate."""

    def replicate(self, settings: Settings) -> tuple[Params, float]:
        """Return replicas, name -> (B,), and the share that converged."""

    def predict(self, params: Params, columns: Columns) -> FloatArray | None:
        """Return predictions for params (B,), shape (B, n); None where the law predicts nothing."""


def make_fitter(law: Law, rows: Rows, options: Options) -> Fitter:
    """Return the fitter of a law's structure.

    Parameters
    ----------
    law : from the registry
    rows : prepared rows
    options : all options of the law

    Returns
    -------
    the fitter that estimates, replicates and predicts
    """
    if isinstance(law.structure, Separable):
        return SeparableFitter(law, law.structure, rows, options)
    if isinstance(law.structure, CurveForm):
        return CurveFitter(law, law.structure, rows, options)
    return ProcedureFitter(law, law.structure, rows, options)


@dataclass(frozen=True)
class SeparableFitter:
    """Variable projection and damped Newton."""

    law: Law
    form: Separable
    rows: Rows
    options: Options

    def make_problem(self) -> SeparableProblem:
        """Return the numerical problem of these rows."""
        terms = self.form.terms(self.rows.columns, self.options)
        weights = _read_weights(self.law, self.rows, self.options)
        objective = read_objective(self.law, self.options)
        return SeparableProblem(self.form, terms, self.rows.target, objective, weights)

    def estimate(self) -> Estimated | Refusal:
        """Fit from the best nodes with the tight tolerance and look at the gradient there."""
        problem = self.make_problem()
        found = fit_point(problem, POINT_TOLERANCE, 1000)
        theta, reached = found.theta[:1], float(found.objective[0])
        if not np.isfinite(reached):
            return Refusal(
                "not_converged",
                f"{self.law.title} has no finite prediction on these rows at any exponent tried",
                "check the units and the mapping of the columns",
            )
        terms = problem.evaluate_terms(theta)
        jacobian, _ = make_jacobian(problem, terms)
        residuals = problem.read_residuals(terms.sum(axis=1))[0]
        pull = problem.weights * _clip(residuals, problem.objective.delta)
        gradient = float(np.max(np.abs(jacobian[0] @ pull)))
        params = {name: float(values[0]) for name, values in problem.read_params(theta).items()}
        at_best, second = _count_starts(found.objective, reached)
        convergence = Convergence(
            iterations=found.iterations,
            scaled_gradient=gradient / max(reached, 1e-20),
            starts_at_best=at_best,
            second_best_objective=second,
        )
        root = np.sqrt(problem.weights)
        return Estimated(Point(params, reached), convergence, (jacobian[0] * root).T, residuals)

    def replicate(self, settings: Settings) -> tuple[Params, float]:
        """Fit every replica from its own cold start."""
        problem = self.make_problem()
        counts = draw_counts(self.rows, settings.replicas, settings.seed)
        found = fit_replicas(problem, counts, REPLICA_TOLERANCE)
        params = problem.read_params(found.theta)
        return _blank_failed(params, found.converged), float(found.converged.mean())

    def predict(self, params: Params, columns: Columns) -> FloatArray | None:
        """Return the sum of the terms."""
        terms = self.form.terms(columns, self.options)
        total: FloatArray = np.zeros((1, 1))
        for place, name in enumerate(self.form.linear):
            term = params[name][:, None] * terms.factor[place]
            for m, exponent in enumerate(self.form.nonlinear):
                if np.any(terms.logs[place, m] != 0.0):
                    term = term * np.exp(-params[exponent][:, None] * terms.logs[place, m])
            total = total + term
        return total


@dataclass(frozen=True)
class CurveFitter:
    """Bounded least squares from the law's starts."""

    law: Law
    form: CurveForm
    rows: Rows
    options: Options

    def _problem(self) -> CurveProblem:
        names = tuple(param.name for param in self.law.params)
        weights = _read_weights(self.law, self.rows, self.options)
        objective = read_objective(self.law, self.options)
        columns, target = self.rows.columns, self.rows.target
        return CurveProblem(self.form, names, columns, self.options, target, objective, weights)

    def estimate(self) -> Estimated | Refusal:
        """Fit from all starts and count how many reach the best."""
        problem = self._problem()
        starts = self.form.starts(self.rows, self.options)
        ones = np.ones((starts.shape[0], self.rows.n))
        found = fit_curves(problem, ones, starts, POINT_TOLERANCE)
        best = int(np.argmin(found.objective))
        reached = float(found.objective[best])
        if not np.isfinite(reached):
            return Refusal("not_converged", f"none of {starts.shape[0]} starts converged", "")
        theta = found.theta[best : best + 1]
        residuals, jacobian = problem.read_residuals(theta)[0], problem.differentiate(theta)[0]
        pull = problem.weights * _clip(residuals, problem.objective.delta)
        free = ~np.any(theta == np.stack(problem.bounds), axis=0)
        gradient = np.max(np.abs((jacobian @ pull)[free]), initial=0.0)
        at_best, second = _count_starts(found.objective, reached)
        convergence = Convergence(
            iterations=found.iterations,
            scaled_gradient=float(gradient / max(reached, 1e-20)),
            starts_at_best=at_best,
            second_best_objective=second,
        )
        params = {name: float(values[0]) for name, values in problem.read_params(theta).items()}
        root = np.sqrt(problem.weights)
        held = self._find_held(theta[0])
        if held is not None:
            return held
        unmoved = bool(np.allclose(theta[0], starts[best], rtol=UNMOVED, atol=0.0))
        return Estimated(
            Point(params, reached), convergence, (jacobian * root).T, residuals, unmoved
        )

    def _find_held(self, theta: FloatArray) -> Refusal | None:
        """Refuse a parameter on a bound of the search that means nothing."""
        for place, param in enumerate(self.law.params):
            on_bound = theta[place] in (self.form.lower[place], self.form.upper[place])
            if on_bound and not param.bound_has_meaning:
                return Refusal(
                    "on_bound",
                    f"{param.name} ran to the end of its search range: these rows do not "
                    "determine it",
                    "more spread in the inputs, or another law",
                )
        return None

    def replicate(self, settings: Settings) -> tuple[Params, float]:
        """Fit every replica from the best distinct optima of the original rows."""
        problem = self._problem()
        starts = self.form.starts(self.rows, self.options)
        found = fit_curves(problem, np.ones((starts.shape[0], self.rows.n)), starts, 1e-9)
        order = np.argsort(found.objective)[: self.form.replica_starts]
        counts = draw_counts(self.rows, settings.replicas, settings.seed)
        if self.form.wild:
            counts = np.ones_like(counts)
            residuals = problem.read_residuals(found.theta[order[:1]])[0]
            signs = np.random.default_rng(settings.seed).choice((-1.0, 1.0), size=counts.shape)
            problem = replace(problem, noise=residuals * (signs - 1.0))
        tries = [
            fit_curves(
                problem,
                counts,
                np.repeat(found.theta[[place]], len(counts), axis=0),
                REPLICA_TOLERANCE,
                REPLICA_ITERATIONS,
            )
            for place in order
        ]
        scores = np.stack([item.objective for item in tries])
        best, all_rows = np.argmin(scores, axis=0), np.arange(len(counts))
        theta = np.stack([item.theta for item in tries])[best, all_rows]
        converged = np.stack([item.converged for item in tries])[best, all_rows]
        params = _blank_failed(problem.read_params(theta), converged)
        return params, float(converged.mean())

    def predict(self, params: Params, columns: Columns) -> FloatArray | None:
        """Return the law's own prediction."""
        wide = {name: values[:, None] for name, values in params.items()}
        with np.errstate(all="ignore"):
            return self.form.predict(wide, columns, self.options)


@dataclass(frozen=True)
class ProcedureFitter:
    """A law that is defined by its steps."""

    law: Law
    form: Procedure
    rows: Rows
    options: Options

    def estimate(self) -> Estimated | Refusal:
        """Run the steps once."""
        point = self.form.run(self.rows, self.options)
        if isinstance(point, Refusal):
            return point
        residuals = np.empty(0)
        if self.form.predict is not None:
            params = {name: np.array([value]) for name, value in point.params.items()}
            predicted = self.predict(params, self.rows.columns)
            residuals = self.rows.target - predicted[0] if predicted is not None else residuals
        return Estimated(point, Convergence(), np.empty((0, 0)), residuals)

    def replicate(self, settings: Settings) -> tuple[Params, float]:
        """Run the steps on resampled rows, or the law's own faster way."""
        if self.form.replicate is not None:
            params = self.form.replicate(self.rows, settings)
        else:
            within = self.form.resample == "within_groups"
            counts = draw_counts(self.rows, settings.replicas, settings.seed, within)
            draws = [
                self.form.run(self.rows.take(expand_counts(row)), self.options) for row in counts
            ]
            found = [item.params if isinstance(item, Point) else {} for item in draws]
            params = stack_replicas(found)
        if not params:
            return {}, 0.0
        finite = np.all([np.isfinite(values) for values in params.values()], axis=0)
        return params, float(finite.mean())

    def predict(self, params: Params, columns: Columns) -> FloatArray | None:
        """Return the law's prediction where it has one."""
        if self.form.predict is None:
            return None
        wide = {name: values[:, None] for name, values in params.items()}
        with np.errstate(all="ignore"):
            return self.form.predict(wide, columns, self.options)


def read_objective(law: Law, options: Options) -> Objective:
    """Return the law's objective with the delta and space that the options choose.

    Parameters
    ----------
    law : from the registry
    options : all options of the law

    Returns
    -------
    what is minimised, completely
    """
    chosen = law.objective
    delta = options.get("delta", chosen.delta)
    space = str(options.get("space", chosen.space))
    number = None if delta is None else float(str(delta))
    return replace(chosen, delta=number, space=space)


def _count_starts(objective: FloatArray, reached: float) -> tuple[float, float]:
    """Return the share of starts at the chosen minimum, and the least of the others."""
    same = np.abs(objective - reached) <= reached * SAME_MINIMUM + 1e-20
    others = objective[~same & np.isfinite(objective)]
    return float(same.mean()), float(others.min()) if others.size else np.nan


def _read_weights(law: Law, rows: Rows, options: Options) -> FloatArray:
    return np.ones(rows.n) if law.weigh is None else law.weigh(rows, options)


def _clip(residuals: FloatArray, delta: float | None) -> FloatArray:
    return residuals if delta is None else np.clip(residuals, -delta, delta)


def _blank_failed(params: Params, converged: BoolArray) -> Params:
    return {name: np.where(converged, values, np.nan) for name, values in params.items()}
