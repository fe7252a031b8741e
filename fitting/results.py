"""The shape of a stored learning-rate sweep, as analyses.run_lr_sweep writes it.

Where a part could not be found, a Refusal stands in its place: `as_refusal` tells. Numbers
that are not finite are the strings of scaledash.lib.jsonsafe.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Literal, TypedDict, cast

from scaledash.lib.jsonsafe import decode_float

Number = float | str


class RefusalDoc(TypedDict):
    """Why there is no result, and what would cure it."""

    code: str
    sentence: str
    cure: str


class IntervalDoc(TypedDict):
    """Percentile interval; an open side says that the true end may lie further out."""

    low: Number
    high: Number
    level: float
    low_open: bool
    high_open: bool


class OptimumDoc(TypedDict):
    """The best learning rate of one scale."""

    lr: float
    interval: IntervalDoc | None
    reason: str
    censored: Literal["", "low", "high"]
    sentence: str
    resampling: str
    loss: float
    point_lr: list[float]
    point_loss: list[float]


class SensitivityDoc(TypedDict):
    """Learning-rate sensitivity of one scale."""

    value: float
    left: float
    right: float
    interval: IntervalDoc | None
    reason: str
    grid: Literal["standard", "non-standard"]
    coverage: str
    lrs: list[float]
    missing: list[float]
    n_seeds: int


class ScaleDoc(TypedDict):
    """What one scale of one variant says."""

    variant: str
    scale: float
    n_runs: int
    n_diverged: int
    optimum: OptimumDoc
    sensitivity: SensitivityDoc


class LawDoc(TypedDict):
    """The power law of the best learning rate."""

    exponent: float
    interval: IntervalDoc | None
    reason: str
    log_intercept: float
    n_scales: int
    n_censored: int
    x: list[float]
    lr: list[float]
    low: list[Number]
    high: list[Number]
    extrapolated: list[bool]


class VariantDoc(TypedDict):
    """The law of one variant."""

    variant: str
    exponent: LawDoc


class LrSweepDoc(TypedDict):
    """The whole result."""

    scales: list[ScaleDoc]
    variants: list[VariantDoc]
    refusal: RefusalDoc | None
    n_runs: int
    n_used: int
    digest: str
    loss_metric: str
    losses: dict[str, tuple[str, Number]]


def list_scales(result: LrSweepDoc | None) -> list[ScaleDoc]:
    """Return the scales of a result, none where there is no result."""
    return result["scales"] if result else []


def list_laws(result: LrSweepDoc | None) -> dict[str, LawDoc]:
    """Return the law of each variant."""
    return {item["variant"]: item["exponent"] for item in result["variants"]} if result else {}


def as_refusal(part: object) -> RefusalDoc | None:
    """Return the Refusal that stands in a part's place, None where the part was found."""
    is_one = isinstance(part, Mapping) and "code" in part and "sentence" in part
    return cast(RefusalDoc, part) if is_one else None


def read_ends(interval: IntervalDoc | None) -> tuple[float | None, float | None]:
    """Return both ends of an interval, None for an open one and where there is no interval."""
    if interval is None:
        return None, None
    low = None if interval["low_open"] else decode_float(interval["low"])
    high = None if interval["high_open"] else decode_float(interval["high"])
    return low, high


def select_keys(part: Mapping[str, object], keys: Iterable[str]) -> dict[str, object]:
    """Return some members of a part."""
    return {key: part[key] for key in keys}
