"""Metrics by the first part of their names: `loss.train` and `loss/val` belong together. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable

from scaledash.lib.names import LOSS_TRAIN, LOSS_VAL, canonical_metric

OTHERS = "metrics"  # the group of names without parts
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
    order = sorted(groups, key=lambda prefix: (not is_loss(groups[prefix][0]), prefix))
    return {prefix: groups[prefix] for prefix in order}


def is_loss(name: str) -> bool:
    """Say whether a metric is the training or the validation loss."""
    return canonical_metric(name) in (LOSS_TRAIN, LOSS_VAL)


def sort_naturally(name: str) -> list[tuple[int, int, str]]:
    """Return what names are sorted by so that L2 comes before L10."""
    parts = _DIGITS.split(name)
    return [(0, int(part), "") if part.isdecimal() else (1, 0, part) for part in parts if part]
