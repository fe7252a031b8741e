"""Repeated sampling: ``coverage(k) = exp(-a k^-b)``."""

from __future__ import annotations

import numpy as np

from fitting.maths.coverage import (
    COVERAGE_INPUTS,
    COVERAGE_TARGET,
    choose_ks,
    refuse_counts,
    tabulate_pass,
)
from fitting.maths.types import (
    Columns,
    FloatArray,
    Law,
    LawOption,
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


def _fit(coverage: FloatArray, ks: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return a and b of each row of coverage (B, n_k); NaN where a coverage is 0 or 1."""
    with np.errstate(all="ignore"):
        y = np.log(-np.log(coverage))
    x = np.log(ks)
    dx = x - x.mean()
    slope = (y @ dx) / np.sum(dx**2)
    intercept = y.mean(axis=1) - slope * x.mean()
    ok = np.all(np.isfinite(y), axis=1)
    return np.where(ok, np.exp(intercept), np.nan), np.where(ok, -slope, np.nan)


def fit_coverage(ks: FloatArray, coverage: FloatArray) -> tuple[float, float]:
    """Return (a, b) of one coverage curve by least squares of log(-log coverage) on log k.

    Parameters
    ----------
    ks : ndarray, shape (n_k,), samples per problem
    coverage : ndarray, shape (n_k,), share solved, strictly between 0 and 1

    Returns
    -------
    a and b of ``coverage = exp(-a k^-b)``

    References
    ----------
    Brown et al. 2024, arXiv 2407.21787
    """
    a, b = _fit(coverage[None, :], ks)
    return float(a[0]), float(b[0])


def run(rows: Rows, options: Options) -> Point | Refusal:
    """Average pass@k over problems and fit the straight line."""
    ks = choose_ks(rows, int(str(options["points"])))
    coverage = tabulate_pass(rows, ks).mean(axis=0)
    a, b = fit_coverage(ks, coverage)
    if not np.isfinite(a):
        return Refusal(
            "rank",
            f"coverage runs from {coverage[0]:.3g} to {coverage[-1]:.3g}; log(-log) needs values "
            "strictly between 0 and 1",
            "leave out the k at which every or no problem is solved",
        )
    table = tuple({"k": float(k), "coverage": float(c)} for k, c in zip(ks, coverage, strict=True))
    return Point({"a": a, "b": b}, table=table)


def replicate(rows: Rows, settings: Settings) -> Params:
    """Resample problems."""
    ks = choose_ks(rows, int(str(LAW.read_options(settings.options)["points"])))
    counts = draw_counts(rows, settings.replicas, settings.seed)
    a, b = _fit(counts @ tabulate_pass(rows, ks) / rows.n, ks)
    return {"a": a, "b": b}


def draw(params: Params, columns: Columns, options: Options, k: FloatArray) -> FloatArray:
    """Return the coverage at k."""
    curve: FloatArray = np.exp(-params["a"] * k ** -params["b"])
    return curve


LAW = Law(
    slug="coverage_power",
    title="Coverage of repeated sampling, exponentiated power law",
    formula="coverage(k) = exp(-a k^-b)",
    tex=r"\mathrm{coverage}(k) = e^{-a k^{-b}}",
    inputs=COVERAGE_INPUTS,
    target=COVERAGE_TARGET,
    params=(LawParam("a", "scale"), LawParam("b", "exponent of k")),
    structure=Procedure(run, "rows", replicate),
    objective=Objective("least_squares", "log(-log)"),
    source="Brown et al. 2024 (Large Language Monkeys), arXiv 2407.21787",
    procedure="Unbiased pass@k per problem, mean over problems, straight line over log-spaced k.",
    pitfalls=(
        "Biased by the finite sample and by problems solved never or always: compare the "
        "beta-binomial law, whose alpha is the asymptotic slope.",
    ),
    options=(LawOption("points", 30, "number of log-spaced k", least=3, most=10_000),),
    curve_role="k",
    refuse=refuse_counts,
    curve=draw,
)
