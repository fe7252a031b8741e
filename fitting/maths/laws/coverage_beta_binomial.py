"""Repeated sampling with problem difficulties from a beta distribution."""

from __future__ import annotations

import numpy as np

from fitting.maths.coverage import COVERAGE_INPUTS, COVERAGE_TARGET, refuse_counts
from fitting.maths.types import (
    Columns,
    FloatArray,
    Law,
    LawParam,
    Objective,
    Options,
    Params,
    Point,
    Procedure,
    Refusal,
    Rows,
    Settings,
)
from fitting.maths.uncertainty import draw_counts

MAX_ITERATIONS = 200
LIMIT = 15.0


def maximise(
    n: FloatArray, c: FloatArray, counts: FloatArray
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Maximise the beta-binomial likelihood of every replica by damped Newton steps.

    Parameters
    ----------
    n, c : ndarray, shape (m,), distinct pairs
    counts : ndarray, shape (B, m), how often each pair occurs

    Returns
    -------
    log alpha and log beta (B,), NaN where the iteration did not settle, and minus the likelihood
    """
    theta = np.log(np.tile([[0.5, 2.0]], (counts.shape[0], 1)))
    best, gradient, hessian = _evaluate(theta, n, c, counts)
    damping, alive = np.full(counts.shape[0], 1e-3), np.arange(counts.shape[0])
    for _ in range(MAX_ITERATIONS):
        if alive.size == 0:
            break
        scale = np.abs(np.einsum("bpp->bp", hessian[alive])) + 1e-300
        system = hessian[alive] + (damping[alive, None] * scale)[:, :, None] * np.eye(2)
        step = np.linalg.solve(system, gradient[alive, :, None])[:, :, 0]
        candidate = np.clip(theta[alive] - np.clip(step, -1.0, 1.0), -LIMIT, LIMIT)
        score, slope, bend = _evaluate(candidate, n, c, counts[alive])
        better = score < best[alive]
        rows = alive[better]
        theta[rows], best[rows] = candidate[better], score[better]
        gradient[rows], hessian[rows] = slope[better], bend[better]
        damping[alive] = np.clip(damping[alive] * np.where(better, 0.1, 10.0), 1e-12, 1e8)
        flat = np.max(np.abs(gradient[alive]), axis=1) <= 1e-9 * np.abs(best[alive])
        alive = alive[~(flat | (damping[alive] > 1e6))]
    good = np.all(np.abs(theta) < LIMIT - 0.1, axis=1)
    good[alive] = False
    found = np.where(good[:, None], theta, np.nan)
    return found[:, 0], found[:, 1], best


def _evaluate(
    theta: FloatArray, n: FloatArray, c: FloatArray, counts: FloatArray
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return minus the log likelihood, its gradient and its Hessian in (log alpha, log beta)."""
    from scipy.special import betaln, digamma, polygamma

    alpha, beta = np.exp(theta[:, :1]), np.exp(theta[:, 1:])
    score = -np.sum(counts * (betaln(alpha + c, beta + n - c) - betaln(alpha, beta)), axis=1)
    both = digamma(alpha + beta + n) - digamma(alpha + beta)
    d_alpha = np.sum(counts * (digamma(alpha + c) - digamma(alpha) - both), axis=1)
    d_beta = np.sum(counts * (digamma(beta + n - c) - digamma(beta) - both), axis=1)
    shared = polygamma(1, alpha + beta + n) - polygamma(1, alpha + beta)
    curve_a = polygamma(1, alpha + c) - polygamma(1, alpha) - shared
    curve_b = polygamma(1, beta + n - c) - polygamma(1, beta) - shared
    h_aa, h_bb = np.sum(counts * curve_a, axis=1), np.sum(counts * curve_b, axis=1)
    h_ab = -np.sum(counts * shared, axis=1)
    a, b = alpha[:, 0], beta[:, 0]
    gradient = -np.stack([d_alpha * a, d_beta * b], axis=1)
    hessian = -np.array(
        [[h_aa * a**2 + d_alpha * a, h_ab * a * b], [h_ab * a * b, h_bb * b**2 + d_beta * b]]
    ).transpose(2, 0, 1)
    return score, gradient, hessian


def _gather(rows: Rows, counts: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
    pairs, place = np.unique(
        np.stack([rows.columns["n_samples"], rows.target], axis=1), axis=0, return_inverse=True
    )
    gathered = np.zeros((counts.shape[0], pairs.shape[0]))
    np.add.at(gathered.T, place.reshape(-1), counts.T)
    return pairs[:, 0], pairs[:, 1], gathered


def run(rows: Rows, options: Options) -> Point | Refusal:
    """Maximise the likelihood."""
    log_alpha, log_beta, minus = maximise(*_gather(rows, np.ones((1, rows.n))))
    if not np.isfinite(log_alpha[0]):
        return Refusal(
            "not_identified",
            f"the {rows.n} problems do not spread as a beta distribution with finite parameters: "
            "all are about equally hard, or solved always or never",
            "add problems of other difficulty",
        )
    params = {"alpha": float(np.exp(log_alpha[0])), "beta": float(np.exp(log_beta[0]))}
    return Point(params, objective=float(minus[0]))


def replicate(rows: Rows, settings: Settings) -> Params:
    """Resample problems."""
    counts = draw_counts(rows, settings.replicas, settings.seed)
    log_alpha, log_beta, _ = maximise(*_gather(rows, counts))
    return {"alpha": np.exp(log_alpha), "beta": np.exp(log_beta)}


def draw(params: Params, columns: Columns, options: Options, k: FloatArray) -> FloatArray:
    """Return ``1 - B(alpha, beta + k) / B(alpha, beta)``."""
    from scipy.special import betaln

    alpha, beta = params["alpha"], params["beta"]
    curve: FloatArray = -np.expm1(betaln(alpha, beta + k) - betaln(alpha, beta))
    return curve


LAW = Law(
    slug="coverage_beta_binomial",
    title="Coverage of repeated sampling, beta-binomial",
    formula="c_i ~ BetaBin(n_i, alpha, beta), coverage(k) = 1 - B(alpha, beta+k)/B(alpha, beta)",
    tex=r"\mathrm{coverage}(k) = 1 - B(\alpha, \beta + k)/B(\alpha, \beta)",
    inputs=COVERAGE_INPUTS,
    target=COVERAGE_TARGET,
    params=(
        LawParam("alpha", "left tail of the difficulties: the asymptotic exponent of 1 - coverage"),
        LawParam("beta", "right tail"),
    ),
    structure=Procedure(run, "rows", replicate),
    objective=Objective("likelihood", "linear", reduction="sum"),
    source="Schaeffer et al. 2025, arXiv 2502.17578",
    procedure="Maximum likelihood in (log alpha, log beta); analytic gradient and Hessian.",
    pitfalls=("alpha is small when many problems are never solved: the tail is then a guess.",),
    curve_role="k",
    refuse=refuse_counts,
    curve=draw,
)
