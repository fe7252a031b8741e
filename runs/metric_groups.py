"""Metrics by the first part of their names: `loss.train` and `loss/val` belong together. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from scaledash.lib.names import LOSS_TRAIN, LOSS_VAL, canonical_metric

OTHERS = "metrics"  # the group of names without parts
FEW_NAMES, MANY_PREFIXES = 2, 3
_FIRST_PART = re.compile(r"([^./]+)[./]")
_DIGITS = re.compile(r"(\d+)")


def find_prefix(name: str) -> str:
    """Return the first dotted or slashed part of a name, or the group of names without parts."""
    match = _FIRST_PART.match(name)
    return match.group(1) if match else OTHERS


def group_names(names: Iterable[str]) -> dict[str, list[str]]:
    """Return prefix -> names: groups with a loss first, then by prefix; layer 2 before layer 10."""
    groups: dict[str, list[str]] = {}
    for name in sorted(names, key=lambda name: (not is_loss(name), sort_naturally(name))):
        groups.setdefault(find_prefix(name), []).append(name)
    joined = join_numbered(groups)
    order = sorted(joined, key=lambda prefix: (not is_loss(joined[prefix][0]), prefix))
    return {prefix: joined[prefix] for prefix in order}


def join_numbered(groups: Mapping[str, list[str]]) -> dict[str, list[str]]:
    """Put groups of one or two names together whose prefixes differ in a number alone.

    Sixty-four ranks that log a throughput each are one group and not sixty-four.
    """
    alike: dict[str, list[str]] = {}
    for prefix, names in groups.items():
        stem = prefix.rstrip("0123456789")
        if stem and stem != prefix and len(names) <= FEW_NAMES:
            alike.setdefault(stem, []).append(prefix)
    joined = dict(groups)
    for prefixes in alike.values():
        if len(prefixes) >= MANY_PREFIXES:
            names = [name for prefix in prefixes for name in joined.pop(prefix)]
            joined[f"{prefixes[0]} … {prefixes[-1]}"] = names
    return joined


def is_loss(name: str) -> bool:
    """Say whether a metric is the training or the validation loss."""
    return canonical_metric(name) in (LOSS_TRAIN, LOSS_VAL)


def sort_naturally(name: str) -> list[tuple[int, int, str]]:
    """Return what names are sorted by so that L2 comes before L10."""
    parts = _DIGITS.split(name)
    return [(0, int(part), "") if part.isdecimal() else (1, 0, part) for part in parts if part]
