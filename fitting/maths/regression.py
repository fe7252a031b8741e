"""Ordinary least squares on resampled rows, all replicas at once.

Weighted least squares (Draper and Smith 1998, Applied Regression Analysis, chapter 9).
"""

from __future__ import annotations

import numpy as np

from fitting.maths.types import FloatArray


def regress(design: FloatArray, y: FloatArray, counts: FloatArray) -> FloatArray:
    """Return the coefficients of each replica.

    Parameters
    ----------
    design : ndarray, shape (n, p)
    y : ndarray, shape (n,) or (B, n)
    counts : ndarray, shape (B, n), weights

    Returns
    -------
    ndarray, shape (B, p); NaN where the replica's rows do not determine them
    """
    centre, spread = design.mean(axis=0), design.std(axis=0)
    constant = spread <= 1e-12 * np.maximum(np.abs(centre), 1e-300)
    shift, scale = np.where(constant, 0.0, centre), np.where(constant, 1.0, spread)
    z = (design - shift) / scale
    gram = np.einsum("bn,np,nq->bpq", counts, z, z, optimize=True)
    right = np.einsum("bn,np->bp", counts * y, z)
    total = np.einsum("bpp->b", gram)
    smallest = np.linalg.eigvalsh(gram)[:, 0]
    bad = ~(smallest > 1e-10 * total)
    gram[bad] = np.eye(z.shape[1])
    found = np.linalg.solve(gram, right[:, :, None])[:, :, 0]
    found[bad] = np.nan
    slopes = found / scale
    correction = slopes @ shift
    if constant.any():
        first = int(np.flatnonzero(constant)[0])
        slopes[:, first] -= correction / design[0, first]
    return slopes
