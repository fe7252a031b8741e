"""What a run says of each metric without its points: one entry of `run.summary` a metric.

An entry has `last` (at the highest step), `last_step`, `min` and `max` (of finite values, null
where there is none) and `count`. Where they apply: `nonfinite` {"NaN": 3, ...} with
`first_nonfinite_step` and `first_nonfinite`; `repeated` and `overwritten`, the points that lost to
an equal or another value at their step; `unsettled`, true until a worker has recomputed the entry
because points arrived out of order or a new attempt hides some.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from runs.blocks import Distinct, Statistics, compute_statistics
from scaledash.lib.jsonsafe import NAN, NEGATIVE_INFINITY, POSITIVE_INFINITY, encode_float

Entry = dict[str, object]
KINDS = (NAN, POSITIVE_INFINITY, NEGATIVE_INFINITY)


@dataclass(frozen=True)
class Arrival:
    """How the points of a batch stand to what its series holds already.

    `is_late`: a later attempt than the batch's exists and may hide some of its points.
    `hides_from`: the batch itself opens an attempt there.
    """

    first_step: int
    is_late: bool = False
    hides_from: int | None = None


class Merged(NamedTuple):
    """An entry after a batch; `repeated` and `overwritten` are what this batch adds."""

    entry: Entry
    is_settled: bool
    repeated: int
    overwritten: int


def make_entries(points: Distinct, statistics: Statistics | None = None) -> Iterator[Entry]:
    """Return the entry of each metric, of all its visible points, whose statistics may be known."""
    statistics = statistics or compute_statistics(points.values)
    last_step, n = int(points.steps[-1]), statistics.n
    lows, highs = statistics.minimum.tolist(), statistics.maximum.tolist()
    n_finite = statistics.count_finite()
    repeated, overwritten = points.repeated.tolist(), points.overwritten.tolist()
    for row, last in enumerate(points.values[:, -1].tolist()):
        has_finite = n_finite[row] > 0
        entry: Entry = {
            "last": encode_float(last),
            "last_step": last_step,
            "min": lows[row] if has_finite else None,
            "max": highs[row] if has_finite else None,
            "count": n,
        }
        if n_finite[row] < n:
            entry |= _describe_nonfinite(points, statistics, row)
        if repeated[row]:
            entry["repeated"] = repeated[row]
        if overwritten[row]:
            entry["overwritten"] = overwritten[row]
        yield entry


def _describe_nonfinite(points: Distinct, statistics: Statistics, row: int) -> Entry:
    counts = (statistics.n_nan, statistics.n_posinf, statistics.n_neginf)
    found = {kind: int(count[row]) for kind, count in zip(KINDS, counts, strict=True)}
    first = int(np.argmin(np.isfinite(points.values[row])))
    return {
        "nonfinite": {kind: count for kind, count in found.items() if count},
        "first_nonfinite_step": int(points.steps[first]),
        "first_nonfinite": encode_float(float(points.values[row, first])),
    }


def merge_entry(old: Mapping[str, object] | None, new: Entry, arrival: Arrival) -> Merged:
    """Merge the entry of a batch into that of its series.

    Whatever may overlap is only flagged here: its counts follow when it is settled.
    """
    if arrival.is_late:
        return Merged({**(old or {"count": 0}), "unsettled": True}, False, 0, 0)
    last_step = -1 if old is None or old.get("last_step") is None else int(old["last_step"])
    is_hidden = arrival.hides_from is not None and last_step >= arrival.hides_from
    is_open = old is not None and bool(old.get("unsettled"))
    if not is_hidden and not is_open and arrival.first_step > last_step:
        merged = new if old is None else _join(old, new)
        return Merged(merged, True, _count(new, "repeated"), _count(new, "overwritten"))
    entry = {**(old or {}), "unsettled": True}
    if is_hidden or int(new["last_step"]) >= last_step:
        entry |= {"last": new["last"], "last_step": new["last_step"]}
    return Merged(entry, False, 0, 0)


def _join(old: Mapping[str, object], new: Entry) -> Entry:
    """Join an entry with that of later steps."""
    entry = {**old, "last": new["last"], "last_step": new["last_step"]}
    entry["count"] = _count(old, "count") + _count(new, "count")
    low, high = old.get("min"), old.get("max")
    if low is None or high is None:
        entry |= {"min": new["min"], "max": new["max"]}
    elif new["min"] is not None:
        entry |= {"min": min(low, new["min"]), "max": max(high, new["max"])}
    for name in ("repeated", "overwritten"):
        if name in new:
            entry[name] = _count(old, name) + _count(new, name)
    if "nonfinite" in new:
        counts: dict[str, int] = dict(old.get("nonfinite") or {})
        for kind, count in new["nonfinite"].items():
            counts[kind] = counts.get(kind, 0) + count
        entry["nonfinite"] = counts
        for name in ("first_nonfinite_step", "first_nonfinite"):
            entry.setdefault(name, new[name])
    return entry


def _count(entry: Mapping[str, object], name: str) -> int:
    return int(entry.get(name) or 0)
