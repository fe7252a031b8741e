"""Lists in the address of a page: comma separated, a comma inside an item written `\\,`."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence

# Every key that an address may hold, in its one order; static/js/state.js holds the same list.
ORDER = (
    *("tab", "m", "f", "q", "state", "color", "dash", "facet", "row", "variant", "c", "x"),
    *("xs", "ys", "xr", "yr", "y", "sm", "agg", "area", "sel", "hl", "old", "base"),
    *("law", "ho", "fit", "version", "by", "open", "s", "p", "cols", "arch", "ref", "v"),
)
_ITEM = re.compile(r"((?:[^\\,]|\\.?)*)(,|$)", re.DOTALL)


def split_list(text: str) -> list[str]:
    """Return the items of a list; "" has none."""
    if not text:
        return []
    found = []
    for match in _ITEM.finditer(text):
        found.append(re.sub(r"\\(.)", r"\1", match.group(1), flags=re.DOTALL))
        if match.group(2) == "":
            break
    return found


def join_list(items: Iterable[str]) -> str:
    """Return a list as split_list reads it."""
    return ",".join(re.sub(r"[\\,]", r"\\\g<0>", item) for item in items)


def say_misread(key: str, text: str, wanted: str) -> str:
    """Return the note that a page shows where a value of its address makes no sense."""
    return f"{key}={text[:40]} was not understood; it takes {wanted}."


def note_choice(query: Mapping[str, str], key: str, choices: Sequence[str]) -> list[str]:
    """Return the note on a key that names none of its choices, or nothing."""
    text = query.get(key, "")
    if not text or text in choices:
        return []
    return [say_misread(key, text, f"one of {', '.join(filter(None, choices))}")]
