"""Optimal learning rate and batch from runs near the best: ``lr* = c N^p D^q, B* = c' D^r``."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from fitting.maths.regression import regress
from fitting.maths.types import (
    BoolArray,
    DerivedQuantity,
    FloatArray,
    IntArray,
    Law,
    LawInput,
    LawOption,
    LawParam,
    Objective,
    Optimum,
    Options,
    Params,
    Point,
    Procedure,
    Published,
    Refusal,
    Rows,
    Settings,
)
from fitting.maths.uncertainty import draw_counts

MIN_CELLS = 3
INPUTS = (
    LawInput("n_params", "N", "parameters", octaves=1.0),
    LawInput("n_tokens", "D", "tokens", octaves=1.0),
    LawInput("peak_lr", "lr", "peak learning rate"),
    LawInput("batch_tokens", "B", "tokens per step"),
)
PARAMS = (
    LawParam("lr_const", "natural log of the factor of lr*"),
    LawParam("lr_N", "exponent of N in lr*"),
    LawParam("lr_D", "exponent of D in lr*"),
    LawParam("bs_const", "natural log of the factor of B*"),
    LawParam("bs_D", "exponent of D in B*"),
)
SOURCE = "Li et al. 2025 (Step Law), arXiv 2503.04715; step-law/steplaw@32a8f4c code/fit_tool.py"
PUBLISHED = (
    Published(
        "Step Law",
        {
            "lr_const": 0.5863,
            "lr_N": -0.71292,
            "lr_D": 0.30749,
            "bs_const": -0.5435,
            "bs_D": 0.57094,
        },
        f"{SOURCE}: mean of the 1,000 released bootstrap rows",
    ),
)


def _factor_lr(params: Params, options: Options) -> FloatArray:
    return np.exp(params["lr_const"])


def _factor_bs(params: Params, options: Options) -> FloatArray:
    return np.exp(params["bs_const"])


def _predict_lr(params: Mapping[str, float], row: Mapping[str, object]) -> float:
    roles = {"lr_N": "n_params", "lr_D": "n_tokens", "lr_B": "batch_tokens"}
    slopes = [(params[name], role) for name, role in roles.items() if name in params]
    steps = [slope * np.log(float(str(row[role]))) for slope, role in slopes]
    return float(np.exp(params["lr_const"] + sum(steps)))


OPTIMUM = Optimum(
    "peak_lr",
    "peak_lr",
    size=lambda rows: rows.columns["n_params"] * rows.columns["n_tokens"],
    size_of=lambda row: float(str(row["n_params"])) * float(str(row["n_tokens"])),
    predict=_predict_lr,
)

DERIVED = (
    DerivedQuantity("lr_factor", "c of lr* = c N^p D^q", "", _factor_lr),
    DerivedQuantity("bs_factor", "c' of B* = c' D^r", "tokens", _factor_bs),
)


def split_cells(rows: Rows) -> list[IntArray]:
    """Return the places of the runs of each (N, D).

    Parameters
    ----------
    rows : n_params and n_tokens

    Returns
    -------
    one ndarray of int per cell
    """
    keys = np.stack([rows.columns["n_params"], rows.columns["n_tokens"]], axis=1)
    _, cell = np.unique(keys, axis=0, return_inverse=True)
    cell = cell.reshape(-1)
    return [np.flatnonzero(cell == number) for number in range(cell.max() + 1)]


def refuse(rows: Rows, options: Options) -> Refusal | None:
    """Refuse fewer than three cells."""
    n_cells = len(split_cells(rows))
    if n_cells >= MIN_CELLS:
        return None
    return Refusal(
        "too_few_groups",
        f"the step law needs >= {MIN_CELLS} cells of equal (N, D), each with a sweep of lr and "
        f"batch; have {n_cells}",
        "sweep more sizes and token counts",
    )


def select_near_best(rows: Rows, threshold: float) -> BoolArray:
    """Return the runs within the relative threshold of their cell's least loss.

    Parameters
    ----------
    rows : n_params, n_tokens; loss
    threshold : relative

    Returns
    -------
    ndarray of bool, shape (n,)

    References
    ----------
    Li et al. 2025, arXiv 2503.04715; step-law/steplaw@32a8f4c
    """
    near = np.zeros(rows.n, dtype=np.bool_)
    for places in split_cells(rows):
        losses = rows.target[places]
        near[places] = losses / losses.min() - 1.0 < threshold
    return near


def fit_both(rows: Rows, counts: FloatArray, with_batch: bool) -> dict[str, FloatArray]:
    """Regress log lr on (1, log N, log D) and log B on (1, log D).

    Parameters
    ----------
    rows : n_params, n_tokens, peak_lr, batch_tokens
    counts : ndarray, shape (B, n), how often each row counts in each replica
    with_batch : log B is a further input of log lr

    Returns
    -------
    name -> ndarray, shape (B,)

    References
    ----------
    Li et al. 2025, arXiv 2503.04715; step-law/steplaw@32a8f4c
    """
    log = {role: np.log(values) for role, values in rows.columns.items()}
    one = np.ones(rows.n)
    regressors = [one, log["n_params"], log["n_tokens"]]
    if with_batch:
        regressors.append(log["batch_tokens"])
    lr = regress(np.stack(regressors, axis=1), log["peak_lr"], counts)
    batch = regress(np.stack([one, log["n_tokens"]], axis=1), log["batch_tokens"], counts)
    found = {
        "lr_const": lr[:, 0],
        "lr_N": lr[:, 1],
        "lr_D": lr[:, 2],
        "bs_const": batch[:, 0],
        "bs_D": batch[:, 1],
    }
    return {**found, "lr_B": lr[:, 3]} if with_batch else found


def _read(options: Mapping[str, object]) -> tuple[float, bool]:
    return float(str(options["threshold"])), bool(options["with_batch"])


def run(rows: Rows, options: Options) -> Point | Refusal:
    """Keep the runs near each cell's best and regress."""
    threshold, with_batch = _read(options)
    near = rows.take(select_near_best(rows, threshold))
    found = fit_both(near, np.ones((1, near.n)), with_batch)
    params = {name: float(values[0]) for name, values in found.items()}
    if not np.all(np.isfinite(list(params.values()))):
        return Refusal(
            "rank",
            f"the {near.n} runs within {threshold:.2%} of their cell's best do not vary N, D"
            f"{' and B' if with_batch else ''} independently",
            "sweep sizes at equal tokens, or raise the threshold",
        )
    warnings = (
        f"{near.n} runs within {threshold:.3%} of their cell's best; the threshold is part "
        "of the answer",
    )
    return Point(params, table=_list_cells(near), warnings=warnings)


def _list_cells(near: Rows) -> tuple[Mapping[str, object], ...]:
    """Return each cell's geometric mean of lr and batch over the runs near its best."""
    cells = []
    for places in split_cells(near):
        columns = near.take(places).columns
        centre = {role: float(np.exp(np.log(values).mean())) for role, values in columns.items()}
        exact = {role: float(columns[role][0]) for role in ("n_params", "n_tokens")}
        cells.append({**centre, **exact, "n_runs": int(places.size), "used": True})
    return tuple(cells)


def replicate(rows: Rows, settings: Settings) -> Params:
    """Resample the runs that the rule kept."""
    threshold, with_batch = _read(LAW.read_options(settings.options))
    near = rows.take(select_near_best(rows, threshold))
    counts = draw_counts(near, settings.replicas, settings.seed)
    return fit_both(near, counts, with_batch)


LAW = Law(
    slug="step_law_threshold",
    title="Step law, threshold rule",
    formula="lr* = exp(lr_const) N^lr_N D^lr_D, B* = exp(bs_const) D^bs_D",
    tex=r"\eta^* = c N^{p} D^{q}, \quad B^* = c' D^{r}",
    inputs=INPUTS,
    target=LawInput("loss", "L", "smoothed final loss, nats per token"),
    params=PARAMS,
    structure=Procedure(run, "rows", replicate, optimum=OPTIMUM),
    objective=Objective("least_squares", "log"),
    source=SOURCE,
    group="cell",
    procedure="Per cell of equal (N, D) keep runs with L/L_min - 1 below the threshold; least "
    "squares of log lr on (1, log N, log D) and of log B on (1, log D).",
    pitfalls=(
        "The threshold is part of the answer.",
        "With B in the regression of lr* most of the D effect moves to B.",
        "The released table does not reproduce the published lr-D exponent (.197 against .307).",
    ),
    options=(
        LawOption(
            "threshold",
            0.0025,
            "relative distance to the cell's least loss",
            least=0.0,
            is_above=True,
        ),
        LawOption("with_batch", False, "add log B to the regression of lr*"),
    ),
    derived=DERIVED,
    published=PUBLISHED,
    refuse=refuse,
)
