"""A separable law on fixed rows: its terms, residuals and objective for many replicas at once."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from fitting.maths.types import FloatArray, Objective, Separable, Terms


@dataclass(frozen=True)
class SeparableProblem:
    """A separable law on fixed rows.

    Parameters
    ----------
    form : the law's structure
    terms : factor and logs at the rows, not centred
    target : ndarray, shape (n,)
    objective : space and delta; least squares where delta is None
    weights : ndarray, shape (n,), weight of each row besides its count
    frozen : places in the search vector that keep their start, for profiles
    """

    form: Separable
    terms: Terms
    target: FloatArray
    objective: Objective
    weights: FloatArray
    frozen: tuple[int, ...] = ()

    @property
    def n_terms(self) -> int:
        """Return the number of linear coefficients."""
        return len(self.form.linear)

    @property
    def n_params(self) -> int:
        """Return the number of parameters."""
        return self.n_terms + len(self.form.nonlinear)

    @property
    def is_log(self) -> bool:
        """Whether residuals are taken in the logarithm."""
        return self.objective.space == "log"

    @cached_property
    def centres(self) -> FloatArray:
        """Return the means of the logs, shape (k, m)."""
        means: FloatArray = self.terms.logs.mean(axis=2)
        return means

    @cached_property
    def centred(self) -> FloatArray:
        """Return the logs with their means taken away, shape (k, m, n)."""
        centred: FloatArray = self.terms.logs - self.centres[:, :, None]
        return centred

    @cached_property
    def directions(self) -> FloatArray:
        """Return the derivative of each log term by each parameter, shape (k, p, n)."""
        k, n = self.n_terms, self.target.size
        own = np.zeros((k, k, n))
        own[np.arange(k), np.arange(k)] = 1.0
        return np.concatenate([own, -self.centred], axis=1)

    @cached_property
    def observed(self) -> FloatArray:
        """Return the target in the space of the residual."""
        return np.log(self.target) if self.is_log else self.target

    def evaluate_terms(self, theta: FloatArray) -> FloatArray:
        """Return each term at theta (B, p), shape (B, k, n)."""
        k = self.n_terms
        exponent = np.repeat(theta[:, :k, None], self.target.size, axis=2)
        for term, param in np.argwhere(np.any(self.centred != 0.0, axis=2)):
            exponent[:, term] -= theta[:, k + param, None] * self.centred[term, param]
        moving = [t for t in range(k) if np.any(self.centred[t] != 0.0)]
        still = [t for t in range(k) if t not in moving]
        exponent[:, still] = np.exp(exponent[:, still, :1])
        exponent[:, moving] = np.exp(exponent[:, moving])
        exponent *= self.terms.factor
        return exponent

    def read_residuals(self, total: FloatArray) -> FloatArray:
        """Return observed minus predicted in the residual's space; NaN where log fails."""
        if not self.is_log:
            return self.observed - total
        with np.errstate(invalid="ignore", divide="ignore"):
            return self.observed - np.log(total)

    def score(self, residuals: FloatArray, counts: FloatArray) -> FloatArray:
        """Return the objective of each replica; infinite where a residual is not finite."""
        delta = self.objective.delta
        if delta is None:
            losses = 0.5 * residuals**2
        else:
            size = np.abs(residuals)
            inner = np.minimum(size, delta)
            losses = inner * (size - 0.5 * inner)
        total: FloatArray = np.einsum("bn,bn->b", counts, losses)
        return np.where(np.isfinite(total), total, np.inf)

    def read_params(self, theta: FloatArray) -> dict[str, FloatArray]:
        """Return the parameters, un-centred, name -> (B,)."""
        k = self.n_terms
        log_c = theta[:, :k] + theta[:, k:] @ self.centres.T
        linear = {
            name: np.exp(np.clip(log_c[:, place], -700.0, 700.0))
            for place, name in enumerate(self.form.linear)
        }
        nonlinear = {name: theta[:, k + m] for m, name in enumerate(self.form.nonlinear)}
        return {**linear, **nonlinear}
