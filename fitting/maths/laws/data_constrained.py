"""Repeated data: Chinchilla's form with effective data and effective parameters."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from fitting.maths.batched import CurveProblem, fit_curves
from fitting.maths.laws.chinchilla_parametric import LAW as CHINCHILLA
from fitting.maths.screening import refuse_together
from fitting.maths.separable import SeparableProblem, fit_replicas
from fitting.maths.types import (
    Columns,
    CurveForm,
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
    Published,
    Refusal,
    Rows,
    Separable,
    Settings,
)
from fitting.maths.uncertainty import draw_counts

BASE = ("E", "A", "B", "alpha", "beta")
NAMES = (*BASE, "R_D", "R_N")
SAME_EPOCH = 1.0 + 1e-6
MAX_TREND_T = 3.0


def saturate(unique: FloatArray, repeats: FloatArray, scale: FloatArray) -> FloatArray:
    """Return ``U + U R* (1 - exp(-R / R*))``.

    Parameters
    ----------
    unique : ndarray, U, unique tokens or parameters
    repeats : ndarray, R, how often each is repeated beyond the first
    scale : ndarray, R*, repetitions to 1 - 1/e of all they can give

    Returns
    -------
    ndarray of the broadcast shape, the worth in unique ones

    References
    ----------
    Muennighoff et al. 2023, arXiv 2305.16264, section 3.1 and appendix A
    """
    effective: FloatArray = unique + unique * scale * -np.expm1(-repeats / scale)
    return effective


def find_matched_size(params: Params, unique: FloatArray) -> FloatArray:
    """Return N*(U_D), the size for which U_D tokens are compute-optimal.

    Parameters
    ----------
    params : A, B, alpha, beta
    unique : ndarray, unique tokens

    Returns
    -------
    ndarray, parameters

    References
    ----------
    Muennighoff et al. 2023, arXiv 2305.16264, section 3.1 and appendix A
    """
    alpha, beta = params["alpha"], params["beta"]
    log_g = np.log(alpha * params["A"] / (beta * params["B"])) / (alpha + beta)
    matched: FloatArray = np.exp(log_g + (np.log(unique) + log_g) * beta / alpha)
    return matched


def predict(params: Params, columns: Columns, options: Options) -> FloatArray:
    """Return the loss for n_params, n_tokens seen and unique tokens."""
    n, d = columns["n_params"], columns["n_tokens"]
    unique = np.minimum(columns["unique_tokens"], d)
    data = saturate(unique, d / unique - 1.0, params["R_D"])
    base = np.minimum(n, find_matched_size(params, unique))
    size = saturate(base, n / base - 1.0, params["R_N"])
    loss: FloatArray = (
        params["E"] + params["A"] * size ** -params["alpha"] + params["B"] * data ** -params["beta"]
    )
    return loss


STAGE_TWO = CurveForm(
    predict,
    lambda rows, options: np.empty((0, len(NAMES))),
    tuple([-np.inf] * 5 + [np.log(1e-3)] * 2),
    tuple([np.inf] * 5 + [np.log(1e5)] * 2),
    (True, True, True, False, False, True, True),
    frozen=BASE,
)
JOINT = replace(STAGE_TWO, frozen=())


def _fit_base(rows: Rows, counts: FloatArray, options: Options) -> FloatArray | Refusal:
    """Return the five single-epoch parameters of each replica, shape (B, 5)."""
    given = [options[name] for name in BASE]
    if all(value is not None for value in given):
        return np.tile([[float(str(value)) for value in given]], (counts.shape[0], 1))
    single = rows.columns["n_tokens"] <= rows.columns["unique_tokens"] * SAME_EPOCH
    if int(single.sum()) < len(BASE) + 2:
        return Refusal(
            "too_few_points",
            f"{int(single.sum())} rows see their data once; E, A, B, alpha and beta need "
            f"{len(BASE) + 2}",
            "add single-epoch runs, or give all five as options",
        )
    form = CHINCHILLA.structure
    assert isinstance(form, Separable)
    once = rows.take(single)
    together = refuse_together(CHINCHILLA, once)
    if together is not None:
        return replace(together, sentence=f"among the single-epoch runs, {together.sentence}")
    problem = SeparableProblem(
        form, form.terms(once.columns, {}), once.target, CHINCHILLA.objective, np.ones(once.n)
    )
    found = fit_replicas(problem, counts[:, single], 1e-12)
    params = problem.read_params(found.theta)
    return np.stack([params[name] for name in BASE], axis=1)


def _fit_repeats(
    rows: Rows, counts: FloatArray, base: FloatArray, options: Options
) -> tuple[Params, FloatArray]:
    """Fit R_D and R_N with the base held, from two starts; then all that is not given at once.

    The last step is needed because a single-epoch run larger than N*(U_D) already has excess
    parameters, which the first stage does not know.
    """
    objective = Objective("huber", "log", delta=1e-3)
    problem = CurveProblem(
        STAGE_TWO, NAMES, rows.columns, {}, rows.target, objective, np.ones(rows.n)
    )
    fixed = np.concatenate([np.log(base[:, :3]), base[:, 3:]], axis=1)
    tries = []
    for start in (5.0, 40.0):
        theta = np.concatenate([fixed, np.full((base.shape[0], 2), np.log(start))], axis=1)
        tries.append(fit_curves(problem, counts, theta))
    better = tries[0].objective <= tries[1].objective
    theta = np.where(better[:, None], tries[0].theta, tries[1].theta)
    reached = np.minimum(tries[0].objective, tries[1].objective)
    if any(options[name] is None for name in BASE):
        joint = fit_curves(replace(problem, form=JOINT), counts, theta, max_iterations=500)
        theta, reached = joint.theta, joint.objective
    params = problem.read_params(theta)
    edge = (theta[:, 5:] <= STAGE_TWO.lower[5]) | (theta[:, 5:] >= STAGE_TWO.upper[5])
    params["R_D"] = np.where(edge[:, 0], np.nan, params["R_D"])
    params["R_N"] = np.where(edge[:, 1], np.nan, params["R_N"])
    return params, reached


def refuse(rows: Rows, options: Options) -> Refusal | None:
    """Refuse rows that all repeat their data equally often."""
    epochs = np.maximum(rows.columns["n_tokens"] / rows.columns["unique_tokens"], 1.0)
    if np.ptp(np.log(epochs)) > np.log(1.5):
        return None
    return Refusal(
        "span",
        f"all {rows.n} runs see their data about {epochs[0]:.3g} times; R_D* needs at least 2 "
        "numbers of epochs",
        "repeat the data of some runs",
    )


def run(rows: Rows, options: Options) -> Point | Refusal:
    """Fit the single-epoch law, then the two repetition constants on all rows."""
    ones = np.ones((1, rows.n))
    base = _fit_base(rows, ones, options)
    if isinstance(base, Refusal):
        return base
    found, reached = _fit_repeats(rows, ones, base, options)
    params = {name: float(found[name][0]) for name in NAMES}
    warnings = []
    matched = find_matched_size(
        {name: np.array([params[name]]) for name in BASE}, rows.columns["unique_tokens"]
    )
    if not np.any(rows.columns["n_params"] > 1.05 * matched):
        params["R_N"] = np.nan
        warnings.append("R_N* is not determined: no run is larger than N*(U_D)")
    warnings += _warn_trend(rows, {name: np.array([[params[name]]]) for name in NAMES}, options)
    return Point(params, float(reached[0]), warnings=tuple(warnings))


def _warn_trend(rows: Rows, params: Params, options: Options) -> list[str]:
    """Say when the residuals grow with the epochs: losses that rise break the form."""
    filled = {**params, "R_N": np.nan_to_num(params["R_N"], nan=1e5)}
    residual = np.log(rows.target) - np.log(predict(filled, rows.columns, options)[0])
    epochs = np.log(np.maximum(rows.columns["n_tokens"] / rows.columns["unique_tokens"], 1.0))
    x = epochs - epochs.mean()
    slope = np.sum(x * residual) / np.sum(x**2)
    noise = np.sqrt(np.sum((residual - slope * x) ** 2) / max(rows.n - 2, 1) / np.sum(x**2))
    if slope > MAX_TREND_T * max(noise, 1e-9):
        return [
            "the residuals grow with the epochs: excess epochs raise the loss, which this "
            "form cannot do"
        ]
    return []


def replicate(rows: Rows, settings: Settings) -> Params:
    """Resample runs and repeat both stages."""
    options = LAW.read_options(settings.options)
    counts = draw_counts(rows, settings.replicas, settings.seed)
    base = _fit_base(rows, counts, options)
    if isinstance(base, Refusal):
        return {}
    return _fit_repeats(rows, counts, base, options)[0]


def _value_of_epochs(epochs: float) -> DerivedQuantity:
    def compute(params: Params, options: Options) -> FloatArray:
        one = np.ones_like(params["R_D"])
        return saturate(one, (epochs - 1.0) * one, params["R_D"]) / epochs

    text = f"effective over seen tokens at {epochs:g} epochs, D'/D"
    return DerivedQuantity(f"value_at_{epochs:g}", text, "", compute)


def design() -> dict[str, np.ndarray]:
    """Return 7 sizes x 4 unique budgets x epochs 1 to 64."""
    n, unique, epochs = np.meshgrid(
        np.geomspace(2e7, 5e9, 7), np.geomspace(1e8, 1e10, 4), 2.0 ** np.arange(7)
    )
    tokens = {"n_tokens": (unique * epochs).ravel(), "unique_tokens": unique.ravel()}
    return {"n_params": n.ravel(), **tokens}


LAW = Law(
    slug="data_constrained",
    title="Repeated data",
    formula="L = E + A N'^-alpha + B D'^-beta, D' = U_D + U_D R_D* (1 - exp(-R_D/R_D*))",
    tex=r"L = E + A N'^{-\alpha} + B D'^{-\beta},\quad "
    r"D' = U_D + U_D R_D^* (1 - e^{-R_D/R_D^*})",
    inputs=(
        LawInput("n_params", "N", "parameters", octaves=1.0),
        LawInput("n_tokens", "D", "tokens seen", octaves=1.0),
        LawInput("unique_tokens", "U_D", "unique tokens"),
    ),
    target=LawInput("loss", "L", "nats per token"),
    params=(
        LawParam("E", "irreducible loss", "nats"),
        LawParam("A", "amplitude of the size term"),
        LawParam("B", "amplitude of the data term"),
        LawParam("alpha", "exponent of size"),
        LawParam("beta", "exponent of data"),
        LawParam("R_D", "repetitions to 1 - 1/e of the value of repeated data"),
        LawParam("R_N", "the same for parameters beyond N*(U_D)"),
    ),
    structure=Procedure(run, "rows", replicate, predict),
    objective=Objective("huber", "log", delta=1e-3),
    source="Muennighoff et al. 2023, arXiv 2305.16264, App. A; huggingface/datablations",
    procedure="E, A, B, alpha, beta on single-epoch rows (or given), then R_D* and R_N* on all "
    "rows, then all together: a single-epoch run above N*(U_D) already has excess parameters.",
    pitfalls=("A loss that rises with the epochs breaks the form; the residuals then grow.",),
    options=tuple(
        LawOption(name, None, f"fix {name} instead of fitting it", least=0.0, is_above=True)
        for name in BASE
    ),
    derived=(_value_of_epochs(4.0), _value_of_epochs(16.0)),
    published=(
        Published(
            "Muennighoff et al. 2023",
            {
                "E": float(np.exp(0.6254804)),
                "A": float(np.exp(6.255414)),
                "B": float(np.exp(7.3049974)),
                "alpha": 0.3526596,
                "beta": 0.3526596,
                "R_D": 15.387756,
                "R_N": 5.309743,
            },
            "huggingface/datablations utils/parametric_fit.ipynb",
        ),
    ),
    refuse=refuse,
    truth={
        "E": float(np.exp(0.6254804)),
        "A": float(np.exp(6.255414)),
        "B": float(np.exp(7.3049974)),
        "alpha": 0.3526596,
        "beta": 0.3526596,
        "R_D": 15.387756,
        "R_N": 5.309743,
    },
    apart=(("n_params", "n_tokens"),),
    design=design,
)
