"""Withhold the largest runs, fit the rest and score the prediction (LAWS section 3)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from fitting.maths.fitters import Estimated, make_fitter
from fitting.maths.identify import identify
from fitting.maths.screening import refuse_rows
from fitting.maths.types import (
    BoolArray,
    FloatArray,
    HeldOut,
    Law,
    Optimum,
    Options,
    Procedure,
    Refusal,
    Rows,
    Settings,
)

MIN_CURVES = 2
# what adds up to the parameters that a token passes through, by law
SIZE_PARTS = (
    ("n_params",),
    ("n_active",),
    ("n_params_non_vocabulary", "n_vocabulary"),
    ("n_encoder", "n_decoder"),
    ("n_average",),
    ("n_total",),
)
MEASURED = "measured_loss"  # a law may fit with the measured target; predictions do without


def hold_out(law: Law, rows: Rows, settings: Settings, options: Options) -> HeldOut | Refusal:
    """Score the rows that the rule withholds.

    Parameters
    ----------
    law, rows : the law and its prepared rows
    settings : the rule, or the ids to withhold
    options : all options of the law

    Returns
    -------
    measured and predicted values of the withheld rows, or a Refusal that says why nothing was

    Notes
    -----
    "largest_decade" withholds C > C_max / 10, "half_compute" C > C_max / 2. Where fewer than p + 2
    rows would remain, or the rest does not determine the parameters, the runs of the largest size
    are withheld, then the single largest run, which must leave p + 1; where that fails too,
    nothing is. Of a law that predicts the optimum of a group of runs, whole groups are withheld,
    and the optimum that their runs have is compared with the law's.

    References
    ----------
    Choshen et al. 2024, arXiv 2410.11840 (predict the largest models from the others)
    """
    if settings.hold_out == "none":
        return Refusal("no_holdout", "nothing was held out: the settings say so", "")
    if settings.hold_out_ids:
        chosen = np.isin(rows.names(), settings.hold_out_ids)
        return score_rows(law, rows, chosen, "the rows chosen before the fit", options)
    if law.group == "curve":
        return _leave_curves_out(law, rows, options)
    optimum = _find_optimum(law)
    size = measure_size(rows) if optimum is None else optimum.size(rows)
    if size is None:
        return Refusal(
            "no_holdout", "nothing was held out: the law has no size to order runs by", ""
        )
    rule = str(options.get("hold_out", settings.hold_out))
    share = 0.5 if "half_compute" in (rule, settings.hold_out) else 0.1
    what = "compute" if _counts_compute(rows) else "size"
    rules = [
        (f"the runs above {share:.0%} of the largest {what}", size > share * size.max(), 2),
        ("the runs of the largest size", size >= size.max(), 2),
    ]
    if optimum is None:
        rules.append(("the largest run", _find_largest(rows, size), 1))
    found: HeldOut | Refusal = Refusal(
        "no_holdout",
        f"nothing was held out: {rows.n} rows leave fewer than {len(law.params) + 1} for the fit",
        "add runs",
    )
    for rule, withheld, spare in rules:
        if rows.n - int(withheld.sum()) >= len(law.params) + spare:
            found = score_rows(law, rows, withheld, rule, options)
        if isinstance(found, HeldOut):
            break
    return found


def _find_optimum(law: Law) -> Optimum | None:
    return law.structure.optimum if isinstance(law.structure, Procedure) else None


def _counts_compute(rows: Rows) -> bool:
    columns = set(rows.columns)
    return "flops" in columns or (
        "n_tokens" in columns and any(set(parts) <= columns for parts in SIZE_PARTS)
    )


def _find_largest(rows: Rows, size: FloatArray) -> BoolArray:
    """Return the rows of the single largest run: one of several of a size, all its checkpoints."""
    place = np.flatnonzero(size >= size.max())[-1]
    largest = np.zeros(rows.n, dtype=np.bool_)
    largest[place] = True
    if rows.clusters:
        largest |= np.array(rows.clusters) == rows.clusters[place]
    return largest


def score_rows(
    law: Law, rows: Rows, withheld: BoolArray, rule: str, options: Options
) -> HeldOut | Refusal:
    """Fit the rows that are not withheld and predict the others.

    Parameters
    ----------
    law, rows, options : the law, its prepared rows and all its options
    withheld : ndarray of bool, shape (n,)
    rule : which rows those are, in words

    Returns
    -------
    measured and predicted values of the withheld rows, or a Refusal where the rest does not
    determine the law
    """
    kept = rows.take(~withheld)
    refusal = refuse_rows(law, kept, len(law.params))
    if refusal is None and law.refuse is not None:
        refusal = law.refuse(kept, options)
    estimated = refusal or make_fitter(law, kept, options).estimate()
    if isinstance(estimated, Estimated):
        estimated = identify(law, estimated).refusal or estimated
    if isinstance(estimated, Refusal):
        sentence = f"nothing was held out: without {rule}, {estimated.sentence}"
        return Refusal("no_holdout", sentence, estimated.cure)
    params = estimated.point.params
    if _find_optimum(law) is not None:
        return _score_optima(law, rows, withheld, rule, params, options)
    taken = rows.take(withheld)
    predicted = predict_rows(law, params, taken, options)
    if predicted is None:
        return Refusal("no_holdout", "this law predicts no single run", "")
    error = predicted / taken.target - 1.0
    return HeldOut(rule, law.target.role, taken.names(), taken.target, predicted, error, params)


def _score_optima(
    law: Law,
    rows: Rows,
    withheld: BoolArray,
    rule: str,
    params: Mapping[str, float],
    options: Options,
) -> HeldOut | Refusal:
    """Compare the optima of groups that are withheld whole with those that the rest predicts."""
    optimum = _find_optimum(law)
    assert optimum is not None
    whole = make_fitter(law, rows, options).estimate()
    if isinstance(whole, Refusal):
        return Refusal("no_holdout", f"nothing was held out: {whole.sentence}", whole.cure)
    seen = optimum.size(rows)[~withheld]
    gone = [
        row
        for row in whole.point.table
        if row.get("used", True) and not np.isclose(optimum.size_of(row), seen, rtol=1e-9).any()
    ]
    measured = np.array([float(str(row.get(optimum.column, np.nan))) for row in gone])
    known = np.flatnonzero(np.isfinite(measured))
    if known.size == 0:
        sentence = f"nothing was held out: {rule} have no optimum inside their sweep"
        return Refusal("no_holdout", sentence, "widen the sweep of the largest")
    gone, measured = [gone[place] for place in known], measured[known]
    predicted = np.array([optimum.predict(params, row) for row in gone])
    names = tuple(f"{optimum.size_of(row):.4g}" for row in gone)
    error = predicted / measured - 1.0
    return HeldOut(rule, optimum.role, names, measured, predicted, error, params)


def predict_rows(
    law: Law, params: Mapping[str, float], rows: Rows, options: Options
) -> FloatArray | None:
    """Return a law's predictions of prepared rows; None where it predicts nothing.

    Parameters
    ----------
    law : from the registry
    params : name -> value
    rows : prepared rows
    options : all options of the law

    Returns
    -------
    ndarray, shape (n,), in the unit of the target, or None
    """
    if isinstance(law.structure, Procedure) and law.structure.predict_rows is not None:
        return law.structure.predict_rows(params, rows, options)
    wide = {name: np.array([value]) for name, value in params.items()}
    rows = replace(rows, columns={k: v for k, v in rows.columns.items() if k != MEASURED})
    predicted = make_fitter(law, rows, options).predict(wide, rows.columns)
    return None if predicted is None else predicted[0]


def _leave_curves_out(law: Law, rows: Rows, options: Options) -> HeldOut | Refusal:
    """Predict each curve from the others."""
    groups = rows.split_groups()
    if len(groups) < MIN_CURVES:
        return Refusal("no_holdout", "nothing was held out: there is one curve", "add a curve")
    parts = []
    for name, places in groups.items():
        withheld = np.zeros(rows.n, dtype=np.bool_)
        withheld[places] = True
        part = score_rows(law, rows, withheld, name, options)
        if isinstance(part, Refusal):
            return part
        parts.append(part)
    return HeldOut(
        "each curve from the others",
        law.target.role,
        tuple(row for part in parts for row in part.ids),
        np.concatenate([part.measured for part in parts]),
        np.concatenate([part.predicted for part in parts]),
        np.concatenate([part.relative_error for part in parts]),
        {},
    )


def measure_size(rows: Rows) -> FloatArray | None:
    """Return what orders the rows by size.

    Parameters
    ----------
    rows : prepared rows of a law

    Returns
    -------
    ndarray, shape (n,): FLOPs, else 6 N D with the law's own count of N, else the one scale there
    is (1/loss where only a loss is known); None where nothing orders the rows
    """
    columns = rows.columns
    if "flops" in columns:
        return columns["flops"]
    tokens = columns.get("n_tokens")
    for parts in SIZE_PARTS:
        if not set(parts) <= set(columns):
            continue
        total: FloatArray = np.sum([columns[part] for part in parts], axis=0)
        return total if tokens is None else 6.0 * total * tokens
    for role in ("gpu_hours", "n_tokens", "x", "step", "batch_tokens", "samples"):
        if role in columns:
            return columns[role]
    return 1.0 / columns["loss"] if "loss" in columns else None
