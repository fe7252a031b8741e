"""The page of the runs table and its twin: what is read for them, and what they show."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, replace
from datetime import datetime
from typing import Any
from urllib.parse import urlencode

from django.db import DataError
from django.db.models import QuerySet
from django.http import QueryDict

from runs.columns import (
    COLUMN_OF,
    COLUMNS,
    DEFAULT_KEYS,
    Cell,
    Column,
    LossNames,
    describe_cell,
    find_loss_names,
    is_number,
    list_offered,
    write_cell,
)
from runs.filters import HIDE, MAX_SEARCH_LENGTH, SHOW, STATES, BadFilter
from runs.grouping import Group, Groups, Spread, label_rest, read_groups, sort_groups
from runs.models import Run, RunState
from runs.table import (
    KEYS,
    PAGE_SIZE,
    Row,
    RunsPage,
    ShownGroup,
    TableQuery,
    find_ids,
    narrow_table,
    read_rows,
    sort_runs,
)
from runs.table_notes import list_notes
from scaledash.lib.urlstate import join_list
from teams.models import Project

CARET_REACH = 60  # characters shown before and after a mistake in a filter
MAX_MEMBERS = 200  # runs shown of an open group
ALL_BUT_SEED = "!seed"
USUAL_GROUPS = ("group", "state", "outcome", "n", "lr", "batch", "width", "depth", "seed")


def read_runs_page(project: Project, runs: QuerySet[Run], query: TableQuery) -> RunsPage:
    """Read one page of the runs table; a filter that cannot be read gives no rows."""
    names = find_loss_names(project)
    try:
        found = narrow_table(runs, query)
        if query.grouping is not None:
            page = _read_groups_page(project, found, query, names)
        else:
            ids, total, number = find_ids(sort_runs(found, query, names), query.number)
            rows = read_rows(ids, query.columns, names)
            page = RunsPage(project, query, rows, total, number=number)
    except BadFilter as error:
        page = RunsPage(project, query, error=error)
    except DataError as error:  # a number that no double holds, met while sorting
        message = f"PostgreSQL says: {str(error).splitlines()[0]}."
        page = RunsPage(project, query, error=BadFilter("filter", "invalid", message))
    return replace(page, all_runs=runs.count(), n_archived=_count_archived(runs, page))


def _count_archived(runs: QuerySet[Run], page: RunsPage) -> int:
    """Return how many of the runs that the filter leaves are archived."""
    archived = runs.filter(archived_at__isnull=False)
    if page.error is not None or not archived.exists():
        return 0
    return narrow_table(archived, replace(page.query, archived=SHOW)).count()


def _read_groups_page(
    project: Project, runs: QuerySet[Run], query: TableQuery, names: LossNames
) -> RunsPage:
    grouping = query.grouping
    assert grouping is not None
    found = read_groups(runs, grouping, query.columns, names)
    groups = found.groups
    if query.sort_column is not None:
        groups = sort_groups(found, query.sort_column.key, query.sort.startswith("-"))
    pages = max(1, -(-len(groups) // PAGE_SIZE))
    number = min(query.number, pages)
    shown = groups[(number - 1) * PAGE_SIZE : number * PAGE_SIZE]
    if grouping.ignored:
        label_rest(shown, grouping.ignored)
    members = {}
    for group in shown:
        if group.id in query.open:
            ordered = sort_runs(Run.objects.filter(pk__in=group.runs), query, names)
            ids = list(ordered.values_list("pk", flat=True)[:MAX_MEMBERS])
            members[group.id] = read_rows(ids, query.columns, names)
    return RunsPage(
        project,
        query,
        total=sum(len(group.rows) for group in groups),
        number=number,
        groups=[_measure(group, found, query) for group in shown],
        n_groups=len(groups),
        members=members,
    )


def _measure(group: Group, found: Groups, query: TableQuery) -> ShownGroup:
    columns = zip(found.grouping.columns, group.key, strict=False)
    return ShownGroup(
        id=group.id,
        label=group.label,
        values={column.key: value for column, value in columns},
        n=len(group.rows),
        states=group.count_states(),
        spreads={key: found.measure(group, key) for key in query.keys if key in found.places},
    )


def count_table(runs: QuerySet[Run], query: TableQuery) -> dict[str, object]:
    """Return how many runs a filter leaves, or its error."""
    try:
        total, error = narrow_table(runs, query).count(), None
    except BadFilter as bad:
        total, error = None, describe_error(bad, query.filter)
    return {"total": total, "all_runs": runs.count(), "error": error}


def build_runs(page: RunsPage) -> dict[str, object]:
    """Return the document of the runs table."""
    query = page.query
    return {
        "project": page.project.slug,
        "total": page.total,
        "all_runs": page.all_runs,
        "page": page.number,
        "sort": query.sort if query.sort_column else "",
        "archived": query.archived,
        "n_archived": page.n_archived,
        "filter": query.filter,
        "search": query.pattern,
        "state": query.state,
        "error": describe_error(page.error, query.filter),
        "columns": query.keys,
        "runs": [describe_row(row) for row in page.rows],
        "by": query.grouping.keys if query.grouping else [],
        "n_groups": page.n_groups,
        "groups": [describe_group(group, page) for group in page.groups],
    }


def describe_row(row: Row) -> dict[str, object]:
    """Return a run as the twin names it."""
    return asdict(row)


def describe_group(group: ShownGroup, page: RunsPage) -> dict[str, object]:
    """Return a group with the spread of each column; its runs where it is open."""
    return {
        "id": group.id,
        "label": group.label,
        "values": group.values,
        "n": group.n,
        "states": {name: count for name, count in group.states.items() if count},
        "cells": {key: asdict(spread) for key, spread in group.spreads.items()},
        "runs": [describe_row(row) for row in page.members.get(group.id, ())],
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


def count_runs(n: int) -> str:
    """Return a number of runs in words, such as "1,584 runs"."""
    return "1 run" if n == 1 else f"{n:,} runs"


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
    query, number, pages = page.query, page.number, -(-page.n_items // PAGE_SIZE)
    is_default = tuple(query.keys) == DEFAULT_KEYS
    shown = [*page.rows, *(row for rows in page.members.values() for row in rows)]
    heads = [_describe_head(column, shown, query, params) for column in query.columns]
    rows = [_show_row(row, query) for row in page.rows]
    groups = [_show_group(group, page, params) for group in page.groups]
    _align_gaps([*rows, *(row for group in groups for row in group["rows"])], heads)
    _align_gaps(groups, heads[1:])
    return {
        "rows": rows,
        "group_rows": groups,
        "heads": heads,
        "usual_columns": ",".join(DEFAULT_KEYS),
        "choices": _list_choices(query),
        "by_choices": _list_groupings(query),
        "chosen_columns": "" if is_default else join_list(query.keys),
        "chosen_groups": join_list(query.grouping.keys) if query.grouping else "",
        "states": STATES,
        "max_members": MAX_MEMBERS,
        "total_text": count_runs(page.total),
        "all_runs_text": count_runs(page.all_runs),
        "is_narrowed": query.is_narrowed,
        "notes": list_notes(params),
        "archive": _describe_archive(page, params),
        "clear_url": link(params, f=None, q=None, state=None, p=None),
        "max_pattern": MAX_SEARCH_LENGTH,
        "pager": {
            "first": f"{page.first:,}",
            "last": f"{page.last:,}",
            "total": f"{page.n_items:,}" + (" groups" if query.grouping else ""),
            "previous_url": link(params, p=number - 1) if number > 1 else "",
            "next_url": link(params, p=number + 1) if number < pages else "",
        },
        "is_active": any(row.state == RunState.RUNNING for row in shown)
        or any(group.states[RunState.RUNNING] for group in page.groups),
    }


def _align_gaps(rows: Iterable[Mapping[str, Any]], heads: Sequence[Mapping[str, Any]]) -> None:
    """Put the dash of a missing number where the numbers of its column stand."""
    for row in rows:
        for cell, head in zip(row["cells"], heads, strict=True):
            cell["is_gap"] = head["is_number"] and not cell.get("text")


def _describe_archive(page: RunsPage, params: QueryDict) -> dict[str, object]:
    """Return the sentence about archived runs and the address of the other view."""
    is_hidden = page.query.archived == HIDE
    return {
        "is_hidden": is_hidden,
        "n": f"{page.n_archived:,}",
        "is_any": page.n_archived > 0 or not is_hidden,
        "url": link(params, arch="1" if is_hidden else None, p=None),
    }


def _show_row(row: Row, query: TableQuery) -> dict[str, Any]:
    cells = [describe_cell(column, row.cells[column.key]) for column in query.columns]
    return {
        "uid": row.uid,
        "state": row.state,
        "outcome": row.outcome,
        "is_archived": row.is_archived,
        "cells": cells,
    }


def _show_group(group: ShownGroup, page: RunsPage, params: QueryDict) -> dict[str, Any]:
    query, n, members = page.query, group.n, page.members.get(group.id)
    is_open = members is not None
    others = [name for name in query.open if name != group.id]
    toggled = others if is_open else [*others, group.id]
    shown = members or ()
    return {
        "id": group.id,
        "label": group.label,
        "count": count_runs(n),
        "is_large": n > MAX_MEMBERS,
        "is_open": is_open,
        "url": link(params, open=join_list(toggled) or None),
        "cells": [_show_spread(column, group) for column in query.columns[1:]],
        "rows": [_show_row(row, query) for row in shown],
        "left_out": f"{len(shown)} of {n:,} shown" if is_open and len(shown) < n else "",
        "width": len(query.columns),
    }


def _show_spread(column: Column, group: ShownGroup) -> dict[str, object]:
    if column.key == "state":
        return {"states": [(name, count) for name, count in group.states.items() if count]}
    spread = group.spreads.get(column.key) or Spread()
    if spread.counts:
        return {"levels": list(spread.counts.items())}
    low, high = write_cell(column, spread.low), write_cell(column, spread.high)
    if spread.mean is None and spread.n_nonfinite == 0:
        if isinstance(spread.high, datetime):
            return {"at": spread.high}
        return {"text": low if low == high else f"{low} … {high}"}
    is_one = spread.low == spread.high
    n = group.n
    notes = [f"mean of {spread.n:,} of {n:,} runs"]
    if spread.n_nonfinite:
        notes.append(f"{spread.n_nonfinite:,} not finite")
    return {
        "is_number": True,
        "text": write_cell(column, _choose_middle(spread)),
        "range": "" if is_one or spread.mean is None else f"{low} to {high}",
        "missing": "" if spread.n == n else f"n {spread.n:,}",
        "title": ", ".join(notes),
    }


def _choose_middle(spread: Spread) -> Cell:
    """Return the one value that all members have, else their mean."""
    return spread.low if spread.low == spread.high else spread.mean


def _list_choices(query: TableQuery) -> list[tuple[Column, bool]]:
    """Return the columns to choose from: those shown in their order, then the other usual ones."""
    others = [column for column in (*COLUMNS, *list_offered()) if column not in query.columns]
    return [*((column, True) for column in query.columns[1:]), *((one, False) for one in others)]


def _list_groupings(query: TableQuery) -> list[tuple[str, str, bool]]:
    """Return what to group by, as key, label and whether it is chosen, those chosen first."""
    chosen = query.grouping.keys if query.grouping else []
    usual = {key: COLUMN_OF[key].label for key in USUAL_GROUPS}
    usual |= {column.key: column.label for column in list_offered() if column.is_level}
    labels = {ALL_BUT_SEED: "All but seed", **usual}
    keys = dict.fromkeys([*chosen, *labels])
    return [(key, labels.get(key, key), key in chosen) for key in keys]


def _describe_head(
    column: Column, rows: Sequence[Row], query: TableQuery, params: QueryDict
) -> dict[str, object]:
    is_sorted = query.sort.removeprefix("-") == column.key
    is_descending = query.sort == f"-{column.key}"
    following = column.key if is_descending else f"-{column.key}"
    direction = "descending" if is_descending else "ascending"
    values = [value for row in rows if (value := row.cells[column.key]) is not None]
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
