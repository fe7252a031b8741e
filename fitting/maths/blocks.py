"""Curves made shorter: means of blocks of neighbouring points."""

from __future__ import annotations

import numpy as np

from fitting.maths.records import FloatArray


def average_blocks(x: FloatArray, y: FloatArray, n_blocks: int) -> tuple[FloatArray, FloatArray]:
    """Return means over at most so many blocks of equal numbers of points.

    Parameters
    ----------
    x, y : ndarrays, shape (k,)
    n_blocks : most points to keep

    Returns
    -------
    means of x and of y; both as they are where there are few
    """
    if x.size <= n_blocks:
        return x, y
    block = np.arange(x.size) * n_blocks // x.size
    count = np.bincount(block)
    return np.bincount(block, weights=x) / count, np.bincount(block, weights=y) / count
