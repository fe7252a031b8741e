"""Which of the scaling regimes an exponent belongs to: variance- or resolution-limited."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from fitting.maths.laws.power_law_constant import LAW as POWER
from fitting.maths.laws.power_law_constant import measure_decades
from fitting.maths.records import Interval, Record
from fitting.maths.types import (
    DerivedQuantity,
    FloatArray,
    LawInput,
    LawOption,
    Options,
    Params,
    Refusal,
    Review,
    Rows,
)

RANGES = {"data": (0.85, 1.15), "width": (0.85, 1.15), "n_params": (0.42, 0.58)}
MIN_POINTS, MIN_DECADES = 5, 0.5


@dataclass(frozen=True)
class Regime(Record):
    """The verdict about one exponent.

    Parameters
    ----------
    verdict : "variance-limited", "resolution-limited" or "undecided"
    sentence : why
    implied_dimension : 4 / alpha, the dimension of the data that the exponent would mean
    """

    verdict: str
    sentence: str
    implied_dimension: float


def judge_regime(
    exponent: float, interval: Interval, variable: str, second: Interval | None = None
) -> Regime:
    """Judge an exponent by the range its whole interval lies in.

    Parameters
    ----------
    exponent : the estimate
    interval : its 95 % interval
    variable : "data", "width" or "n_params" (of a network with N ~ width^2)
    second : interval of the same exponent at a second fixed value of the other variable

    Returns
    -------
    the verdict with its reason

    References
    ----------
    Bahri et al. 2021, arXiv 2102.06701, section 2
    """
    low, high = RANGES[variable]
    dimension = 4.0 / exponent
    shown = f"[{interval.low:.3g}, {interval.high:.3g}]"
    if low <= interval.low and interval.high <= high:
        if variable == "n_params":
            sentence = f"{shown} fits 1/2 in N, but also 4/d with d = 8: decide in width"
            return Regime("undecided", sentence, dimension)
        return Regime("variance-limited", f"{shown} lies inside [{low}, {high}]", dimension)
    if interval.high >= low:
        return Regime("undecided", f"{shown} reaches into [{low}, {high}]", dimension)
    if second is None:
        sentence = f"{shown} lies below {low}, but at one value of the other variable only"
        return Regime("undecided", sentence, dimension)
    if second.low <= interval.high and interval.low <= second.high:
        sentence = f"{shown} lies below {low} and is the same at a second value"
        return Regime("resolution-limited", sentence, dimension)
    sentence = f"{shown} changes with the other variable, to [{second.low:.3g}, {second.high:.3g}]"
    return Regime("undecided", sentence, dimension)


def refuse(rows: Rows, options: Options) -> Refusal | None:
    """Refuse few points, and rows along which the other variable changes."""
    if rows.n < MIN_POINTS:
        return Refusal(
            "too_few_points", f"a regime needs >= {MIN_POINTS} points; have {rows.n}", "more points"
        )
    other = rows.columns.get("other")
    if other is None or np.ptp(np.log(other)) < 1e-6:
        return None
    return Refusal(
        "mixed", "the other variable changes along the rows", "select rows at one value of it"
    )


def review(rows: Rows, params: Mapping[str, float], replicas: Params) -> Review:
    """Refuse a limit that the data do not come near."""
    decades = measure_decades(rows, params["L_inf"])
    if decades >= MIN_DECADES:
        return Review()
    return Review(
        refusal=Refusal(
            "extrapolated",
            f"the excess over the limit spans {decades:.2f} decades; a regime needs "
            f"{MIN_DECADES:g}",
            "a wider range of the varied variable",
        )
    )


def _dimension(params: Params, options: Options) -> FloatArray:
    return 4.0 / params["a"]


LAW = replace(
    POWER,
    slug="scaling_regime",
    title="Scaling regime",
    formula="L(x) - L(inf) ~ x^-alpha: 1 = variance-limited, 4/d = resolution-limited",
    tex=r"L(x) - L(\infty) \propto x^{-\alpha}",
    inputs=(
        LawInput("x", "x", "data, width or parameters; the varied variable", octaves=1.0),
        LawInput("other", "", "the other variable, the same in all rows", optional=True),
    ),
    source="Bahri et al. 2021, arXiv 2102.06701, section 2",
    procedure="power_law_constant; the verdict asks in which range the whole interval lies.",
    pitfalls=(
        "The excess is against the limit of the varied variable, not against 0 or the entropy.",
        "In N of a network with N ~ width^2 variance-limited means 1/2.",
    ),
    options=(
        LawOption("delta", None, "Huber threshold; None = least squares", least=0.0, is_above=True),
    ),
    derived=(DerivedQuantity("implied_dimension", "4 / alpha", "", _dimension),),
    refuse=refuse,
    review=review,
    truth={"L_inf": 0.4, "A": 1.0, "a": 1.0},
    design=lambda: {"x": np.geomspace(1.0, 100.0, 8)},
)
