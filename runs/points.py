"""Stored chunks to the points that are visible. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from runs.attempts import compute_limits
from runs.blocks import Steps, Values, find_distinct
from runs.codecs import decode_steps, decode_values


@dataclass(frozen=True)
class Series:
    """The visible points of one metric of one run, by step; of several the last to arrive.

    `superseded` points are hidden by a later attempt; `repeated` and `overwritten` ones lost to an
    equal value, and to another one.
    """

    steps: Steps
    values: Values
    superseded: int = 0
    repeated: int = 0
    overwritten: int = 0


NO_POINTS = Series(np.empty(0, np.int64), np.empty(0, np.float64))


def resolve_points(chunks: Sequence[tuple], starts: Mapping[int, int]) -> Series:
    """Decode the chunks of a series, in the order of their arrival, and take what is visible."""
    steps, values, attempts = decode_chunks(chunks)
    n_stored = len(steps)
    if starts:
        limits = compute_limits(starts, max(*starts, int(attempts.max())))
        is_visible = steps < limits[attempts]
        steps, values = steps[is_visible], values[is_visible]
    found = find_distinct(steps, values.reshape(1, -1))
    return Series(
        found.steps,
        found.values[0],
        superseded=n_stored - len(steps),
        repeated=int(found.repeated[0]),
        overwritten=int(found.overwritten[0]),
    )


def decode_chunks(chunks: Sequence[tuple]) -> tuple[Steps, Values, NDArray[np.int64]]:
    """Return the steps, values and attempts of all stored points, as they arrived."""
    if not chunks:
        return np.empty(0, np.int64), np.empty(0, np.float64), np.empty(0, np.int64)
    steps = np.concatenate([decode_steps(chunk[3], chunk[5]) for chunk in chunks])
    values = np.concatenate([decode_values(chunk[3], chunk[6]) for chunk in chunks])
    attempts = np.repeat([chunk[2] for chunk in chunks], [chunk[4] for chunk in chunks])
    return steps, values, attempts
