"""The shape of a stored compute-optimal analysis, as analyses.run_compute_optimal writes it.

Where an approach could not be fitted, a Refusal stands in its place: `results.as_refusal` tells.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, NotRequired, TypedDict

from fitting.results import IntervalDoc, Number, RefusalDoc, as_refusal
from scaledash.lib.jsonsafe import decode_float
from scaledash.lib.units import format_quantity

FitDoc = Mapping[str, Any]  # a fit as fitting.maths.results.Fit.to_dict gives it, or a Refusal
ISOFLOP, PARAMETRIC, SECOND, ENVELOPE = (
    "isoflop",
    "chinchilla_parametric",
    "chinchilla_vpnls",
    "chinchilla_envelope",
)
LEAST_SPAN = 2.0  # of tokens, for compute to differ by more than the size
# slug of the law -> its member of a variant, and what pages call it
APPROACHES = {
    ENVELOPE: ("envelope", "Approach 1, envelope"),
    ISOFLOP: ("isoflop", "Approach 2, isoFLOP"),
    PARAMETRIC: ("parametric", "Approach 3, Huber"),
    SECOND: ("second_opinion", "Approach 3, least squares"),
}


class EstimateDoc(TypedDict):
    """A number with its interval, or the reason why there is none."""

    value: Number
    interval: IntervalDoc | None
    reason: str


class CellDoc(TypedDict):
    """The best learning rate of one size at one budget."""

    run_ids: list[str]
    n_params: float
    n_tokens: float
    flops: float
    budget: float
    loss: float
    lr: Number
    n_lrs: int
    edge: str


class ProfileDoc(TypedDict):
    """The isoFLOP profile of one budget."""

    flops: float
    n_points: int
    used: bool
    reason: str
    n_params: EstimateDoc
    n_tokens: EstimateDoc
    loss: Number
    x: list[float]
    y: list[float]


class BandDoc(TypedDict):
    """A line over the budgets with its band; a string where a number is not finite."""

    value: list[Number]
    low: list[Number]
    high: list[Number]


class FrontierDoc(TypedDict):
    """What one approach says over a range of budgets."""

    approach: str
    flops: list[float]
    n_params: BandDoc
    n_tokens: BandDoc
    tokens_per_parameter: BandDoc
    loss: BandDoc | None
    extrapolated: list[bool]
    decades_beyond: list[float]


class ComputeVariantDoc(TypedDict):
    """What the runs of one variant say."""

    variant: str
    cells: list[CellDoc]
    flops_per_token: Mapping[str, Any]
    profiles: list[ProfileDoc]
    isoflop: FitDoc
    parametric: FitDoc
    second_opinion: FitDoc
    envelope: FitDoc
    frontiers: list[FrontierDoc]
    overtraining: NotRequired[Mapping[str, Any]]
    surface: Mapping[str, Any] | None
    replica_sample: Mapping[str, list[Number]]
    warnings: list[str]


class ComputeDoc(TypedDict):
    """The whole result."""

    variants: list[ComputeVariantDoc]
    refusal: RefusalDoc | None
    exclusions: list[Mapping[str, Any]]
    n_runs: int
    n_used: int
    settings: Mapping[str, Any]
    curves: list[Mapping[str, Any]]
    ladders: NotRequired[list[Mapping[str, Any]]]
    pairs: NotRequired[list[Mapping[str, Any]]]
    laws: NotRequired[Mapping[str, Any]]


def find_variant(result: ComputeDoc | None, name: str = "") -> ComputeVariantDoc | None:
    """Return the variant of this name, else the one with the most cells."""
    variants = result["variants"] if result else []
    named = [item for item in variants if item["variant"] == name]
    if named:
        return named[0]
    return max(variants, key=lambda item: len(item["cells"]), default=None)


def list_fits(variant: ComputeVariantDoc | None) -> dict[str, FitDoc]:
    """Return the fits of a variant that were not refused, by the slug of their law."""
    if variant is None:
        return {}
    found = {slug: dict(variant)[member] for slug, (member, _) in APPROACHES.items()}
    return {slug: fit for slug, fit in found.items() if not as_refusal(fit)}


def find_refusal(variant: ComputeVariantDoc | None, slug: str) -> RefusalDoc | None:
    """Return why an approach was refused, None where it was not."""
    if variant is None:
        return None
    return as_refusal(dict(variant)[APPROACHES[slug][0]])


def name_approach(slug: str) -> str:
    """Return what pages call an approach."""
    return APPROACHES[slug][1]


def list_frontiers(variant: ComputeVariantDoc) -> list[FrontierDoc]:
    """Return the frontiers in the order of the approaches."""
    order = list(APPROACHES)
    return sorted(variant["frontiers"], key=lambda item: order.index(item["approach"]))


def decode(values: Sequence[Number]) -> list[float]:
    """Return the numbers of a stored array, NaN for what is none."""
    found = (decode_float(value) for value in values)
    return [math.nan if value is None else value for value in found]


def take_at(frontier: FrontierDoc, quantity: str, flops: float) -> tuple[float, float, float]:
    """Return value, low and high of a quantity at a budget, log-linear between the samples.

    All are NaN outside the range that the analysis covers.
    """
    band = dict(frontier)[quantity]
    grid = frontier["flops"]
    if not isinstance(band, Mapping) or not grid[0] <= flops <= grid[-1] * (1 + 1e-12):
        return math.nan, math.nan, math.nan
    low, middle, high = (interpolate(grid, decode(band[key]), flops) for key in BAND_KEYS)
    return middle, low, high


BAND_KEYS = ("low", "value", "high")


def interpolate(x: Sequence[float], y: Sequence[float], at: float) -> float:
    """Return y at a place inside x, log-linear between the samples; NaN beside an unknown one."""
    place = next((i for i, edge in enumerate(x[1:]) if at <= edge), len(x) - 2)
    share = math.log(at / x[place]) / math.log(x[place + 1] / x[place])
    first, last = y[place], y[place + 1]
    if not (first > 0 and last > 0):
        return math.nan
    return math.exp((1 - share) * math.log(first) + share * math.log(last))


def describe_design(variant: ComputeVariantDoc | None) -> str:
    """Say where the design of a study alone makes an envelope look like an optimum; "" elsewhere.

    Runs of one number of tokens differ in compute by their size alone: C = 6ND makes N* follow C.
    """
    found = [item["approach"] for item in variant["frontiers"]] if variant else []
    if variant is None or found != [ENVELOPE]:
        return ""
    tokens = [cell["n_tokens"] for cell in variant["cells"]]
    if max(tokens) > LEAST_SPAN * min(tokens):
        return ""
    return (
        f"All runs have about {format_quantity(max(tokens))} tokens, so compute differs by size "
        "alone: the envelope's N* follows C by design, and is no compute-optimal size. Train some "
        "sizes for several numbers of tokens."
    )
