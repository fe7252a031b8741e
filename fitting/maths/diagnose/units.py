"""What has to be done to logged values before a diagnostic reads them as its key."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from fitting.maths.diagnose.case import RunConfig
from fitting.maths.records import FloatArray

SAME, NORM = "", "norm"


@dataclass(frozen=True)
class Unit:
    """One way in which a quantity is logged.

    Parameters
    ----------
    text : what is done to the values, for a person
    needs : config key, ``{parameter}`` standing for what follows the key's stem; empty for none
    convert : (values, value of the config key) -> values in the key's own unit
    """

    text: str
    needs: str
    convert: Callable[[FloatArray, float], FloatArray]


def _read_perplexity(values: FloatArray, _: float) -> FloatArray:
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(np.log(values), dtype=np.float64)


def _read_bits(values: FloatArray, bytes_per_token: float) -> FloatArray:
    return values * (math.log(2) * bytes_per_token)


def _read_norm(values: FloatArray, numel: float) -> FloatArray:
    return values / math.sqrt(numel)


UNITS = {
    SAME: Unit("read as logged", "", lambda values, _: values),
    "perplexity": Unit("perplexity: its natural logarithm is read", "", _read_perplexity),
    "bits_per_byte": Unit(
        "bits per byte: times ln 2 times bytes_per_token", "bytes_per_token", _read_bits
    ),
    NORM: Unit("a norm: divided by the root of numel", "numel.{parameter}", _read_norm),
}


def find_needed(unit: str, key: str) -> str:
    """Return the config key that a unit of a key needs, empty for none.

    ``grad.rms.block0.mlp_in`` logged as a norm needs ``numel.block0.mlp_in``.
    """
    parameter = ".".join(key.split(".")[2:])
    return UNITS[unit].needs.format(parameter=parameter)


def find_factor(unit: str, key: str, config: RunConfig) -> float | None:
    """Return the value of the config key that a unit needs, None where the config lacks it."""
    needed = find_needed(unit, key)
    if not needed:
        return 1.0
    value = config.number(needed)
    return value if value is not None and value > 0 else None


def convert(unit: str, key: str, values: FloatArray, config: RunConfig) -> FloatArray:
    """Return values in the unit of their key; the config has to hold what the unit needs."""
    factor = find_factor(unit, key, config)
    if factor is None:
        raise ValueError(f"{find_needed(unit, key)} is not in the config")
    return UNITS[unit].convert(values, factor)
