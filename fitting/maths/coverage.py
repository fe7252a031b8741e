"""pass@k of repeated sampling, shared by the coverage laws.

Unbiased pass@k: Chen et al. 2021, arXiv 2107.03374.
"""

from __future__ import annotations

import numpy as np

from fitting.maths.types import FloatArray, LawInput, Options, Refusal, Rows

MAX_SAMPLES = 1e6
COVERAGE_INPUTS = (LawInput("n_samples", "n", "samples drawn of the problem"),)
COVERAGE_TARGET = LawInput("n_correct", "c", "samples that passed", positive=False)


def refuse_counts(rows: Rows, options: Options) -> Refusal | None:
    """Refuse counts that are no counts: not whole, negative, or more passes than samples.

    Parameters
    ----------
    rows : n_samples; target = passes
    options : unused

    Returns
    -------
    a Refusal with the first bad problem, or None
    """
    n, c = rows.columns["n_samples"], rows.target
    bad = (n < 1) | (n != np.round(n)) | (c != np.round(c)) | (c < 0) | (c > n)
    if not bad.any():
        if n.max() <= MAX_SAMPLES:
            return None
        return Refusal(
            "too_many_samples",
            f"a problem has {n.max():.3g} samples; at most {MAX_SAMPLES:.0e}",
            "",
        )
    place = int(np.flatnonzero(bad)[0])
    return Refusal(
        "not_counts",
        f"{int(bad.sum())} problems have no valid counts, such as {c[place]:g} passes of "
        f"{n[place]:g} samples",
        "map n_samples to the samples drawn and the target to those that passed",
    )


def estimate_pass(n: FloatArray, c: FloatArray, k: float) -> FloatArray:
    """Return the unbiased pass@k of each problem, ``1 - binom(n - c, k) / binom(n, k)``.

    Parameters
    ----------
    n, c : ndarray, shape (n_problems,), samples and correct samples
    k : at most min(n)

    Returns
    -------
    ndarray, shape (n_problems,), probabilities

    References
    ----------
    Chen et al. 2021, arXiv 2107.03374, eq. 1 (unbiased pass@k)
    """
    j = np.arange(int(k), dtype=np.float64)[None, :]
    left = np.maximum((n - c)[:, None] - j, 0.0)
    failed = np.exp(np.sum(_log_or_minus_inf(left) - np.log(n[:, None] - j), axis=1))
    chance: FloatArray = 1.0 - failed
    return chance


def _log_or_minus_inf(values: FloatArray) -> FloatArray:
    with np.errstate(divide="ignore"):
        return np.log(values)


def tabulate_pass(rows: Rows, ks: FloatArray) -> FloatArray:
    """Return pass@k of every problem at every k, shape (n_problems, n_k).

    The product over k is built once: ``binom(n-c, k)/binom(n, k) = prod_j (n-c-j)/(n-j)``.

    Parameters
    ----------
    rows : n_samples; target = passes
    ks : ndarray, shape (n_k,), whole numbers from 1 to the least number of samples

    Returns
    -------
    ndarray, shape (n_problems, n_k), probabilities

    References
    ----------
    Chen et al. 2021, arXiv 2107.03374, eq. 1 (unbiased pass@k)
    """
    n, c = rows.columns["n_samples"], rows.target
    pairs, place = np.unique(np.stack([n, c], axis=1), axis=0, return_inverse=True)
    j = np.arange(int(ks.max()), dtype=np.float64)[None, :]
    left = np.maximum(pairs[:, :1] - pairs[:, 1:] - j, 0.0)
    logs = np.cumsum(_log_or_minus_inf(left) - np.log(pairs[:, :1] - j), axis=1)
    passed: FloatArray = 1.0 - np.exp(logs[:, ks.astype(np.int64) - 1])
    return passed[place.reshape(-1)]


def choose_ks(rows: Rows, points: int) -> FloatArray:
    """Return log-spaced whole k from 1 to the least number of samples.

    Parameters
    ----------
    rows : n_samples
    points : about how many

    Returns
    -------
    ndarray, ascending whole numbers

    References
    ----------
    Brown et al. 2024, arXiv 2407.21787
    """
    largest = int(rows.columns["n_samples"].min())
    return np.unique(np.round(np.geomspace(1, largest, points)))


def measure_coverage(rows: Rows, k: int) -> float | Refusal:
    """Return the mean pass@k; refused beyond the least number of samples.

    Parameters
    ----------
    rows : n_samples; target = passes
    k : samples per problem

    Returns
    -------
    share of the problems solved by k samples, or a Refusal

    References
    ----------
    Brown et al. 2024, arXiv 2407.21787
    """
    least = int(rows.columns["n_samples"].min())
    if k > least:
        return Refusal(
            "extrapolated",
            f"pass@{k} cannot be measured: one problem has only {least} samples",
            "draw more samples, or read the fitted law and call it a prediction",
        )
    return float(np.mean(estimate_pass(rows.columns["n_samples"], rows.target, float(k))))
