"""Withhold the largest runs, fit the rest and score the prediction (LAWS section 3)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from fitting.maths.fitters import make_fitter
from fitting.maths.types import (
    BoolArray,
    FloatArray,
    HeldOut,
    Law,
    Options,
    Procedure,
    Refusal,
    Rows,
    Settings,
)

MIN_CURVES = 2
MEASURED = "measured_loss"  # a law may fit with the measured target; predictions do without


def hold_out(law: Law, rows: Rows, settings: Settings, options: Options) -> HeldOut | Refusal:
    """Score the rows that the rule withholds.

    Notes
    -----
    "largest_decade" withholds C > C_max / 10, "half_compute" C > C_max / 2. Where fewer than p + 2
    rows would remain, the single largest run is withheld; where that fails too, nothing is.
    """
    if settings.hold_out == "none":
        return Refusal("no_holdout", "nothing was held out: the settings say so", "")
    if settings.hold_out_ids:
        chosen = np.isin(rows.names(), settings.hold_out_ids)
        return score_rows(law, rows, chosen, "the rows chosen before the fit", options)
    if law.group == "curve":
        return _leave_curves_out(law, rows, options)
    size = measure_size(rows)
    if size is None:
        return Refusal(
            "no_holdout", "nothing was held out: the law has no size to order runs by", ""
        )
    rule = str(options.get("hold_out", settings.hold_out))
    share = 0.5 if "half_compute" in (rule, settings.hold_out) else 0.1
    rules = [
        (f"C > {share:g} C_max", size > share * size.max()),
        ("the largest run", size >= size.max()),
    ]
    for rule, withheld in rules:
        if rows.n - int(withheld.sum()) >= len(law.params) + 2:
            return score_rows(law, rows, withheld, rule, options)
    return Refusal(
        "no_holdout",
        f"nothing was held out: {rows.n} rows leave fewer than {len(law.params) + 2} for the fit",
        "add runs",
    )


def score_rows(
    law: Law, rows: Rows, withheld: BoolArray, rule: str, options: Options
) -> HeldOut | Refusal:
    """Fit the rows that are not withheld and predict the others."""
    fitter = make_fitter(law, rows.take(~withheld), options)
    estimated = fitter.estimate()
    if isinstance(estimated, Refusal):
        return Refusal("no_holdout", f"without the held-out runs: {estimated.sentence}", "")
    params = estimated.point.params
    taken = rows.take(withheld)
    predicted = predict_rows(law, params, taken, options)
    if predicted is None:
        return Refusal("no_holdout", "this law predicts no single run", "")
    error = predicted / taken.target - 1.0
    return HeldOut(rule, taken.names(), taken.target, predicted, error, params)


def predict_rows(
    law: Law, params: Mapping[str, float], rows: Rows, options: Options
) -> FloatArray | None:
    """Return a law's predictions of prepared rows; None where it predicts nothing."""
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
        tuple(row for part in parts for row in part.ids),
        np.concatenate([part.measured for part in parts]),
        np.concatenate([part.predicted for part in parts]),
        np.concatenate([part.relative_error for part in parts]),
        {},
    )


def measure_size(rows: Rows) -> FloatArray | None:
    """Return what orders the rows by size: FLOPs, 6 N D, or the one scale there is."""
    columns = rows.columns
    if "flops" in columns:
        return columns["flops"]
    if {"n_params", "n_tokens"} <= set(columns):
        return 6.0 * columns["n_params"] * columns["n_tokens"]
    for role in ("gpu_hours", "n_params", "n_tokens", "x", "step"):
        if role in columns:
            return columns[role]
    return None
