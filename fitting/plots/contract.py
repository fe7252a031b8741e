"""What a figure of a study consists of."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from fitting.results import RefusalDoc

if TYPE_CHECKING:
    from fitting.queries import StudyView

Figure = dict[str, object]
Options = Mapping[str, str]


@dataclass(frozen=True)
class Plot:
    """One figure: `draw` returns data, layout and counts; the rest says the same in words.

    `count` gives the counts of runs whatever is drawn; `refuse` says why nothing can be concluded.
    """

    title: str
    draw: Callable[[StudyView, Options], Figure]
    caption: Callable[[StudyView, Options], str]
    tabulate: Callable[[StudyView, Options], Figure]
    law: Callable[[StudyView, Options], Figure]
    count: Callable[[StudyView], dict[str, int]]
    refuse: Callable[[StudyView, Options, Figure], RefusalDoc | None]
