"""The runs table: what its address asks for, and one page of rows of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from django.db.models import Count, QuerySet, Window
from django.http import QueryDict

from runs.columns import (
    Cell,
    Column,
    LossNames,
    choose_columns,
    find_column,
    find_order,
    find_value,
    read_cell,
)
from runs.filters import (
    HIDE,
    ONLY,
    SHOW,
    STATES,
    BadFilter,
    apply_filter,
    match_names,
    narrow,
    narrow_archived,
)
from runs.grouping import Grouping, Spread
from runs.models import Run
from scaledash.lib.urlstate import split_list
from teams.models import Project

PAGE_SIZE = 100
KEYS = ("f", "q", "state", "by", "open", "s", "p", "cols", "arch", "v")
ARCHIVES = {"": HIDE, "1": SHOW, "only": ONLY}
EVERY = "*"
MAX_OPEN = 50  # groups whose runs are shown


@dataclass(frozen=True)
class TableQuery:
    """The state of the table as its address holds it; what makes no sense is the default."""

    filter: str = ""
    pattern: str = ""
    state: str = ""
    sort: str = ""
    number: int = 1
    columns: tuple[Column, ...] = ()
    grouping: Grouping | None = None
    open: tuple[str, ...] = ()
    archived: str = HIDE

    @classmethod
    def read(cls, query: QueryDict) -> TableQuery:
        """Read the parameters of a page."""
        state, number = query.get("state", ""), query.get("p", "1")
        is_page = number.isascii() and number.isdigit() and len(number) < 8
        return cls(
            filter=query.get("f", "").strip(),
            pattern=query.get("q", "").strip(),
            state=state if state in STATES else "",
            sort=query.get("s", ""),
            number=max(1, int(number)) if is_page else 1,
            columns=tuple(choose_columns(split_list(query.get("cols", "")))),
            grouping=Grouping.read(split_list(query.get("by", ""))),
            open=tuple(split_list(query.get("open", ""))[:MAX_OPEN]),
            archived=ARCHIVES.get(query.get("arch", ""), HIDE),
        )

    @property
    def is_narrowed(self) -> bool:
        """Say whether anything is left out."""
        return bool(self.filter or self.pattern or self.state)

    @property
    def keys(self) -> list[str]:
        """Return the keys of the columns."""
        return [column.key for column in self.columns]

    @property
    def sort_column(self) -> Column | None:
        """Return the column that the table is sorted by, None for the newest first."""
        key = self.sort.removeprefix("-")
        return find_column(key) if key and key != "tags" else None


def narrow_table(runs: QuerySet[Run], query: TableQuery) -> QuerySet[Run]:
    """Return the runs that the table is about, or raise BadFilter."""
    found = narrow(narrow_archived(runs, query.archived), {"state": query.state})
    return apply_filter(match_names(found, query.pattern), query.filter)


def choose_runs(runs: QuerySet[Run], query: TableQuery, uids: str) -> QuerySet[Run]:
    """Return the runs of a comma list of ids; "*" stands for all that the table is about."""
    if uids == EVERY:
        return narrow_table(runs, query)
    return runs.filter(uid__in=[uid for uid in uids.split(",") if uid])


def sort_runs(runs: QuerySet[Run], query: TableQuery, names: LossNames) -> QuerySet[Run]:
    """Order by a column, "-" for descending; runs without a value come last."""
    column = query.sort_column
    if column is None:
        return runs.order_by("-created_at", "-id")
    keys = find_order(column, names)
    if query.sort.startswith("-"):
        return runs.order_by(*(key.desc(nulls_last=True) for key in keys), "-id")
    return runs.order_by(*(key.asc(nulls_last=True) for key in keys), "-id")


@dataclass(frozen=True)
class Row:
    """One run of the table."""

    uid: str
    state: str
    outcome: str
    is_archived: bool
    cells: dict[str, Cell]


@dataclass(frozen=True)
class ShownGroup:
    """One group of the table: what its members have in common, and how they spread."""

    id: str
    label: str
    values: dict[str, Cell]
    n: int
    states: Counter[str]
    spreads: dict[str, Spread]


@dataclass(frozen=True)
class RunsPage:
    """One page of the runs table, read from the database."""

    project: Project
    query: TableQuery
    rows: list[Row] = field(default_factory=list)
    total: int = 0
    all_runs: int = 0
    number: int = 1
    error: BadFilter | None = None
    n_archived: int = 0
    groups: list[ShownGroup] = field(default_factory=list)
    n_groups: int = 0
    members: dict[str, list[Row]] = field(default_factory=dict)

    @property
    def n_items(self) -> int:
        """Return how many lines all pages have: groups, or runs."""
        return self.n_groups if self.query.grouping else self.total

    @property
    def first(self) -> int:
        """Return the place of the first line shown, counted from 1; 0 where there is none."""
        return (self.number - 1) * PAGE_SIZE + 1 if self.n_items else 0

    @property
    def last(self) -> int:
        """Return the place of the last line shown."""
        return max(0, self.first + len(self.rows or self.groups) - 1)


def find_ids(runs: QuerySet[Run], number: int) -> tuple[list[int], int, int]:
    """Return the ids of a page, how many runs there are, and the number of the page.

    Ids come first: sorted together with its cells, every run's config would be read for the sake
    of one page. The count comes with them, so that the runs are looked at once.
    """
    start = (number - 1) * PAGE_SIZE
    counted = runs.annotate(n_found=Window(Count("*"))).values_list("pk", "n_found")
    found = list(counted[start : start + PAGE_SIZE])
    if found:
        return [pk for pk, _ in found], found[0][1], number
    total = runs.count() if number > 1 else 0
    last = max(1, -(-total // PAGE_SIZE))
    return find_ids(runs, last) if total else ([], 0, 1)


def read_rows(ids: Sequence[int], columns: Sequence[Column], names: LossNames) -> list[Row]:
    """Return the rows of these runs, in this order."""
    values = {f"cell_{place}": find_value(column, names) for place, column in enumerate(columns)}
    found = Run.objects.filter(pk__in=ids).annotate(**values)
    rows = {}
    for pk, uid, state, outcome, archived_at, *cells in found.values_list(
        "pk", "uid", "state", "outcome", "archived_at", *values
    ):
        pairs = zip(columns, cells, strict=True)
        shown = {column.key: read_cell(column, cell) for column, cell in pairs}
        shown["name"] = shown["name"] or uid
        rows[pk] = Row(uid, state, outcome, archived_at is not None, shown)
    return [rows[pk] for pk in ids if pk in rows]
