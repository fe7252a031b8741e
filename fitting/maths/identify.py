"""Which directions of the parameters the rows determine (LAWS 1.2 rank, 2.5)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from fitting.maths.fitters import Estimated
from fitting.maths.types import FloatArray, Law, Refusal, Separable

NOT_IDENTIFIED = 1e-8
WEAKLY_IDENTIFIED = 1e-3


@dataclass(frozen=True)
class Identification:
    """Rank and condition of a fit.

    Parameters
    ----------
    condition : of the column-scaled J^T J
    rank_ratio : smallest over largest singular value of the column-scaled Jacobian
    correlation : of the parameters, from the same matrix; empty for procedures
    """

    condition: float
    rank_ratio: float
    correlation: FloatArray
    warnings: tuple[str, ...] = ()
    refusal: Refusal | None = None


def identify(law: Law, estimated: Estimated) -> Identification:
    """Judge the Jacobian at the estimate.

    Parameters
    ----------
    law : from the registry
    estimated : the point estimate with its Jacobian in centred coordinates

    Returns
    -------
    rank, condition and correlations, with warnings, or the Refusal of a direction that the rows do
    not determine

    References
    ----------
    Belsley, Kuh and Welsch 1980, Regression Diagnostics, chapter 3 (column-scaled condition)
    """
    jacobian = estimated.jacobian
    if jacobian.size == 0:
        return Identification(np.nan, np.nan, np.empty((0, 0)))
    names = _name_columns(law)
    norms = np.linalg.norm(jacobian, axis=0)
    largest = norms.max()
    dead = [name for name, norm in zip(names, norms, strict=True) if norm <= 1e-9 * largest]
    alive = norms > 1e-9 * largest
    undetermined = [name for name in dead if not _may_vanish(law, name)]
    if undetermined:
        return _refuse(f"{undetermined[0]} has no effect on the prediction at these rows")
    _, singular, right = np.linalg.svd(jacobian[:, alive] / norms[alive], full_matrices=False)
    ratio = float(singular[-1] / singular[0])
    kept = [name for name, keep in zip(names, alive, strict=True) if keep]
    direction = " and ".join(kept[place] for place in np.argsort(-np.abs(right[-1]))[:2])
    if jacobian.shape[0] < alive.sum() or ratio < NOT_IDENTIFIED:
        return _refuse(f"{direction} cannot be told apart (singular-value ratio {ratio:.1e})")
    inverse = right.T @ np.diag(1.0 / singular**2) @ right
    scale = np.sqrt(np.diag(inverse))
    correlation = np.full((len(names), len(names)), np.nan)
    correlation[np.ix_(alive, alive)] = inverse / np.outer(scale, scale)
    warnings = tuple(f"{name} is zero: its term does not contribute" for name in dead)
    if ratio < WEAKLY_IDENTIFIED:
        warnings += (f"weakly identified: {direction} trade off",)
    return Identification(1.0 / ratio**2, ratio, correlation, warnings)


def _refuse(what: str) -> Identification:
    refusal = Refusal("rank", f"not identifiable: {what}", "vary the inputs independently")
    return Identification(np.inf, 0.0, np.empty((0, 0)), refusal=refusal)


def _name_columns(law: Law) -> tuple[str, ...]:
    if isinstance(law.structure, Separable):
        return (*law.structure.linear, *law.structure.nonlinear)
    return tuple(param.name for param in law.params)


def _may_vanish(law: Law, name: str) -> bool:
    return any(param.name == name and param.bound_has_meaning for param in law.params)
