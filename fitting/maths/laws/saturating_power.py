"""Error against compute, saturating at both ends: ``err = a (C + c0)^-k + d``."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from fitting.maths.frontier import find_frontier
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
    Review,
    Rows,
)


def predict(params: Params, columns: Columns, options: Options) -> FloatArray:
    """Return the shifted power with its floor."""
    shifted = columns["flops"] + params["c0"]
    return np.exp(np.log(params["a"]) - params["k"] * np.log(shifted)) + params["d"]


def decode(searched: Params, centres: Mapping[str, float]) -> Params:
    """Read a and c0 from their values relative to the centre of the data."""
    centre = centres["flops"]
    a = np.exp(np.log(searched["a"]) + searched["k"] * np.log(centre))
    return {**searched, "a": a, "c0": searched["c0"] * centre}


def list_starts(rows: Rows, options: Options) -> FloatArray:
    """Return a grid over the shift, the exponent and the floor."""
    low, middle = float(rows.target.min()), float(np.median(rows.target))
    width = float(np.log(rows.columns["flops"].max() / rows.columns["flops"].min()))
    return np.array(
        [
            [np.log(max(middle - share * low, 0.1 * middle)), shift * width, np.log(k), share * low]
            for shift in (-1.0, -0.5, -0.25)
            for k in (0.1, 0.25, 0.5, 1.0)
            for share in (0.0, 0.5, 0.9)
        ]
    )


def keep_frontier(rows: Rows, options: Options) -> Rows:
    """Keep the least error of each octave of compute where it is lower than all before.

    Parameters
    ----------
    rows : flops; error as a fraction
    options : unused

    Returns
    -------
    the rows of the frontier

    References
    ----------
    arXiv 2506.04598; LAION-AI/scaling-laws-for-comparison@5343917, utils.py
    """
    if not options["frontier"]:
        return rows
    places = find_frontier(rows.columns["flops"], rows.target)
    return rows.take(np.sort(places))


def review(rows: Rows, params: Mapping[str, float], replicas: Params) -> Review:
    """Warn when every point lies before the bend: extrapolation is then useless."""
    largest = float(rows.columns["flops"].max())
    if params["c0"] < largest:
        return Review()
    return Review(
        (
            f"the largest compute {largest:.3g} lies below the bend c0 = {params['c0']:.3g}: "
            "predictions beyond it are worthless",
        )
    )


def design() -> dict[str, np.ndarray]:
    """Return twelve points on both sides of the bend."""
    return {"flops": np.geomspace(1e8, 1e13, 12)}


LAW = Law(
    slug="saturating_power",
    title="Saturating power law",
    formula="err = a (C + c0)^-k + d",
    tex=r"\mathrm{err} = a (C + c_0)^{-k} + d",
    inputs=(LawInput("flops", "C", "FLOPs", octaves=1.0),),
    target=LawInput("error", "err", "fraction"),
    params=(
        LawParam("a", "amplitude"),
        LawParam("c0", "compute at which the fall begins", "FLOPs", 0.0, bound_has_meaning=True),
        LawParam("k", "exponent"),
        LawParam("d", "floor", lower=0.0, bound_has_meaning=True),
    ),
    structure=CurveForm(
        predict,
        list_starts,
        (np.log(1e-6), np.log(1e-9), np.log(0.01), 0.0),
        (np.log(1e6), np.log(1e9), np.log(5.0), np.inf),
        (True, True, True, False),
        replica_starts=2,
        decode=decode,
        wild=True,
    ),
    objective=Objective("least_squares", "log"),
    source="arXiv 2506.04598; LAION-AI/scaling-laws-for-comparison@5343917, functions.py",
    procedure="Least squares on log error over frontier points (octave minima that fall). The "
    "points are minima and cannot be case-resampled: replicas flip the residuals' signs.",
    pitfalls=("Cutting the data before the bend makes extrapolation useless.",),
    options=(LawOption("frontier", True, "fit only the octave minima that fall"),),
    curve_role="flops",
    prepare=keep_frontier,
    review=review,
    truth={"a": 60.0, "c0": 2e9, "k": 0.28, "d": 0.12},
    design=design,
)
