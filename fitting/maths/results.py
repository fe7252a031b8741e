"""What a fit holds: estimates, evidence of convergence, held-out errors."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from fitting.maths.records import (
    INTERNAL,
    Curve,
    Derived,
    Estimate,
    Exclusion,
    FloatArray,
    Record,
    Refusal,
)
from fitting.maths.rows import Params

FLAT = 1e-4  # largest scaled gradient of a converged estimate (LAWS 2.5)
MAX_GAP = 1e-6  # largest relative disagreement of two optimisers
NOISE_FREE = 1e-18  # below this objective its relative changes mean nothing


@dataclass(frozen=True)
class Objective(Record):
    """What is minimised, completely: loss, space of the residual, delta, reduction, weights."""

    loss: str
    space: str
    delta: float | None = None
    reduction: str = "sum"
    weights: str = "1"


@dataclass(frozen=True)
class Convergence(Record):
    """Evidence that the optimum is one (LAWS 2.5)."""

    iterations: int = 0
    scaled_gradient: float = np.nan
    second_optimiser_gap: float = np.nan
    replicas_converged: float = np.nan
    starts_at_best: float = np.nan
    second_best_objective: float = np.nan


@dataclass(frozen=True)
class HeldOut(Record):
    """Prediction of runs that were withheld from the fit.

    Parameters
    ----------
    rule : which runs were withheld
    quantity : role of what was measured and predicted
    ids, measured, predicted, relative_error : per withheld run; error = predicted/measured - 1
    """

    rule: str
    quantity: str
    ids: tuple[str, ...]
    measured: FloatArray
    predicted: FloatArray
    relative_error: FloatArray
    params: Mapping[str, float]

    @property
    def median_error(self) -> float:
        """Return the median absolute relative error."""
        return float(np.median(np.abs(self.relative_error)))

    @property
    def max_error(self) -> float:
        """Return the largest absolute relative error."""
        return float(np.max(np.abs(self.relative_error)))


@dataclass(frozen=True)
class Fit(Record):
    """A law fitted to rows, with all that is needed to judge and to repeat it (LAWS 1.1).

    `loss_noise` is the relative standard deviation of one run, from repeats; NaN = none.
    """

    law: str
    law_version: int
    objective_spec: Objective
    options: Mapping[str, object]
    n: int
    n_params: int
    dof: int
    exclusions: tuple[Exclusion, ...]
    digest: str
    seed: int
    replicas: int
    resampling_unit: str
    params: Mapping[str, Estimate]
    derived: Mapping[str, Derived]
    objective: float
    convergence: Convergence
    condition: float
    rank_ratio: float
    correlation: FloatArray
    held_out: HeldOut | Refusal
    curve: Curve | None
    table: tuple[Mapping[str, object], ...]
    warnings: tuple[str, ...]
    residuals: FloatArray
    loss_noise: float
    replica_params: Params = field(repr=False, metadata=INTERNAL)

    @property
    def is_converged(self) -> bool:
        """Whether the gradient vanishes and no second optimiser found less (LAWS 2.5)."""
        evidence = self.convergence
        steep = evidence.scaled_gradient > FLAT and self.objective > NOISE_FREE
        return not steep and not evidence.second_optimiser_gap < -MAX_GAP

    def values(self) -> dict[str, float]:
        """Return the point estimates by name."""
        return {name: estimate.value for name, estimate in self.params.items()}
