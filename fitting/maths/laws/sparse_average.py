"""Pruning during pre-training: Chinchilla's law in the average number of non-zero parameters."""

from __future__ import annotations

import numpy as np

from fitting.maths.allocation import predict_loss
from fitting.maths.laws.chinchilla_parametric import LAW as CHINCHILLA
from fitting.maths.separable import SeparableProblem, fit_replicas
from fitting.maths.types import (
    BoolArray,
    Columns,
    FloatArray,
    Law,
    LawInput,
    LawParam,
    Options,
    Params,
    Point,
    Procedure,
    Refusal,
    Rows,
    Separable,
    Settings,
)
from fitting.maths.uncertainty import draw_counts

ROLES = ("n_average", "n_final", "n_initial")
MIN_RATIO, HELD_SHARE = 1.3, 0.25


def average_size(sizes: FloatArray, tokens: FloatArray) -> float:
    """Return the mean non-zero parameters over training, weighted by the tokens of each step.

    Parameters
    ----------
    sizes : ndarray, shape (n_steps,), non-zero parameters at each step
    tokens : ndarray, shape (n_steps,), tokens of each step

    Returns
    -------
    parameters

    References
    ----------
    Jin et al. 2025, arXiv 2501.12486
    """
    return float(np.sum(sizes * tokens) / np.sum(tokens))


def make_problem(rows: Rows, role: str) -> SeparableProblem:
    """Return Chinchilla's problem in one definition of size.

    Parameters
    ----------
    rows : n_average, n_final, n_initial, n_tokens; loss
    role : which of the three sizes is N

    Returns
    -------
    the numerical problem

    References
    ----------
    Jin et al. 2025, arXiv 2501.12486
    """
    form = CHINCHILLA.structure
    assert isinstance(form, Separable)
    columns = {"n_params": rows.columns[role], "n_tokens": rows.columns["n_tokens"]}
    ones = np.ones(rows.n)
    terms = form.terms(columns, {})
    return SeparableProblem(form, terms, rows.target, CHINCHILLA.objective, ones)


def fit_size(rows: Rows, role: str, kept: BoolArray) -> tuple[dict[str, float], float]:
    """Fit the law in one definition of size to some of the rows.

    Parameters
    ----------
    rows : as for `make_problem`
    role : which size is N
    kept : ndarray of bool, shape (n,)

    Returns
    -------
    name -> value, and the objective

    References
    ----------
    Jin et al. 2025, arXiv 2501.12486
    """
    problem = make_problem(rows.take(kept), role)
    found = fit_replicas(problem, np.ones((1, problem.target.size)), 1e-12, 1000)
    params = {name: float(v[0]) for name, v in problem.read_params(found.theta).items()}
    return params, float(found.objective[0])


def score_size(rows: Rows, role: str, held: BoolArray) -> float:
    """Return the largest relative error on held-out runs, fitted without them.

    Parameters
    ----------
    rows : as for `make_problem`
    role : which size is N
    held : ndarray of bool, shape (n,), runs to predict

    Returns
    -------
    largest absolute relative error

    References
    ----------
    Jin et al. 2025, arXiv 2501.12486
    """
    params, _ = fit_size(rows, role, ~held)
    wide = {name: np.array(value) for name, value in params.items()}
    predicted = predict_loss(wide, rows.columns[role][held], rows.columns["n_tokens"][held])
    return float(np.max(np.abs(predicted / rows.target[held] - 1.0)))


def find_sparse(rows: Rows) -> BoolArray:
    """Return which runs end with fewer non-zero parameters than they started with.

    Parameters
    ----------
    rows : n_final and n_initial

    Returns
    -------
    ndarray of bool, shape (n,)
    """
    sparse: BoolArray = rows.columns["n_final"] < rows.columns["n_initial"] * (1 - 1e-9)
    return sparse


def refuse(rows: Rows, options: Options) -> Refusal | None:
    """Refuse runs that leave nothing to compare: none sparse, or all of one schedule."""
    if not find_sparse(rows).any():
        return Refusal(
            "no_holdout",
            f"none of {rows.n} runs ends with fewer non-zero parameters than it started with; the "
            "test holds out sparse runs",
            "add sparse runs; n_final and n_initial must be in the same unit",
        )
    ratio = rows.columns["n_average"] / rows.columns["n_initial"]
    spread = float(ratio.max() / ratio.min())
    if spread >= MIN_RATIO:
        return None
    return Refusal(
        "span",
        f"average over initial size spans a factor {spread:.3g}; the test needs {MIN_RATIO}",
        "train dense runs and other pruning schedules",
    )


def run(rows: Rows, options: Options) -> Point | Refusal:
    """Fit the law in average, final and initial size and compare on held-out sparse runs."""
    everything = np.ones(rows.n, dtype=np.bool_)
    sparse = find_sparse(rows)
    cost = rows.columns["n_average"] * rows.columns["n_tokens"]
    places = np.flatnonzero(sparse)[np.argsort(cost[sparse])]
    held = np.zeros(rows.n, dtype=np.bool_)
    held[places[places.size - max(1, int(HELD_SHARE * places.size)) :]] = True
    table = []
    for role in ROLES:
        params, objective = fit_size(rows, role, everything)
        error = score_size(rows, role, held)
        table.append({"size": role, "objective": objective, "held_out_error": error, **params})
    params, objective = fit_size(rows, "n_average", everything)
    errors = [float(str(row["held_out_error"])) for row in table]
    supported = errors[0] < min(errors[1:])
    word = "supported" if supported else "not supported"
    sentence = f"the average size is {word}: it {'wins' if supported else 'does not win'} on "
    warning = sentence + f"{int(held.sum())} held-out sparse runs"
    return Point(params, objective, tuple(table), warnings=(warning,))


def replicate(rows: Rows, settings: Settings) -> Params:
    """Resample runs and refit the law in the average size."""
    problem = make_problem(rows, "n_average")
    counts = draw_counts(rows, settings.replicas, settings.seed)
    return problem.read_params(fit_replicas(problem, counts, 1e-7).theta)


def predict(params: Params, columns: Columns, options: Options) -> FloatArray:
    """Return the law in the average size."""
    return predict_loss(params, columns["n_average"], columns["n_tokens"])


def design() -> dict[str, np.ndarray]:
    """Return six dense and twelve sparse runs of two schedules."""
    n = np.tile(np.geomspace(1e8, 3e9, 6), 3)
    final = np.repeat([1.0, 0.4, 0.15], 6) * np.tile([1.0, 0.6, 1.0, 0.5, 1.0, 0.7], 3)
    final[:6] = 1.0
    share = np.concatenate([np.zeros(6), np.tile([0.35, 0.6], 6)])
    tokens = np.geomspace(4e9, 9e10, 18)[np.random.default_rng(3).permutation(18)]
    average = n * (1 - (1 - final) * (1 - share))
    return {"n_average": average, "n_final": n * final, "n_initial": n, "n_tokens": tokens}


LAW = Law(
    slug="sparse_average",
    title="Sparse pre-training, average size",
    formula="L = E + A Nbar^-alpha + B D^-beta, Nbar = mean non-zero parameters over training",
    tex=r"L = E + A \bar N^{-\alpha} + B D^{-\beta}",
    inputs=(
        LawInput("n_average", "Nbar", "mean non-zero parameters", octaves=1.0),
        LawInput("n_final", "N_f", "non-zero parameters at the end"),
        LawInput("n_initial", "N_0", "parameters at the start"),
        LawInput("n_tokens", "D", "tokens", octaves=1.0),
    ),
    target=CHINCHILLA.target,
    params=tuple(
        LawParam(p.name, p.text, p.unit, bound_has_meaning=True) for p in CHINCHILLA.params
    ),
    structure=Procedure(run, "rows", replicate, predict),
    objective=CHINCHILLA.objective,
    source="Jin et al. 2025, arXiv 2501.12486 (abstract; weighting of the average unverified)",
    procedure="Chinchilla's approach 3 on average, final and initial size side by side; the law is "
    "supported only if the average wins on held-out sparse runs.",
    pitfalls=("With one schedule for all runs the test is empty and refused.",),
    refuse=refuse,
    truth=CHINCHILLA.truth,
    apart=(("n_average", "n_tokens"),),
    design=design,
)
