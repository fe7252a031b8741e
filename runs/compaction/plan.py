"""Which chunks of a run are merged with which. Pure.

Only neighbours in the order of arrival are merged, and only of one attempt: the merged chunk takes
the place of the last of them, so that no point changes its precedence over another.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

from runs.codecs import RAW

LEAST, MOST = 1_000, 10_000  # points of a merged chunk; below 1,000 a point costs a byte more


@dataclass(frozen=True)
class Header:
    """A chunk without its points."""

    metric: int
    attempt: int
    codec: int
    n: int
    rev: int


@dataclass(frozen=True)
class Merge:
    """Chunks of one series that become one."""

    metric: int
    attempt: int
    revs: tuple[int, ...]


def plan_merges(headers: Sequence[Header], is_ended: bool) -> Iterator[Merge]:
    """Yield what is worth merging; `headers` are in the order of metric and arrival.

    A running series keeps its newest points as they are until there are enough of them.
    """
    for _, series in groupby(headers, key=lambda header: (header.metric, header.attempt)):
        for group in _cut(list(series)):
            n_points = sum(header.n for header in group)
            if not _is_worth(group) or (n_points < LEAST and not is_ended):
                continue
            yield Merge(group[0].metric, group[0].attempt, tuple(h.rev for h in group))


def _cut(series: Sequence[Header]) -> Iterator[list[Header]]:
    """Yield neighbours that are small, as many as make a full chunk."""
    group: list[Header] = []
    for header in series:
        is_full = header.n >= LEAST and header.codec != RAW
        if group and (is_full or sum(h.n for h in group) + header.n > MOST):
            yield group
            group = []
        if not is_full:
            group.append(header)
    if group:
        yield group


def _is_worth(group: Sequence[Header]) -> bool:
    return len(group) > 1 or group[0].codec == RAW
