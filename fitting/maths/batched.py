"""Bounded least squares of a general curve, many starts or replicas at once.

Levenberg-Marquardt (Moré 1978, Lecture Notes in Mathematics 630) inside bounds.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from fitting.maths.separable import BLOCK, PATIENCE, RESIDUAL_FLOOR, Polished
from fitting.maths.types import (
    BoolArray,
    Columns,
    CurveForm,
    FloatArray,
    IntArray,
    Objective,
    Options,
)

DIFFERENCE_STEP = 6e-6


@dataclass(frozen=True)
class CurveProblem:
    """A curve law on fixed rows.

    Parameters
    ----------
    names : parameters in the order of the search vector
    weights : ndarray, shape (n,), of the squared residual, besides the counts
    noise : ndarray, shape (B, n), added to the observations of each replica
    """

    form: CurveForm
    names: tuple[str, ...]
    columns: Columns
    options: Options
    target: FloatArray
    objective: Objective
    weights: FloatArray
    noise: FloatArray | None = None

    @cached_property
    def observed(self) -> FloatArray:
        """Return the target in the space of the residual, of each replica where it has noise."""
        observed = self.transform(self.target)
        return observed if self.noise is None else observed + self.noise

    @cached_property
    def centres(self) -> dict[str, float]:
        """Return the geometric mean of each positive column."""
        return find_centres(self.columns)

    @cached_property
    def bounds(self) -> tuple[FloatArray, FloatArray]:
        """Return lower and upper bounds of the search vector."""
        return np.array(self.form.lower), np.array(self.form.upper)

    def transform(self, values: FloatArray) -> FloatArray:
        """Take values into the space of the residual."""
        if self.objective.space == "linear":
            return values
        shift = 1.0 if self.objective.space == "log1p" else 0.0
        with np.errstate(invalid="ignore", divide="ignore"):
            logs: FloatArray = np.log(values + shift)
        return logs

    def read_params(self, theta: FloatArray) -> dict[str, FloatArray]:
        """Return the parameters of search vectors (B, p), name -> (B,)."""
        searched = {
            name: np.exp(theta[:, place]) if self.form.log[place] else theta[:, place]
            for place, name in enumerate(self.names)
        }
        if self.form.decode is None:
            return searched
        with np.errstate(all="ignore"):
            return dict(self.form.decode(searched, self.centres))

    def read_residuals(self, theta: FloatArray) -> FloatArray:
        """Return observed minus predicted at theta (B, p), shape (B, n)."""
        params = {name: values[:, None] for name, values in self.read_params(theta).items()}
        with np.errstate(all="ignore"):
            predicted = self.form.predict(params, self.columns, self.options)
        return self.observed - self.transform(predicted)

    def score(self, residuals: FloatArray, counts: FloatArray) -> FloatArray:
        """Return the objective of each replica; infinite where a residual is not finite."""
        delta = self.objective.delta
        size = np.abs(residuals)
        inner = size if delta is None else np.minimum(size, delta)
        losses = inner * (size - 0.5 * inner)
        finite = np.all(np.isfinite(losses) | (counts == 0), axis=1)
        total = np.einsum("bn,bn->b", counts, np.where(np.isfinite(losses), losses, 0.0))
        return np.where(finite, total, np.inf)

    def differentiate(self, theta: FloatArray) -> FloatArray:
        """Return d residual / d theta by central differences inside the bounds, (B, p, n)."""
        lower, upper = self.bounds
        slopes = []
        for place in range(theta.shape[1]):
            size = DIFFERENCE_STEP * np.maximum(1.0, np.abs(theta[:, place]))
            ahead, back = theta.copy(), theta.copy()
            ahead[:, place] = np.minimum(theta[:, place] + size, upper[place])
            back[:, place] = np.maximum(theta[:, place] - size, lower[place])
            gap = ahead[:, place] - back[:, place]
            gap = np.where(gap > 0.0, gap, 1.0)
            slopes.append((self.read_residuals(ahead) - self.read_residuals(back)) / gap[:, None])
        jacobian = np.stack(slopes, axis=1)
        return np.where(np.isfinite(jacobian), jacobian, 0.0)


def find_centres(columns: Columns) -> dict[str, float]:
    """Return the geometric mean of each positive column, and its ends as role_min, role_max.

    Parameters
    ----------
    columns : role -> ndarray, shape (n,)

    Returns
    -------
    role -> geometric mean, and role_min and role_max -> ends; roles with a value <= 0 are absent
    """
    found = {}
    for role, values in columns.items():
        if np.all(values > 0):
            found[role] = float(np.exp(np.mean(np.log(values))))
            found[f"{role}_min"], found[f"{role}_max"] = float(values.min()), float(values.max())
    return found


def fit_curves(
    problem: CurveProblem,
    counts: FloatArray,
    theta: FloatArray,
    tolerance: float = 1e-12,
    max_iterations: int = 300,
) -> Polished:
    """Minimise from every row of theta with its own counts.

    Parameters
    ----------
    problem : the law on fixed rows
    counts : ndarray, shape (B, n), how often each row counts in each replica
    theta : ndarray, shape (B, p), starts in the search space
    tolerance : relative improvement that counts as none
    max_iterations : after which a replica counts as not converged

    Returns
    -------
    theta (B, p), objective (B,) and whether each replica settled

    References
    ----------
    Moré 1978, The Levenberg-Marquardt algorithm, Lecture Notes in Mathematics 630
    """
    parts = []
    for first in range(0, counts.shape[0], BLOCK):
        block = slice(first, first + BLOCK)
        own = problem if problem.noise is None else replace(problem, noise=problem.noise[block])
        weights = counts[block] * problem.weights
        parts.append(_polish_block(own, weights, theta[block], tolerance, max_iterations))
    return Polished(
        np.concatenate([part.theta for part in parts]),
        np.concatenate([part.objective for part in parts]),
        max(part.iterations for part in parts),
        np.concatenate([part.converged for part in parts]),
    )


def _polish_block(
    problem: CurveProblem,
    counts: FloatArray,
    theta: FloatArray,
    tolerance: float,
    max_iterations: int,
) -> Polished:
    lower, upper = problem.bounds
    theta = np.clip(theta, lower, upper)
    best = problem.score(problem.read_residuals(theta), counts)
    damping, quiet = np.full(theta.shape[0], 1e-2), np.zeros(theta.shape[0], dtype=np.int64)
    alive, iteration = _find_alive(problem, best), 0
    while alive.size and iteration < max_iterations:
        iteration += 1
        here, weights = theta[alive], counts[alive]
        moved, gained = here, best[alive]
        for step in _propose(problem, here, weights, damping[alive]):
            candidate = np.clip(here + step, lower, upper)
            score = problem.score(problem.read_residuals(candidate), weights)
            better = score < gained
            moved = np.where(better[:, None], candidate, moved)
            gained = np.where(better, score, gained)
        improved = gained < best[alive]
        relative = (best[alive] - gained) / np.maximum(best[alive], 1e-300)
        quiet[alive] = np.where(relative > tolerance, 0, quiet[alive] + 1)
        theta[alive], best[alive] = moved, gained
        damping[alive] = np.clip(damping[alive] * np.where(improved, 0.3, 5.0), 1e-10, 1e8)
        done = (quiet[alive] >= PATIENCE) | (best[alive] < 1e-26)
        if problem.noise is None or done.all():
            alive = alive[~done]
    finished = np.isfinite(best) & ((quiet >= PATIENCE) | (best < 1e-26))
    return Polished(theta, best, iteration, finished)


def _find_alive(problem: CurveProblem, best: FloatArray) -> IntArray:
    if problem.noise is not None:
        return np.arange(best.size)
    return np.flatnonzero(np.isfinite(best))


def _propose(
    problem: CurveProblem, theta: FloatArray, counts: FloatArray, damping: FloatArray
) -> list[FloatArray]:
    residuals = problem.read_residuals(theta)
    residuals = np.where(np.isfinite(residuals), residuals, 0.0)
    jacobian = problem.differentiate(theta)
    delta, size = problem.objective.delta, np.abs(residuals)
    if delta is None:
        pull, levels = residuals, [np.ones_like(residuals)]
    else:
        pull = np.clip(residuals, -delta, delta)
        inside = (size <= delta) + 1e-3
        ratio = np.minimum(1.0, delta / np.maximum(size, RESIDUAL_FLOOR))
        levels = [np.asarray(ratio), np.asarray(inside)]
    gradient = -np.einsum("bpn,bn->bp", jacobian, counts * pull)
    jacobian = jacobian * ~_is_held(problem, theta, gradient)[:, :, None]
    gradient = -np.einsum("bpn,bn->bp", jacobian, counts * pull)
    steps = []
    for level in levels:
        hessian = (jacobian * (counts * level)[:, None]) @ jacobian.transpose(0, 2, 1)
        step = _solve(hessian, gradient, damping)
        steps += [step, 1.8 * step] if len(levels) == 1 else [step]
    return steps


def _is_held(problem: CurveProblem, theta: FloatArray, gradient: FloatArray) -> BoolArray:
    """Return which parameters stand on a bound that the descent would leave."""
    lower, upper = problem.bounds
    held: BoolArray = ((theta <= lower) & (gradient < 0)) | ((theta >= upper) & (gradient > 0))
    held[:, [name in problem.form.frozen for name in problem.names]] = True
    return held


def _solve(hessian: FloatArray, gradient: FloatArray, damping: FloatArray) -> FloatArray:
    diagonal = np.einsum("bpp->bp", hessian)
    ridge = damping[:, None] * diagonal + 1e-14 * diagonal.max(axis=1, keepdims=True) + 1e-300
    system = hessian + ridge[:, :, None] * np.eye(gradient.shape[1])
    try:
        step = np.linalg.solve(system, gradient[:, :, None])[:, :, 0]
    except np.linalg.LinAlgError:
        step = gradient / ridge
    return np.clip(np.where(np.isfinite(step), step, 0.0), -2.0, 2.0)
