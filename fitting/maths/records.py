"""Frozen result records and their conversion to plain dictionaries."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, is_dataclass

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]
IntArray = npt.NDArray[np.int64]
INTERNAL = {"plain": False}


def to_plain(value: object) -> object:
    """Turn records, arrays and mappings into dicts, lists and Python scalars.

    Non-finite floats stay floats: whoever encodes the result decides how they are written.
    Functions are left out, for they are code and not a result; so are fields marked with
    ``INTERNAL``, such as the replicas.

    Parameters
    ----------
    value : anything that a result holds

    Returns
    -------
    dicts, lists, strings, numbers, True, False and None
    """
    if is_dataclass(value) and not isinstance(value, type):
        shown = (item for item in fields(value) if item.metadata.get("plain", True))
        members = ((item.name, getattr(value, item.name)) for item in shown)
        return {name: to_plain(member) for name, member in members if not _is_code(member)}
    if isinstance(value, np.ndarray):
        return value.tolist()
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, Mapping):
        return {str(key): to_plain(item) for key, item in value.items() if not _is_code(item)}
    if isinstance(value, list | tuple):
        return [to_plain(item) for item in value]
    return value


def _is_code(value: object) -> bool:
    return isinstance(value, Callable) and not is_dataclass(value)  # type: ignore[arg-type]


@dataclass(frozen=True)
class Record:
    """Base of everything that a fit returns."""

    def to_dict(self) -> dict[str, object]:
        """Return the record as nested dicts and lists that a JSON encoder understands."""
        plain = to_plain(self)
        assert isinstance(plain, dict)
        return plain


@dataclass(frozen=True)
class Refusal(Record):
    """The answer where the data cannot support a fit; a result, not an error.

    Parameters
    ----------
    code : one of the stable codes, such as ``too_few_points`` or ``span``
    sentence : what is missing, with the numbers
    cure : what would make the fit possible
    """

    code: str
    sentence: str
    cure: str = ""


@dataclass(frozen=True)
class Interval(Record):
    """Percentile interval; a side at the edge of what the data can say is open.

    Parameters
    ----------
    low, high : ends of the interval
    level : nominal coverage
    low_open, high_open : True where the true end may lie further out
    """

    low: float
    high: float
    level: float = 0.95
    low_open: bool = False
    high_open: bool = False


@dataclass(frozen=True)
class Exclusion(Record):
    """Rows left out by one rule.

    Parameters
    ----------
    rule : stable name of the rule, such as ``diverged``
    sentence : the rule in words
    count : number of rows
    ids : identifiers of the rows
    """

    rule: str
    sentence: str
    count: int
    ids: tuple[str, ...] = ()


@dataclass(frozen=True)
class Estimate(Record):
    """A number with what is known about its uncertainty.

    Parameters
    ----------
    value : at full float64 precision
    interval : None where no interval can be given; `reason` then says why
    standard_error : standard deviation over the replicas
    """

    value: float
    interval: Interval | None = None
    standard_error: float | None = None
    unit: str = ""
    reason: str = ""


@dataclass(frozen=True)
class Derived(Estimate):
    """A quantity computed from parameters, its interval from the same replicas."""

    text: str = ""


@dataclass(frozen=True)
class Curve(Record):
    """A fitted line sampled for drawing.

    Parameters
    ----------
    x_role, y_role : what the axes are
    x, y, low, high : samples and band; empty band where there is no interval
    extrapolated : True beyond the fitted data
    """

    x_role: str
    y_role: str
    x: FloatArray
    y: FloatArray
    low: FloatArray
    high: FloatArray
    extrapolated: BoolArray
