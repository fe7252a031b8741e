"""Does an error fall as a power or exponentially? ``d + A x^-nu`` against ``d + A exp(-x/x0)``."""

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
    Point,
    Procedure,
    Refusal,
    Rows,
    Separable,
    Terms,
)

MIN_POINTS, MIN_OCTAVES, FIT_SHARE = 8, 3.0, 0.7
RELATIVE = Objective("least_squares", "linear", weights="1/L^2")


def _make(log: FloatArray) -> Terms:
    return Terms(np.ones((2, log.size)), np.stack([np.zeros_like(log), log])[:, None])


def make_power(columns: Columns, options: Options) -> Terms:
    """Return the constant and the power of x."""
    return _make(np.log(columns["x"]))


def make_exponential(columns: Columns, options: Options) -> Terms:
    """Return the constant and the exponential in x."""
    return _make(columns["x"])


def fit_tail(
    name: str, x: FloatArray, y: FloatArray, new_x: FloatArray
) -> tuple[dict[str, float], FloatArray, float]:
    """Return parameters (d, A, rate), predictions at new_x and the relative sum of squares."""
    if name == "power":
        grid, terms = np.geomspace(0.02, 4.0, 120), make_power
    else:
        grid, terms = np.geomspace(0.02, 20.0, 120) / float(np.median(x)), make_exponential
    form = Separable(("d", "A"), ("rate",), (grid,), terms)
    problem = SeparableProblem(form, terms({"x": x}, {}), y, RELATIVE, 1.0 / y**2)
    found = fit_replicas(problem, np.ones((1, x.size)), 1e-12, 1000)
    params = {key: float(value[0]) for key, value in problem.read_params(found.theta).items()}
    log = terms({"x": new_x}, {}).logs[1, 0]
    predicted = params["d"] + params["A"] * np.exp(-params["rate"] * log)
    return params, predicted, 2.0 * float(found.objective[0])


def correct_aic(n: int, n_params: int, squares: float) -> float:
    """Return AICc of a least-squares fit; the noise counts as a parameter."""
    k = n_params + 1
    return float(n * np.log(squares / n) + 2 * k + 2 * k * (k + 1) / (n - k - 1))


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
    order = np.argsort(rows.columns["x"])
    x, y = rows.columns["x"][order], rows.target[order]
    n_fit = int(np.ceil(FIT_SHARE * x.size))
    errors, scores, params = {}, {}, {}
    for name in ("power", "exponential"):
        _, predicted, _ = fit_tail(name, x[:n_fit], y[:n_fit], x[n_fit:])
        errors[name] = float(np.sqrt(np.mean((predicted / y[n_fit:] - 1.0) ** 2)))
        params[name], _, squares = fit_tail(name, x, y, x)
        scores[name] = correct_aic(x.size, 3, squares)
    verdict = judge(errors, scores, float(str(options["ratio"])))
    table = tuple(
        {"tail": name, "held_out_error": errors[name], "aicc": scores[name], **params[name]}
        for name in errors
    )
    values = {
        "nu": params["power"]["rate"],
        "x0": 1.0 / params["exponential"]["rate"],
        "error_ratio": errors["power"] / errors["exponential"],
        "aicc_gain": scores["power"] - scores["exponential"],
    }
    return Point(values, table=table, warnings=(f"verdict: {verdict}",))


def judge(errors: dict[str, float], scores: dict[str, float], ratio: float) -> str:
    """Return "power", "exponential" or "undecided": both criteria must agree."""
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
    structure=Procedure(run, "rows"),
    objective=RELATIVE,
    source="Sorscher et al. 2022, arXiv 2206.14486 (claim; no fitted tail is published)",
    procedure="Both forms on the lower 70 % of x, scored on the rest, and AICc on all; a verdict "
    "only where both agree and the held-out errors differ by the option ratio.",
    pitfalls=("A pruning metric at an angle to the truth returns to a power law at larger x.",),
    options=(LawOption("ratio", 2.0, "least ratio of held-out errors for a verdict"),),
    refuse=refuse,
)
