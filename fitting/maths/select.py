"""Alternative laws on the same rows, side by side; never an automatic winner."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from fitting.maths.predict import evaluate_point
from fitting.maths.types import Columns, Fit, FloatArray, HeldOut, Record, Refusal, Rows


@dataclass(frozen=True)
class Candidate(Record):
    """One law among the alternatives.

    Parameters
    ----------
    aicc : corrected Akaike criterion of the log residuals; NaN below p + 3 rows
    aicc_excess : over the least of the candidates
    held_out_median, held_out_max : relative errors of the withheld runs; NaN where nothing was
    """

    law: str
    n_params: int
    aicc: float
    aicc_excess: float
    held_out_median: float
    held_out_max: float


@dataclass(frozen=True)
class Selection(Record):
    """The alternatives and how far their predictions disagree.

    Parameters
    ----------
    target, predictions : inputs of the target, and each law's value there
    spread : largest over smallest prediction minus 1: the model uncertainty
    refusals : laws that the rows do not support
    """

    candidates: tuple[Candidate, ...]
    predictions: Mapping[str, float]
    spread: float
    refusals: Mapping[str, Refusal]


def compare_laws(
    fits: Mapping[str, Fit | Refusal], rows: Rows, target: Columns | None = None
) -> Selection:
    """Put fits of different laws to the same rows side by side.

    Parameters
    ----------
    fits : name -> fit or refusal; all to the same rows and the same target quantity
    rows : the rows
    target : role -> ndarray of one value, where the predictions are compared

    Returns
    -------
    criteria and held-out errors of each law, and the spread of the predictions

    Notes
    -----
    AICc is taken on log residuals for every law, whatever its own objective, so that the numbers
    are comparable. It says nothing about extrapolation; the held-out error does.

    References
    ----------
    Burnham and Anderson 2002, Model Selection and Multimodel Inference, section 2.4
    """
    good = {name: fit for name, fit in fits.items() if isinstance(fit, Fit)}
    scores = {name: score_aicc(fit, rows) for name, fit in good.items()}
    least = min((score for score in scores.values() if np.isfinite(score)), default=np.nan)
    candidates = tuple(
        Candidate(name, fit.n_params, scores[name], scores[name] - least, *_read_held_out(fit))
        for name, fit in good.items()
    )
    predictions = {}
    if target is not None:
        predictions = {name: float(evaluate_point(fit, target)[0]) for name, fit in good.items()}
    values = list(predictions.values())
    spread = max(values) / min(values) - 1.0 if values else np.nan
    refusals = {name: fit for name, fit in fits.items() if isinstance(fit, Refusal)}
    return Selection(candidates, predictions, spread, refusals)


def score_aicc(fit: Fit, rows: Rows) -> float:
    """Return AICc of the log residuals; the noise counts as a parameter.

    Parameters
    ----------
    fit : of a law that predicts single runs
    rows : with positive targets

    Returns
    -------
    AICc up to a constant; NaN below p + 3 rows

    References
    ----------
    Hurvich and Tsai 1989, Biometrika 76(2), 297-307
    """
    residuals: FloatArray = np.log(rows.target) - np.log(evaluate_point(fit, rows.columns))
    n, k = rows.n, fit.n_params + 1
    if n <= k + 1:
        return float("nan")
    squares = max(float(np.sum(residuals**2)), 1e-300)
    return float(n * np.log(squares / n) + 2 * k + 2 * k * (k + 1) / (n - k - 1))


def _read_held_out(fit: Fit) -> tuple[float, float]:
    if isinstance(fit.held_out, HeldOut):
        return fit.held_out.median_error, fit.held_out.max_error
    return np.nan, np.nan
