"""What variants are called on pages, and which of them a figure draws where there are many.

A variant's label holds every key that varies, "qk_norm=ln, z_loss_coef=0, adam_eps=1e-08": it is
what fits and forecasts are stored under. Pages and legends name the variant by what sets it apart.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from fitting.rows import StudyRow

MANY = 6  # as many variants as there are dashes; of more only a few are drawn
FEW = 3
BASELINE = "baseline"  # the variant in which nothing is set apart


def name_variants(labels: Iterable[str]) -> dict[str, str]:
    """Return a short name for each label: its settings without the commonest ones.

    Labels of one key, and labels that share nothing, keep their text.
    """
    known = sorted(set(labels))
    split = {label: _split(label) for label in known}
    shared = find_shared(split.values())
    return {label: _name(label, split[label], shared) for label in known}


def find_shared(settings: Iterable[Mapping[str, str]]) -> dict[str, str]:
    """Return the value of each key that more variants have than any other value of it.

    Nothing is shared where a variant has other keys than the rest, or where there is one key.
    """
    items = list(settings)
    if len(items) < 3 or len({tuple(item) for item in items}) != 1 or len(items[0]) < 2:
        return {}
    shared = {}
    for key in items[0]:
        first, second = (*Counter(item[key] for item in items).most_common(2), ("", 0))[:2]
        if first[1] > second[1]:
            shared[key] = first[0]
    return shared


def _split(label: str) -> dict[str, str]:
    return dict(part.partition("=")[::2] for part in label.split(", "))


def _name(label: str, settings: Mapping[str, str], shared: Mapping[str, str]) -> str:
    apart = {key: value for key, value in settings.items() if shared.get(key) != value}
    if len(apart) == len(settings):
        return label
    return ", ".join(f"{key}={value}" for key, value in apart.items()) or BASELINE


def choose_drawn(rows: Sequence[StudyRow], wanted: str = "") -> list[str]:
    """Return the labels that are drawn: all, or where they are many those of most runs.

    `wanted` is a label that a reader has chosen: it is drawn beside the one of most runs.
    """
    ordered = order_labels(rows)
    if len(ordered) <= MANY:
        return sorted(ordered)
    return sorted({ordered[0], wanted} if wanted in ordered else ordered[:FEW])


def order_labels(rows: Sequence[StudyRow]) -> list[str]:
    """Return the labels of the runs that can be drawn, those of most runs first."""
    counts = Counter(row.variant for row in rows if not row.excluded and row.has_axes)
    return sorted(counts, key=lambda label: (-counts[label], label))


def place_variants(rows: Sequence[StudyRow]) -> dict[str, int]:
    """Return the place of each label among colours and dashes: the same in every figure.

    Few keep the order of their names, so that none changes its colour as runs arrive; of many
    the one of most runs comes first and shares its colour with no other.
    """
    ordered = order_labels(rows)
    if len(ordered) <= MANY:
        return {label: place for place, label in enumerate(sorted(ordered))}
    return {label: 1 + (n - 1) % (MANY - 1) if n else 0 for n, label in enumerate(ordered)}


def list_undrawn(rows: Sequence[StudyRow], wanted: str = "") -> set[str]:
    """Return the labels that `choose_drawn` leaves out."""
    return set(order_labels(rows)) - set(choose_drawn(rows, wanted))


def describe_shared(labels: Iterable[str]) -> str:
    """Return the settings that names leave out: "qk_norm=ln, z_loss_coef=0", or nothing."""
    shared = find_shared([_split(label) for label in sorted(set(labels))])
    return ", ".join(f"{key}={value}" for key, value in shared.items())
