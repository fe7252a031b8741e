"""The runs table: what its address asks for, one page of rows, what the page shows of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from urllib.parse import urlencode

from django.db import DataError
from django.db.models import Count, QuerySet, Window
from django.http import QueryDict

from runs.columns import (
    COLUMN_OF,
    COLUMNS,
    DEFAULT_KEYS,
    Cell,
    Column,
    LossNames,
    choose_columns,
    describe_cell,
    find_column,
    find_loss_names,
    find_order,
    find_value,
    is_number,
    read_cell,
)
from runs.filters import MAX_SEARCH_LENGTH, STATES, BadFilter, apply_filter, match_names, narrow
from runs.models import Run, RunState
from scaledash.lib.urlstate import join_list, split_list
from teams.models import Project

PAGE_SIZE = 100
KEYS = ("f", "q", "state", "s", "p", "cols")
CARET_REACH = 60  # characters shown before and after a mistake in a filter


# --- what is asked for ---------------------------------------------------------------------------
@dataclass(frozen=True)
class TableQuery:
    """The state of the table as its address holds it; what makes no sense is the default."""

    filter: str = ""
    pattern: str = ""
    state: str = ""
    sort: str = ""
    number: int = 1
    columns: tuple[Column, ...] = ()

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
    found = narrow(runs, {"state": query.state})
    return apply_filter(match_names(found, query.pattern), query.filter)


def count_table(runs: QuerySet[Run], query: TableQuery) -> dict[str, object]:
    """Return how many runs a filter leaves, or its error."""
    try:
        total, error = narrow_table(runs, query).count(), None
    except BadFilter as bad:
        total, error = None, describe_error(bad, query.filter)
    return {"total": total, "all_runs": runs.count(), "error": error}


def sort_runs(runs: QuerySet[Run], query: TableQuery, names: LossNames) -> QuerySet[Run]:
    """Order by a column, "-" for descending; runs without a value come last."""
    column = query.sort_column
    if column is None:
        return runs.order_by("-created_at", "-id")
    keys = find_order(column, names)
    if query.sort.startswith("-"):
        return runs.order_by(*(key.desc(nulls_last=True) for key in keys), "-id")
    return runs.order_by(*(key.asc(nulls_last=True) for key in keys), "-id")


# --- rows ----------------------------------------------------------------------------------------
@dataclass(frozen=True)
class Row:
    """One run of the table."""

    uid: str
    state: str
    outcome: str
    cells: dict[str, Cell]


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

    @property
    def first(self) -> int:
        """Return the place of the first run shown, counted from 1; 0 where there is none."""
        return (self.number - 1) * PAGE_SIZE + 1 if self.total else 0

    @property
    def last(self) -> int:
        """Return the place of the last run shown."""
        return max(0, self.first + len(self.rows) - 1)


def read_runs_page(project: Project, runs: QuerySet[Run], query: TableQuery) -> RunsPage:
    """Read one page of the runs table; a filter that cannot be read gives no rows."""
    names = find_loss_names(project)
    try:
        found = sort_runs(narrow_table(runs, query), query, names)
        ids, total, number = _find_ids(found, query.number)
    except BadFilter as error:
        return RunsPage(project, query, all_runs=runs.count(), error=error)
    except DataError as error:  # a number that no double holds, met while sorting
        bad = BadFilter("f", "invalid", f"PostgreSQL says: {str(error).splitlines()[0]}.")
        return RunsPage(project, query, all_runs=runs.count(), error=bad)
    rows = read_rows(ids, query.columns, names)
    all_runs = runs.count() if query.is_narrowed else total
    return RunsPage(project, query, rows, total, all_runs, number)


def _find_ids(runs: QuerySet[Run], number: int) -> tuple[list[int], int, int]:
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
    return _find_ids(runs, last) if total else ([], 0, 1)


def read_rows(ids: Sequence[int], columns: Sequence[Column], names: LossNames) -> list[Row]:
    """Return the rows of these runs, in this order."""
    values = {f"cell_{place}": find_value(column, names) for place, column in enumerate(columns)}
    found = Run.objects.filter(pk__in=ids).annotate(**values)
    rows = {}
    for pk, uid, state, outcome, *cells in found.values_list(
        "pk", "uid", "state", "outcome", *values
    ):
        pairs = zip(columns, cells, strict=True)
        shown = {column.key: read_cell(column, cell) for column, cell in pairs}
        shown["name"] = shown["name"] or uid
        rows[pk] = Row(uid, state, outcome, shown)
    return [rows[pk] for pk in ids if pk in rows]


# --- documents -----------------------------------------------------------------------------------
def build_runs(page: RunsPage) -> dict[str, object]:
    """Return the document of the runs table."""
    query = page.query
    return {
        "project": page.project.slug,
        "total": page.total,
        "all_runs": page.all_runs,
        "page": page.number,
        "sort": query.sort if query.sort_column else "",
        "filter": query.filter,
        "search": query.pattern,
        "state": query.state,
        "error": describe_error(page.error, query.filter),
        "columns": query.keys,
        "runs": [
            {"uid": row.uid, "state": row.state, "outcome": row.outcome, "cells": row.cells}
            for row in page.rows
        ],
    }


def describe_error(error: BadFilter | None, text: str) -> dict[str, object] | None:
    """Return what is wrong with a filter: in which field, where, and where drawn."""
    if error is None:
        return None
    return {
        "field": {"filter": "f", "search": "q"}.get(error.parameter, error.parameter),
        "message": error.message,
        "position": error.position,
        "caret": draw_caret(text, error.position),
    }


def draw_caret(text: str, position: int | None) -> str:
    """Return the filter in one line with a caret below the mistake; "" where it has no place."""
    if position is None:
        return ""
    place = position - 1
    start = max(0, place - CARET_REACH)
    line = " ".join(text[start : place + CARET_REACH].splitlines())
    return f"{line}\n{' ' * (place - start)}^"


def build_runs_page(page: RunsPage, params: QueryDict) -> dict[str, object]:
    """Return what the HTML of the table needs beside its document."""
    query, number, pages = page.query, page.number, -(-page.total // PAGE_SIZE)
    is_default = tuple(query.keys) == DEFAULT_KEYS
    return {
        "rows": [_show_row(row, page) for row in page.rows],
        "heads": [_describe_head(column, page, params) for column in query.columns],
        "choices": _list_choices(query),
        "chosen_columns": "" if is_default else join_list(query.keys),
        "states": STATES,
        "is_narrowed": query.is_narrowed,
        "clear_url": link(params, f=None, q=None, state=None, p=None),
        "max_pattern": MAX_SEARCH_LENGTH,
        "pager": {
            "first": f"{page.first:,}",
            "last": f"{page.last:,}",
            "total": f"{page.total:,}",
            "previous_url": link(params, p=number - 1) if number > 1 else "",
            "next_url": link(params, p=number + 1) if number < pages else "",
        },
        "is_active": any(row.state == RunState.RUNNING for row in page.rows),
    }


def _show_row(row: Row, page: RunsPage) -> dict[str, object]:
    cells = [describe_cell(column, row.cells[column.key]) for column in page.query.columns]
    return {"uid": row.uid, "state": row.state, "outcome": row.outcome, "cells": cells}


def _list_choices(query: TableQuery) -> list[tuple[Column, bool]]:
    """Return the columns to choose from: the usual ones, then those chosen by key."""
    others = [column for column in query.columns if column.key not in COLUMN_OF]
    usual = [column for column in COLUMNS if column.key != "name"]
    return [(column, column in query.columns) for column in (*usual, *others)]


def _describe_head(column: Column, page: RunsPage, params: QueryDict) -> dict[str, object]:
    sort = page.query.sort
    is_sorted = sort.removeprefix("-") == column.key
    is_descending = sort == f"-{column.key}"
    following = column.key if is_descending else f"-{column.key}"
    direction = "descending" if is_descending else "ascending"
    values = [value for row in page.rows if (value := row.cells[column.key]) is not None]
    return {
        "label": column.label,
        "title": column.title,
        "is_number": all(map(is_number, values)) if values else column.is_number,
        "direction": direction if is_sorted else "",
        "url": "" if column.key == "tags" else link(params, s=following, p=None),
    }


def link(params: QueryDict, **changes: object) -> str:
    """Return the address of the table with some keys changed; None removes one."""
    pairs = {key: params[key] for key in params if key in KEYS}
    pairs |= changes
    return "?" + urlencode({key: value for key, value in pairs.items() if value is not None})
