"""The fingerprint of a fit's input, so that equal data are recognised as equal."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence

import numpy as np

from fitting.maths.records import FloatArray


def digest_columns(ids: Sequence[str], columns: Mapping[str, FloatArray]) -> str:
    """Return the SHA-256 of the float64 columns, rows ordered by id, columns by name.

    Every NaN counts as the same NaN and -0.0 as 0.0, so that the digest follows the logical data.

    Parameters
    ----------
    ids : identifier of each row
    columns : name -> ndarray, shape (n,)

    Returns
    -------
    64 hexadecimal digits
    """
    order = sorted(range(len(ids)), key=lambda i: ids[i])
    hasher = hashlib.sha256()
    for name in sorted(columns):
        values = np.asarray(columns[name], dtype="<f8")[order] + 0.0
        values[np.isnan(values)] = np.nan
        hasher.update(f"{name}:{values.size}\n".encode())
        hasher.update(values.tobytes())
    return hasher.hexdigest()


def encode_labels(labels: Sequence[str]) -> FloatArray:
    """Return each label's place among the sorted distinct labels, for the digest.

    Parameters
    ----------
    labels : one per row

    Returns
    -------
    ndarray, shape (n,), whole numbers
    """
    codes = {label: float(place) for place, label in enumerate(sorted(set(labels)))}
    return np.array([codes[label] for label in labels], dtype=np.float64)
