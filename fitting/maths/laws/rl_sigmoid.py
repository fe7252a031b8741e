"""Score of reinforcement learning against compute: ``R = R0 + (A - R0) / (1 + (C_mid/C)^B)``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from fitting.maths.batched import CurveProblem, fit_curves
from fitting.maths.types import (
    Columns,
    CurveForm,
    FloatArray,
    Law,
    LawInput,
    LawOption,
    LawParam,
    Objective,
    Options,
    Params,
    Refusal,
    Review,
    Rows,
)

EXTRAPOLATED = 3.0


def predict(params: Params, columns: Columns, options: Options) -> FloatArray:
    """Return the sigmoid in log compute."""
    start = float(str(options["r0"]))
    steep = params["B"] * (np.log(params["C_mid"]) - np.log(columns["gpu_hours"]))
    score: FloatArray = start + (params["A"] - start) / (1.0 + np.exp(np.clip(steep, -500, 500)))
    return score


def decode(searched: Params, centres: Mapping[str, float]) -> Params:
    """Read C_mid from its place relative to the middle of the data."""
    return {**searched, "C_mid": searched["C_mid"] * centres["gpu_hours"]}


def list_starts(rows: Rows, options: Options) -> FloatArray:
    """Return a grid over the asymptote, the midpoint and the steepness."""
    hours, top = rows.columns["gpu_hours"], float(rows.target.max())
    hours = hours / np.exp(np.mean(np.log(hours)))
    return np.array(
        [
            [top * lift, np.log(middle), np.log(steep)]
            for lift in (1.0, 1.15, 1.5)
            for middle in np.quantile(hours, [0.1, 0.4, 0.8])
            for steep in (0.7, 1.5, 3.0)
        ]
    )


def refuse(rows: Rows, options: Options) -> Refusal | None:
    """Refuse without the measured score of the start model."""
    if options["r0"] is not None:
        return None
    return Refusal(
        "missing_input",
        "R0, the start model's score, is not given; it is measured, never fitted",
        "set the option r0",
    )


def cut_early(rows: Rows, options: Options) -> Rows:
    """Leave the first GPU-hours out, where the curve is not yet a sigmoid.

    Parameters
    ----------
    rows : gpu_hours; score as a fraction
    options : first_hours

    Returns
    -------
    the rows at or after the cut

    References
    ----------
    Khatri et al. 2025, arXiv 2510.13786, sections 2.1 and 4
    """
    return rows.take(rows.columns["gpu_hours"] >= float(str(options["first_hours"])))


def review(rows: Rows, params: Mapping[str, float], replicas: Params) -> Review:
    """Withhold or label the asymptote when the data end before the curve bends."""
    largest, middle = float(rows.columns["gpu_hours"].max()), params["C_mid"]
    if largest < middle:
        reason = f"the data end at {largest:.4g}, before C_mid = {middle:.4g}"
        return Review((f"A is extrapolated: {reason}",), {"A": reason})
    if largest < EXTRAPOLATED * middle:
        return Review((f"A is extrapolated: the data end at {largest / middle:.2g} C_mid",))
    return Review()


def refit_at_steepness(rows: Rows, options: Options, steepness: float) -> dict[str, float]:
    """Return A and C_mid with B held, to compare variants whose A and B trade off.

    Parameters
    ----------
    rows : gpu_hours; score as a fraction
    options : all options of the law
    steepness : B

    Returns
    -------
    A as a fraction, C_mid in GPU-hours, and B as given

    References
    ----------
    Khatri et al. 2025, arXiv 2510.13786, sections 2.1 and 4
    """
    form = LAW.structure
    assert isinstance(form, CurveForm)
    kept = cut_early(rows, options)
    names = tuple(param.name for param in LAW.params)
    problem = CurveProblem(
        replace(form, frozen=("B",)),
        names,
        kept.columns,
        options,
        kept.target,
        LAW.objective,
        np.ones(kept.n),
    )
    starts = list_starts(kept, options)
    starts[:, 2] = np.log(steepness)
    found = fit_curves(problem, np.ones((starts.shape[0], kept.n)), starts)
    best = int(np.argmin(found.objective))
    params = problem.read_params(found.theta[best : best + 1])
    return {name: float(params[name][0]) for name in names}


def design() -> dict[str, np.ndarray]:
    """Return sixty points to five times the midpoint."""
    return {"gpu_hours": np.geomspace(1500.0, 16000.0, 60)}


LAW = Law(
    slug="rl_sigmoid",
    title="Sigmoid of reinforcement-learning compute",
    formula="R = R0 + (A - R0) / (1 + (C_mid/C)^B)",
    tex=r"R = R_0 + \frac{A - R_0}{1 + (C_\mathrm{mid}/C)^{B}}",
    inputs=(LawInput("gpu_hours", "C", "GPU-hours", octaves=1.0),),
    target=LawInput("pass_rate", "R", "fraction"),
    params=(
        LawParam("A", "asymptote"),
        LawParam("C_mid", "midpoint", "GPU-hours"),
        LawParam("B", "steepness"),
    ),
    structure=CurveForm(
        predict,
        list_starts,
        (0.0, -20.0, np.log(0.05)),
        (10.0, 20.0, np.log(20.0)),
        (False, True, True),
        decode=decode,
    ),
    objective=Objective("least_squares", "linear"),
    source="Khatri et al. 2025 (ScaleRL), arXiv 2510.13786, eq. 1, sections 2.1, 3.2, 4, App. A",
    procedure="Least squares in the score after the first 1,500 GPU-hours; R0 is measured. The "
    "source searches a grid, here the search is continuous.",
    pitfalls=(
        "A and B trade off: compare B only at a common A.",
        "Three repeats move A by .015 (section 4): differences below .02 are noise.",
        "Power laws on bounded scores are not offered: the source's window test gives A = 1.0.",
    ),
    options=(
        LawOption("r0", None, "score of the start model"),
        LawOption("first_hours", 1500.0, "GPU-hours before which points are cut", least=0.0),
        LawOption(
            "hold_out",
            "largest_decade",
            "half_compute withholds the second half of the compute, as the source does",
            ("largest_decade", "half_compute"),
        ),
    ),
    curve_role="gpu_hours",
    refuse=refuse,
    prepare=cut_early,
    review=review,
    truth={"A": 0.61, "C_mid": 3000.0, "B": 1.92},
    design=design,
)
