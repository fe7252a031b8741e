"""Where a running curve is going: power, exponential and inverse-log families weighed."""

from __future__ import annotations

import numpy as np

from fitting.maths.separable import SeparableProblem, fit_replicas
from fitting.maths.types import (
    Columns,
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
    Separable,
    Settings,
    Terms,
)

MIN_POINTS, MIN_SEEN, FIT_SHARE, BLOCK_SHARE, MIN_LR_RATIO = 30, 0.1, 0.8, 0.05, 0.95
LEAST = Objective("least_squares", "linear")
FAMILIES = ("power", "exponential", "ilog")


def _make_terms(family: str, x: FloatArray, shape: FloatArray | None = None) -> Terms:
    """Return ``c + a f(x)``; ilog has its shape inside the logarithm and is searched outside."""
    logs = {"power": np.log(x), "exponential": x}.get(family, np.zeros_like(x))
    factor = np.ones((2, x.size))
    if shape is not None:
        factor[1] = 1.0 / np.log1p(shape * x)
    exponents = np.stack([np.zeros_like(x), logs])
    return Terms(factor, exponents[:, None] if shape is None else np.zeros((2, 0, x.size)))


def _no_terms(columns: Columns, options: Options) -> Terms:
    raise NotImplementedError("the terms are given")


def _solve(
    terms: Terms, y: FloatArray, grid: tuple[FloatArray, ...]
) -> tuple[dict[str, float], float]:
    names = tuple("r" for _ in grid)
    form = Separable(("c", "a"), names, grid, _no_terms)
    problem = SeparableProblem(form, terms, y, LEAST, np.ones_like(y))
    found = fit_replicas(problem, np.ones((1, y.size)), 1e-9, 200)
    params = {name: float(value[0]) for name, value in problem.read_params(found.theta).items()}
    return params, float(found.objective[0])


def fit_family(family: str, x: FloatArray, y: FloatArray) -> dict[str, float]:
    """Fit ``c + a f(x; r)`` with c, a >= 0; x is the step over the horizon, in (0, 1].

    Parameters
    ----------
    family : its name
    x : ndarray, shape (n,), step over the horizon
    y : ndarray, shape (n,), loss

    Returns
    -------
    c, a and the rate

    References
    ----------
    Domhan et al. 2015, IJCAI (families); automl/pylearningcurvepredictor@4434802
    """
    if family == "power":
        return _solve(_make_terms(family, x), y, (np.geomspace(0.02, 3.0, 40),))[0]
    if family == "exponential":
        return _solve(_make_terms(family, x), y, (np.geomspace(0.1, 200.0, 40),))[0]
    best: tuple[float, dict[str, float]] = (np.inf, {})
    for log_scale in np.linspace(0.0, 14.0, 29):
        shape = np.array(np.exp(log_scale))
        params, objective = _solve(_make_terms(family, x, shape), y, ())
        if objective < best[0]:
            best = (objective, {**params, "r": float(shape)})
    return best[1]


def evaluate_family(family: str, params: dict[str, float], x: FloatArray) -> FloatArray:
    """Return the curve of a family.

    Parameters
    ----------
    family : its name
    params : c, a and the rate
    x : ndarray, step over the horizon

    Returns
    -------
    ndarray of the shape of x, loss

    References
    ----------
    Domhan et al. 2015, IJCAI (families); automl/pylearningcurvepredictor@4434802
    """
    r = params["r"]
    if family == "power":
        shape = x**-r
    elif family == "exponential":
        shape = np.exp(-r * x)
    else:
        shape = 1.0 / np.log1p(r * x)
    curve: FloatArray = params["c"] + params["a"] * shape
    return curve


def forecast(x: FloatArray, y: FloatArray) -> tuple[dict[str, float], dict[str, float], FloatArray]:
    """Return the end value and the weight of each family, and the mean curve at x.

    Each family is fitted to the first 80 % and weighed by 1/MSE on the rest, then refitted.

    Parameters
    ----------
    x : ndarray, shape (n,), step over the horizon, ascending
    y : ndarray, shape (n,), loss

    Returns
    -------
    family -> loss at x = 1, family -> weight, and the weighted curve (n,)

    References
    ----------
    Domhan et al. 2015, IJCAI (families); automl/pylearningcurvepredictor@4434802
    """
    n_fit = int(FIT_SHARE * x.size)
    weights, ends, curve = {}, {}, np.zeros_like(x)
    for family in FAMILIES:
        early = fit_family(family, x[:n_fit], y[:n_fit])
        miss = evaluate_family(family, early, x[n_fit:]) - y[n_fit:]
        weights[family] = 1.0 / max(float(np.mean(miss**2)), 1e-18)
    total = sum(weights.values())
    for family in FAMILIES:
        weights[family] /= total
        final = fit_family(family, x, y)
        ends[family] = float(evaluate_family(family, final, np.ones(1))[0])
        curve += weights[family] * evaluate_family(family, final, x)
    return ends, weights, curve


def _read(rows: Rows, options: Options) -> tuple[FloatArray, FloatArray]:
    order = np.argsort(rows.columns["step"])
    return rows.columns["step"][order] / float(str(options["horizon"])), rows.target[order]


def refuse(rows: Rows, options: Options) -> Refusal | None:
    """Refuse short curves, unknown horizons and decaying rates."""
    if options["horizon"] is None:
        return Refusal("missing_input", "the total number of steps is not given", "set horizon")
    seen = float(rows.columns["step"].max()) / float(str(options["horizon"]))
    if rows.n < MIN_POINTS or seen < MIN_SEEN:
        return Refusal(
            "too_few_points",
            f"{rows.n} points over {seen:.0%} of the steps; a forecast needs {MIN_POINTS} over "
            f"{MIN_SEEN:.0%}",
            "wait for more of the run",
        )
    if seen > 1.0 + 1e-9:
        return Refusal(
            "not_interior",
            f"the last step {rows.columns['step'].max():.6g} lies beyond the horizon "
            f"{float(str(options['horizon'])):.6g}: there is nothing left to forecast",
            "give step and horizon in the same unit",
        )
    lr = rows.columns.get("lr")
    if lr is None or np.all(lr >= MIN_LR_RATIO * lr.max()):
        return None
    return Refusal(
        "schedule",
        "the learning rate is not constant over these rows",
        "use lr_annealing or multi_power",
    )


def _mean_end(ends: dict[str, float], weights: dict[str, float]) -> float:
    return sum(weights[family] * ends[family] for family in FAMILIES)


def run(rows: Rows, options: Options) -> Point | Refusal:
    """Forecast the value at the horizon."""
    ends, weights, _ = forecast(*_read(rows, options))
    table = tuple({"family": f, "end": ends[f], "weight": weights[f]} for f in FAMILIES)
    hint = "a hint, not an interval: the families' average has no closed form"
    return Point({"end": _mean_end(ends, weights)}, table=table, warnings=(hint,))


def replicate(rows: Rows, settings: Settings) -> Params:
    """Add resampled blocks of residuals to the mean curve and draw a family by its weight."""
    options = LAW.read_options(settings.options)
    x, y = _read(rows, options)
    _, weights, curve = forecast(x, y)
    rng, residuals = np.random.default_rng(settings.seed), y - curve
    length = max(1, int(BLOCK_SHARE * x.size))
    n_blocks = int(np.ceil(x.size / length))
    chosen = rng.choice(len(FAMILIES), p=[weights[f] for f in FAMILIES], size=settings.replicas)
    found = np.empty(settings.replicas)
    for row, place in enumerate(chosen):
        starts = rng.integers(0, x.size - length + 1, size=n_blocks)
        noise = np.concatenate([residuals[s : s + length] for s in starts])[: x.size]
        fitted = fit_family(FAMILIES[place], x, curve + noise)
        found[row] = evaluate_family(FAMILIES[place], fitted, np.ones(1))[0]
    return {"end": found}


LAW = Law(
    slug="learning_curve",
    title="Forecast of a running curve",
    formula="c + a x^-r | c + a exp(-r x) | c + a / log(1 + r x), x = step / horizon",
    tex=r"c + a x^{-r},\; c + a e^{-r x},\; c + a / \log(1 + r x)",
    inputs=(
        LawInput("step", "x", "optimizer step"),
        LawInput("lr", "lr", "learning rate, checked to be constant", optional=True),
    ),
    target=LawInput("loss", "y", "a metric that falls"),
    params=(LawParam("end", "value at the horizon"),),
    structure=Procedure(run, "rows", replicate),
    objective=LEAST,
    source="families: Domhan et al. 2015, automl/pylearningcurvepredictor@4434802",
    procedure="Fit the first 80 %, weigh by 1/MSE on the rest, refit; the band resamples blocks of "
    "residuals and families.",
    pitfalls=("Compare only runs with the same schedule and horizon.",),
    options=(LawOption("horizon", None, "total steps of the run", least=0.0, is_above=True),),
    refuse=refuse,
)
