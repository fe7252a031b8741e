"""What in the address of the runs table makes no sense: said on the page, the default shown."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from runs.columns import find_column
from runs.filters import STATES
from runs.grouping import EXCEPT
from runs.table import ARCHIVES
from scaledash.lib.urlstate import note_choice, say_misread, split_list

COLUMN = "a column such as loss, lr or config.optimizer"


def list_notes(query: Mapping[str, str]) -> list[str]:
    """Return a sentence for each value that was not understood."""
    notes = note_choice(query, "state", STATES) + note_choice(query, "arch", tuple(ARCHIVES))
    number = query.get("p", "1")
    if not (number.isascii() and number.isdigit() and int(number[:8]) > 0):
        notes.append(say_misread("p", number, "the number of a page"))
    readers: dict[str, Callable[[str], str]] = {"s": _find_order, "by": _find_group, "cols": str}
    for key, read in readers.items():
        for name in split_list(query.get(key, "")):
            column = read(name)
            if column and find_column(column) is None:
                notes.append(say_misread(key, name, COLUMN))
    return notes


def _find_order(name: str) -> str:
    return name.removeprefix("-")


def _find_group(name: str) -> str:
    return "" if name.startswith(EXCEPT) else name
