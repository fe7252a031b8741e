"""Does an error fall as a power or exponentially? ``d + A x^-nu`` against ``d + A exp(-x/x0)``."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from fitting.maths.separable import Polished, SeparableProblem, fit_replicas
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
from fitting.maths.uncertainty import draw_counts

MIN_POINTS, MIN_OCTAVES, FIT_SHARE = 8, 3.0, 0.7
RELATIVE = Objective("least_squares", "linear", weights="1/L^2")


def _make(log: FloatArray) -> Terms:
    return Terms(np.ones((2, log.size)), np.stack([np.zeros_like(log), log])[:, None])


def make_power(columns: Columns, options: Options) -> Terms:
    """Return the constant and the power of x.

    Parameters
    ----------
    columns : x, examples kept
    options : unused

    Returns
    -------
    two terms: the constant and what falls

    References
    ----------
    Sorscher et al. 2022, arXiv 2206.14486
    """
    return _make(np.log(columns["x"]))


def make_exponential(columns: Columns, options: Options) -> Terms:
    """Return the constant and the exponential in x.

    Parameters
    ----------
    columns : x, examples kept
    options : unused

    Returns
    -------
    two terms: the constant and what falls

    References
    ----------
    Sorscher et al. 2022, arXiv 2206.14486
    """
    return _make(columns["x"])


def _make_problem(name: str, x: FloatArray, y: FloatArray) -> tuple[SeparableProblem, float]:
    """Return the fit of one tail with relative weights, and the unit of x in it."""
    unit = float(np.median(x))
    if name == "power":
        grid, terms = np.geomspace(0.02, 4.0, 120), make_power
    else:
        grid, terms = np.geomspace(0.02, 20.0, 120), make_exponential
    form = Separable(("d", "A"), ("rate",), (grid,), terms)
    scaled = terms({"x": x / unit}, {})
    return SeparableProblem(form, scaled, y, RELATIVE, 1.0 / y**2), unit


def _predict(problem: SeparableProblem, found: Polished, new_x: FloatArray) -> FloatArray:
    """Return the tail of each replica at new x, in the problem's unit, shape (B, n)."""
    log = problem.form.terms({"x": new_x}, {}).logs[1, 0]
    params = {name: values[:, None] for name, values in problem.read_params(found.theta).items()}
    predicted: FloatArray = params["d"] + params["A"] * np.exp(-params["rate"] * log)
    return predicted


def _read(name: str, problem: SeparableProblem, found: Polished, unit: float) -> Params:
    """Return d, A and the rate in the unit of x itself."""
    params = dict(problem.read_params(found.theta))
    if name == "power":
        params["A"] = params["A"] * unit ** params["rate"]
    else:
        params["rate"] = params["rate"] / unit
    return params


def fit_tail(
    name: str, x: FloatArray, y: FloatArray, new_x: FloatArray
) -> tuple[dict[str, float], FloatArray, float]:
    """Return parameters (d, A, rate), predictions at new_x and the relative sum of squares.

    Parameters
    ----------
    name : power or exponential
    x : ndarray, shape (n,), examples kept
    y : ndarray, shape (n,), error as a fraction
    new_x : ndarray, where to predict

    Returns
    -------
    name -> value, ndarray of the shape of new_x, sum of squared relative residuals

    References
    ----------
    Sorscher et al. 2022, arXiv 2206.14486
    """
    problem, unit = _make_problem(name, x, y)
    found = fit_replicas(problem, np.ones((1, x.size)), 1e-12, 1000)
    params = {key: float(v[0]) for key, v in _read(name, problem, found, unit).items()}
    predicted = _predict(problem, found, new_x / unit)[0]
    return params, predicted, 2.0 * float(found.objective[0])


@dataclass(frozen=True)
class _Tail:
    """One tail in every replica: d, A and rate (B,), held-out error (B,), AICc (B,)."""

    params: Params
    error: FloatArray
    score: FloatArray


def _compare(rows: Rows, counts: FloatArray, tolerance: float) -> dict[str, _Tail]:
    """Fit both tails to the lower part of each replica, score the rest; AICc on all."""
    order = np.argsort(rows.columns["x"], kind="stable")
    x, y, counts = rows.columns["x"][order], rows.target[order], counts[:, order]
    total = counts.sum(axis=1, keepdims=True)
    n_fit = np.ceil(FIT_SHARE * total)
    reached = np.cumsum(counts, axis=1)
    early = np.minimum(reached, n_fit) - np.minimum(reached - counts, n_fit)
    late = counts - early
    found = {}
    for name in ("power", "exponential"):
        problem, unit = _make_problem(name, x, y)
        first = fit_replicas(problem, early, tolerance, 1000)
        miss = _predict(problem, first, x / unit) / y - 1.0
        error = np.sqrt(np.sum(late * miss**2, axis=1) / late.sum(axis=1))
        whole = fit_replicas(problem, counts, tolerance, 1000)
        squares = 2.0 * whole.objective
        found[name] = _Tail(
            _read(name, problem, whole, unit), error, correct_aic(total[:, 0], 3, squares)
        )
    return found


def _read_values(found: dict[str, _Tail]) -> dict[str, FloatArray]:
    power, exponential = found["power"], found["exponential"]
    return {
        "nu": power.params["rate"],
        "x0": 1.0 / exponential.params["rate"],
        "error_ratio": power.error / exponential.error,
        "aicc_gain": power.score - exponential.score,
    }


def correct_aic(n: FloatArray, n_params: int, squares: FloatArray) -> FloatArray:
    """Return AICc of least-squares fits; the noise counts as a parameter.

    Parameters
    ----------
    n : ndarray, rows of each fit
    n_params : of the form
    squares : ndarray, sum of squared residuals of each fit

    Returns
    -------
    ndarray, AICc up to a constant

    References
    ----------
    Hurvich and Tsai 1989, Biometrika 76(2), 297-307
    """
    k = n_params + 1
    score: FloatArray = n * np.log(squares / n) + 2 * k + 2 * k * (k + 1) / (n - k - 1)
    return score


def refuse(rows: Rows, options: Options) -> Refusal | None:
    """Refuse few points, little span and a single initial pool."""
    octaves = float(np.log2(rows.columns["x"].max() / rows.columns["x"].min()))
    if rows.n < MIN_POINTS or octaves < MIN_OCTAVES:
        return Refusal(
            "too_few_points",
            f"{rows.n} points over {octaves:.1f} octaves; telling the tails apart needs "
            f"{MIN_POINTS} over {MIN_OCTAVES:g}",
            "more kept examples",
        )
    pools = rows.columns.get("initial_pool")
    if pools is None or np.unique(pools).size > 1:
        return None
    return Refusal(
        "too_few_groups",
        "all points come from one initial pool: a curve at a fixed pool is evidence for neither",
        "prune pools of several sizes",
    )


def run(rows: Rows, options: Options) -> Point | Refusal:
    """Fit both tails on the lower part, score the rest; AICc on all."""
    found = _compare(rows, np.ones((1, rows.n)), 1e-12)
    errors = {name: float(tail.error[0]) for name, tail in found.items()}
    scores = {name: float(tail.score[0]) for name, tail in found.items()}
    verdict = judge(errors, scores, float(str(options["ratio"])))
    table = tuple(
        {
            "tail": name,
            "held_out_error": errors[name],
            "aicc": scores[name],
            **{key: float(value[0]) for key, value in tail.params.items()},
        }
        for name, tail in found.items()
    )
    values = {name: float(value[0]) for name, value in _read_values(found).items()}
    return Point(values, table=table, warnings=(f"verdict: {verdict}",))


def replicate(rows: Rows, settings: Settings) -> Params:
    """Resample rows; the lower part of each replica is the lower part of its own rows."""
    counts = draw_counts(rows, settings.replicas, settings.seed)
    return _read_values(_compare(rows, counts, 1e-7))


def judge(errors: dict[str, float], scores: dict[str, float], ratio: float) -> str:
    """Return "power", "exponential" or "undecided": both criteria must agree.

    Parameters
    ----------
    errors : tail -> held-out error
    scores : tail -> AICc
    ratio : least ratio of the errors for a verdict

    Returns
    -------
    the verdict

    References
    ----------
    Sorscher et al. 2022, arXiv 2206.14486
    """
    better = min(errors, key=lambda name: errors[name])
    other = "power" if better == "exponential" else "exponential"
    clear = errors[other] >= ratio * errors[better] and scores[better] < scores[other]
    return better if clear else "undecided"


LAW = Law(
    slug="power_or_exponential",
    title="Power or exponential tail",
    formula="err = d + A x^-nu against err = d + A exp(-x/x0)",
    tex=r"d + A x^{-\nu} \;\text{or}\; d + A e^{-x/x_0}",
    inputs=(
        LawInput("x", "x", "examples kept"),
        LawInput("initial_pool", "", "examples before pruning", optional=True),
    ),
    target=LawInput("error", "err", "fraction"),
    params=(
        LawParam("nu", "exponent of the power"),
        LawParam("x0", "scale of the exponential"),
        LawParam("error_ratio", "held-out error of the power over that of the exponential"),
        LawParam("aicc_gain", "AICc of the power minus that of the exponential"),
    ),
    structure=Procedure(run, "rows", replicate),
    objective=RELATIVE,
    source="Sorscher et al. 2022, arXiv 2206.14486 (claim; no fitted tail is published)",
    procedure="Both forms on the lower 70 % of x, scored on the rest, and AICc on all; a verdict "
    "only where both agree and the held-out errors differ by the option ratio.",
    pitfalls=("A pruning metric at an angle to the truth returns to a power law at larger x.",),
    options=(LawOption("ratio", 2.0, "least ratio of held-out errors for a verdict", least=1.0),),
    refuse=refuse,
)
