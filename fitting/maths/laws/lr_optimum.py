"""Best learning rate of each scale, and the power law of the best rate against scale.

Per scale a parabola in log lr through the best point and its neighbours; then
``log lr* = log k + x log n``. Expected: x = 0 in width under muP; Adam in standard
parameterisation -1 for hidden layers under full alignment and -1/2 without (Everett et al. 2024,
arXiv 2407.05872) (unverified).
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from fitting.maths.lr_exponent import LrExponent, fit_exponent, follow_power
from fitting.maths.lr_optima import LrOptimum, find_optimum
from fitting.maths.lr_points import gather_points
from fitting.maths.types import (
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

__all__ = ["LAW", "LrExponent", "LrOptimum", "find_optimum", "fit_exponent"]

Row = Mapping[str, object]


def read_scale(rows: Rows) -> FloatArray:
    """Return what the exponent is in: width where given, else parameters.

    Parameters
    ----------
    rows : width or n_params

    Returns
    -------
    ndarray, shape (n,)
    """
    return rows.columns["width"] if "width" in rows.columns else rows.columns["n_params"]


def refuse(rows: Rows, options: Options) -> Refusal | None:
    """Refuse rows without a width and without a number of parameters."""
    if "width" in rows.columns or "n_params" in rows.columns:
        return None
    return Refusal("missing_input", "LR* against scale needs width or n_params", "map one of them")


def _analyse(
    rows: Rows, options: Options, seed: int
) -> tuple[LrExponent | Refusal, tuple[Row, ...]]:
    scale, table, sizes, optima = read_scale(rows), [], [], []
    for number, size in enumerate(np.unique(scale)):
        here = scale == size
        lost = np.zeros(int(here.sum()), dtype=np.bool_)
        points = gather_points(rows.columns["peak_lr"][here], rows.target[here], lost)
        found = find_optimum(points, int(str(options["neighbours"])), 1000, seed + number)
        row: Row = {"scale": float(size)}
        if isinstance(found, Refusal):
            table.append({**row, "sentence": found.sentence})
            continue
        sizes.append(float(size))
        optima.append(found)
        shown = {
            "lr": found.lr,
            "interval": found.interval,
            "censored": found.censored,
            "used": not found.censored,
        }
        table.append({**row, **shown, "sentence": found.sentence})
    return fit_exponent(sizes, optima, seed), tuple(table)


def run(rows: Rows, options: Options) -> Point | Refusal:
    """Find the optimum of each scale, then the power law."""
    line, table = _analyse(rows, options, 0)
    if isinstance(line, Refusal):
        return line
    params = {"exponent": line.exponent, "log_factor": line.log_intercept}
    return Point(params, table=table, warnings=(line.reason,) if line.reason else ())


def replicate(rows: Rows, settings: Settings) -> Params:
    """Return the line of each replica of the optima."""
    line, _ = _analyse(rows, LAW.read_options(settings.options), settings.seed)
    if isinstance(line, Refusal) or line.line_replicas.size == 0:
        return {}
    return {"exponent": line.line_replicas[:, 1], "log_factor": line.line_replicas[:, 0]}


LAW = Law(
    slug="lr_optimum",
    title="Best learning rate against scale",
    formula="lr* = exp(log_factor) n^exponent",
    tex=r"\eta^* \propto n^{x}",
    inputs=(
        LawInput("peak_lr", "lr", "peak learning rate", octaves=1.0),
        LawInput("n_params", "N", "parameters", optional=True),
        LawInput("width", "w", "model width; used instead of N where given", optional=True),
    ),
    target=LawInput("loss", "L", "final loss, nats per token"),
    params=(
        LawParam("exponent", "exponent of lr* in N or width"),
        LawParam("log_factor", "natural log of the factor"),
    ),
    structure=Procedure(
        run,
        "within_groups",
        replicate,
        optimum=follow_power("lr", "peak_lr", "scale", read_scale),
    ),
    objective=Objective("least_squares", "linear"),
    source="per scale a parabola in log lr; expected exponents: Everett et al. 2024, "
    "arXiv 2407.05872 (unverified)",
    group="scale",
    procedure="Per scale a parabola in log lr through the best point and up to two neighbours on "
    "each side; a weighted line through log lr*; noise from repeated seeds, else from residuals.",
    pitfalls=(
        "A best rate at the edge of the sweep is censored and left out.",
        "Undertrained runs prefer a larger learning rate.",
    ),
    options=(LawOption("neighbours", 2, "points on each side of the best", least=1),),
    refuse=refuse,
)
