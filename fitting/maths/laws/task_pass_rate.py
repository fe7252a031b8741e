"""Pass rate of a task by sampling until it passes: ``PU(N) = exp(-c N^-alpha)``."""

from __future__ import annotations

import numpy as np

from fitting.maths.types import (
    BoolArray,
    Columns,
    DerivedQuantity,
    FloatArray,
    Law,
    LawInput,
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

MIN_SIZES, MAX_PASS_RATE, CURVE_Z = 4, 0.9, 1.96


def maximise(
    rows: Rows, counts: FloatArray, quadratic: bool = False
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Maximise ``sum r log PU + (K - r) log(1 - PU)`` by Fisher scoring, every replica at once.

    Parameters
    ----------
    rows : n_params, tries K; target = passes r
    counts : ndarray, shape (B, n), how often each row counts in each replica
    quadratic : add a square of log N to log(-log PU)

    Returns
    -------
    coefficients of (1, -log N centred[, square]) in log(-log PU) (B, p), their Fisher standard
    errors, and minus the log likelihood

    References
    ----------
    Hu et al. 2023, arXiv 2310.03262, sections 4.1 and 6
    """
    u = np.log(rows.columns["n_params"])
    u = u - u.mean()
    basis = [np.ones_like(u), -u] + ([u**2 - np.mean(u**2)] if quadratic else [])
    design = np.stack(basis, axis=1)
    r, k = rows.target, rows.columns["tries"]
    rate = np.clip((r + 0.25) / (k + 0.5), 1e-9, 1 - 1e-9)
    start = np.linalg.lstsq(design, np.log(-np.log(rate)), rcond=None)[0]
    theta = np.tile(start, (counts.shape[0], 1))
    best = _score(theta, design, r, k, counts)
    for _ in range(60):
        step, _ = _scoring_step(theta, design, r, k, counts)
        scale = np.ones(theta.shape[0])
        for _ in range(20):
            candidate = theta + scale[:, None] * step
            score = _score(candidate, design, r, k, counts)
            worse = ~(score <= best)
            if not worse.any():
                break
            scale = np.where(worse, 0.5 * scale, scale)
        better = score <= best
        gain = np.where(better, best - score, 0.0)
        theta, best = np.where(better[:, None], candidate, theta), np.where(better, score, best)
        if np.all(gain <= 1e-13 * np.abs(best)):
            break
    _, errors = _scoring_step(theta, design, r, k, counts)
    return theta, errors, best


def _score(
    theta: FloatArray, design: FloatArray, r: FloatArray, k: FloatArray, counts: FloatArray
) -> FloatArray:
    minus_log = np.exp(np.clip(theta @ design.T, -50, 50))
    with np.errstate(divide="ignore", invalid="ignore"):
        failed = np.where(k > r, (k - r) * np.log(-np.expm1(-minus_log)), 0.0)
    total: FloatArray = np.sum(counts * (r * minus_log - failed), axis=1)
    return total


def _scoring_step(
    theta: FloatArray, design: FloatArray, r: FloatArray, k: FloatArray, counts: FloatArray
) -> tuple[FloatArray, FloatArray]:
    m = np.exp(np.clip(theta @ design.T, -50, 50))
    odds = np.exp(-m) / -np.expm1(-m)
    gradient = (counts * (-r * m + (k - r) * m * odds)) @ design
    weight = counts * k * m**2 * odds
    fisher = np.einsum("bn,np,nq->bpq", weight, design, design)
    fisher += 1e-12 * np.trace(fisher, axis1=1, axis2=2)[:, None, None] * np.eye(design.shape[1])
    step = np.linalg.solve(fisher, gradient[:, :, None])[:, :, 0]
    errors = np.sqrt(np.einsum("bpp->bp", np.linalg.inv(fisher)))
    return np.clip(step, -2.0, 2.0), errors


def fit_by_regression(rows: Rows) -> float:
    """Return alpha by least squares of log(-log PU) on log N: biased when r is small.

    Parameters
    ----------
    rows : n_params, tries K; target = passes r

    Returns
    -------
    the exponent alpha

    References
    ----------
    Hu et al. 2023, arXiv 2310.03262, sections 4.1 and 6
    """
    rate = rows.target / rows.columns["tries"]
    usable = (rate > 0) & (rate < 1)
    x, y = np.log(rows.columns["n_params"][usable]), np.log(-np.log(rate[usable]))
    return float(-np.polyfit(x, y, 1)[0])


def refuse(rows: Rows, options: Options) -> Refusal | None:
    """Refuse few sizes, saturated pass rates and tasks that chance can pass."""
    if float(str(options["chance"])) > 0.0:
        return Refusal(
            "not_comparable",
            f"the task passes by chance with {options['chance']}: the law has no floor",
            "use a task without multiple choice",
        )
    n_sizes = np.unique(rows.columns["n_params"]).size
    if n_sizes < MIN_SIZES:
        return Refusal(
            "too_few_points", f"needs >= {MIN_SIZES} sizes; have {n_sizes}", "test more sizes"
        )
    if np.all(rows.target / rows.columns["tries"] > MAX_PASS_RATE):
        return Refusal("saturated", "all pass rates exceed .9: the law is flat there", "")
    return None


def run(rows: Rows, options: Options) -> Point | Refusal:
    """Maximise the likelihood and test for a curvature."""
    ones = np.ones((1, rows.n))
    theta, _, minus = maximise(rows, ones)
    params = _read(rows, theta)
    warnings = []
    if np.unique(rows.columns["n_params"]).size > MIN_SIZES - 1:
        bent, errors, _ = maximise(rows, ones, quadratic=True)
        if abs(bent[0, 2]) > CURVE_Z * errors[0, 2]:
            kind = "sub-scaling" if bent[0, 2] > 0 else "super-scaling (accelerated emergence)"
            warnings.append(f"{kind}: a square of log N is significant; do not extrapolate")
    censored = int(np.sum(rows.target == 0))
    if censored:
        warnings.append(f"{censored} models never passed: PU < 3/K, kept in the likelihood")
    return Point(
        {name: float(values[0]) for name, values in params.items()},
        float(minus[0]),
        warnings=tuple(warnings),
    )


def _read(rows: Rows, theta: FloatArray) -> dict[str, FloatArray]:
    centre = float(np.mean(np.log(rows.columns["n_params"])))
    return {"c": np.exp(theta[:, 0] + theta[:, 1] * centre), "alpha": theta[:, 1]}


def replicate(rows: Rows, settings: Settings) -> Params:
    """Resample models; replicas with fewer than two sizes have no slope."""
    counts = draw_counts(rows, settings.replicas, settings.seed)
    present: BoolArray = counts > 0
    sizes, place = np.unique(rows.columns["n_params"], return_inverse=True)
    seen = np.stack([present[:, place == k].any(axis=1) for k in range(sizes.size)])
    distinct = seen.sum(axis=0)
    params = _read(rows, maximise(rows, np.where((distinct >= 2)[:, None], counts, 1.0))[0])
    return {name: np.where(distinct >= 2, values, np.nan) for name, values in params.items()}


def draw(params: Params, columns: Columns, options: Options, n: FloatArray) -> FloatArray:
    """Return the pass rate at sizes n."""
    rate: FloatArray = np.exp(-np.exp(np.log(params["c"]) - params["alpha"] * np.log(n)))
    return rate


def _at_target(params: Params, options: Options) -> FloatArray:
    return draw(params, {}, options, np.array(float(str(options["target_size"]))))


LAW = Law(
    slug="task_pass_rate",
    title="Pass rate of a task (PassUntil)",
    formula="PU(N) = exp(-c N^-alpha)",
    tex=r"\mathrm{PU}(N) = e^{-c N^{-\alpha}}",
    inputs=(
        LawInput("n_params", "N", "parameters", octaves=2.0),
        LawInput("tries", "K", "samples drawn until r passes, or the limit"),
    ),
    target=LawInput("passes", "r", "samples that passed", positive=False),
    params=(LawParam("c", "scale"), LawParam("alpha", "exponent of size")),
    structure=Procedure(run, "rows", replicate),
    objective=Objective("likelihood", "linear"),
    source="Hu et al. 2023, arXiv 2310.03262, sections 4.1 and 6 (closed form unverified)",
    procedure="Maximum likelihood of the counts by Fisher scoring; a model that never passed is a "
    "censored row.",
    pitfalls=(
        "Least squares on log(-log PU) is biased when r is small.",
        "A chance level above zero breaks the form.",
    ),
    options=(
        LawOption(
            "chance", 0.0, "pass rate by chance; above 0 the law is refused", least=0.0, most=1.0
        ),
        LawOption(
            "target_size",
            2.4e9,
            "size at which the pass rate is predicted",
            least=0.0,
            is_above=True,
        ),
    ),
    derived=(DerivedQuantity("pass_rate", "PU at the target size", "", _at_target),),
    curve_role="n_params",
    curve=draw,
    refuse=refuse,
    flat_target_means=True,
)
