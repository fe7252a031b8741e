"""Noise of the target from configurations that were run more than once.

Pure error from repeats (Draper and Smith 1998, Applied Regression Analysis, section 2.1).
"""

from __future__ import annotations

import numpy as np

from fitting.maths.rows import Rows


def estimate_noise(rows: Rows) -> float:
    """Return the pooled relative standard deviation over repeats; NaN without any.

    Rows with equal inputs are repeats, such as seeds of one configuration.

    Parameters
    ----------
    rows : prepared rows; target positive

    Returns
    -------
    relative standard deviation of one run
    """
    if rows.n == 0 or not rows.columns:
        return float("nan")
    inputs = np.stack(list(rows.columns.values()), axis=1)
    _, cell = np.unique(inputs, axis=0, return_inverse=True)
    cell = cell.reshape(-1)
    count = np.bincount(cell)
    dof = int(np.sum(count - 1))
    if dof == 0:
        return float("nan")
    mean = np.bincount(cell, weights=rows.target) / count
    relative = rows.target / mean[cell] - 1.0
    return float(np.sqrt(np.sum(relative**2) / dof))
