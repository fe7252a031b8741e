"""The runs table: its columns, how it is sorted and cut into pages, what its page shows."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import urlencode

from django.db.models import F, Func, JSONField, QuerySet
from django.db.models.fields.json import KeyTransform
from django.db.models.functions import Coalesce, Greatest
from django.http import QueryDict

from runs.filters import MAX_SEARCH_LENGTH, STATES, narrow
from runs.models import Metric, Run, RunState
from scaledash.lib.jsonsafe import decode_float, encode_float
from scaledash.lib.names import LOSS_TRAIN, LOSS_VAL, MAX_ATTENTION_LOGIT, canonical_metric
from scaledash.lib.units import format_quantity
from teams.models import Project

PAGE_SIZE = 100
LIST_FIELDS = (
    "uid", "name", "group", "job_type", "state", "outcome", "tags", "summary", "last_step",
    "created_at", "changed_at", "n_params", "n_params_non_embedding", "n_tokens", "flops",
    "peak_lr", "batch_tokens", "seq_len", "width", "depth", "seed", "loss_at_init",
)  # fmt: skip


@dataclass(frozen=True)
class Column:
    """One column: how a run's cell is read, written and sorted."""

    key: str
    label: str
    title: str = ""
    field: str = ""
    is_number: bool = True
    is_default: bool = True
    write: Callable[[float | None], str] = format_quantity


@dataclass(frozen=True)
class LossNames:
    """The metrics of a project that hold a loss or a logit, best first."""

    loss: tuple[str, ...]
    logit: tuple[str, ...]


def _write_step(value: float | None) -> str:
    return "" if value is None else f"{value:,.0f}"


def _write_loss(value: float | None) -> str:
    return "" if value is None else write_number(value)


def write_number(value: float) -> str:
    """Write the value of a metric, a non-finite one by its name in JSON."""
    return f"{value:.4g}" if math.isfinite(value) else str(encode_float(value))


COLUMNS = (
    Column("name", "Name", field="name", is_number=False),
    Column("state", "State", field="state", is_number=False),
    Column("n", "N", "parameters", field="n_params"),
    Column("n_ne", "N w/o emb.", "parameters without embedding", "n_params_non_embedding",
           is_default=False),
    Column("d", "D", "tokens", field="n_tokens"),
    Column("c", "C", "FLOPs", field="flops"),
    Column("lr", "LR", "peak learning rate", field="peak_lr"),
    Column("step", "Step", "last step", field="last_step", write=_write_step),
    Column("loss", "Loss", "final loss, or the latest of a running run", write=_write_loss),
    Column("logit", "Max logit", "largest attention logit of any step", is_default=False),
    Column("batch", "Batch", "tokens per batch", field="batch_tokens", is_default=False),
    Column("seq", "Context", "sequence length", field="seq_len", is_default=False),
    Column("width", "Width", field="width", is_default=False),
    Column("depth", "Depth", field="depth", is_default=False),
    Column("seed", "Seed", field="seed", is_default=False),
    Column("group", "Group", field="group", is_number=False),
    Column("tags", "Tags", is_number=False),
    Column("age", "Changed", field="changed_at", is_number=False),
    Column("created", "Created", field="created_at", is_number=False, is_default=False),
)  # fmt: skip
COLUMN_OF = {column.key: column for column in COLUMNS}
DEFAULT_KEYS = tuple(column.key for column in COLUMNS if column.is_default)


def choose_columns(text: str) -> list[Column]:
    """Return the columns that a comma list names, the name always first; unknown ones drop out."""
    keys = [key for key in text.split(",") if key in COLUMN_OF] if text else list(DEFAULT_KEYS)
    return [COLUMN_OF[key] for key in dict.fromkeys(["name", *keys])]


def find_loss_names(project: Project) -> LossNames:
    """Return which metrics of the project are its losses (validation first) and its logits."""
    names = Metric.objects.filter(project=project).values_list("name", flat=True)
    found: dict[str | None, list[str]] = {}
    for name in sorted(names):
        found.setdefault(canonical_metric(name), []).append(name)
    loss = (*found.get(LOSS_VAL, ()), *found.get(LOSS_TRAIN, ()))
    return LossNames(loss, tuple(found.get(MAX_ATTENTION_LOGIT, ())))


def search_runs(runs: QuerySet[Run], text: str, state: str) -> QuerySet[Run]:
    """Narrow the runs by a part of the name and by state; a state that is none says nothing."""
    known = state if state in STATES else ""
    return narrow(runs, {"search": text[:MAX_SEARCH_LENGTH], "state": known})


def sort_runs(runs: QuerySet[Run], sort: str, names: LossNames) -> QuerySet[Run]:
    """Order by a column, "-" for descending; runs without a value come last."""
    column = COLUMN_OF.get(sort.removeprefix("-"))
    key = _find_sort_key(column, names) if column else None
    if key is None:
        return runs.order_by("-created_at", "-id")
    is_descending = sort.startswith("-")
    order = key.desc(nulls_last=True) if is_descending else key.asc(nulls_last=True)
    return runs.order_by(order, "-id")


def _find_sort_key(column: Column, names: LossNames) -> F | Func | KeyTransform | None:
    if column.field:
        return F(column.field)
    if column.key == "loss" and names.loss:
        return _combine(Coalesce, names.loss, "last")
    if column.key == "logit" and names.logit:
        return _combine(Greatest, names.logit, "max")
    return None


def _combine(join: type[Func], metrics: Sequence[str], number: str) -> Func | KeyTransform:
    keys = [KeyTransform(number, KeyTransform(metric, "summary")) for metric in metrics]
    return join(*keys, output_field=JSONField()) if len(keys) > 1 else keys[0]


def read_summary(run: Run, names: Sequence[str], key: str) -> float | None:
    """Return one number of the first of these metrics that the run logged."""
    for name in names:
        summary: Mapping[str, object] = run.summary.get(name) or {}
        if summary.get(key) is not None:
            return decode_float(summary[key])
    return None


def read_cell(run: Run, column: Column, names: LossNames) -> object:
    """Return what stands in a cell."""
    if column.key == "name":
        return run.name or run.uid
    if column.key == "loss":
        return read_summary(run, names.loss, "last")
    if column.key == "logit":
        found = (read_summary(run, [name], "max") for name in names.logit)
        return max((value for value in found if value is not None), default=None)
    if column.key == "tags":
        return run.tags
    return getattr(run, column.field)


def write_cell(column: Column, value: object) -> str:
    """Write a cell as text; times are left to the page."""
    if isinstance(value, list | datetime):
        return ""
    return column.write(value) if column.is_number else str(value)


# --- the page ------------------------------------------------------------------------------------
@dataclass(frozen=True)
class RunsPage:
    """One page of the runs table, read from the database."""

    project: Project
    columns: list[Column]
    names: LossNames
    runs: list[Run]
    total: int
    all_runs: int
    number: int
    sort: str
    search: str
    state: str

    @property
    def first(self) -> int:
        """Return the place of the first run shown, counted from 1; 0 where there is none."""
        return (self.number - 1) * PAGE_SIZE + 1 if self.total else 0

    @property
    def last(self) -> int:
        """Return the place of the last run shown."""
        return max(0, self.first + len(self.runs) - 1)

    @property
    def keys(self) -> list[str]:
        """Return the keys of the columns."""
        return [column.key for column in self.columns]


def read_runs_page(project: Project, runs: QuerySet[Run], query: QueryDict) -> RunsPage:
    """Read one page of the runs table."""
    names = find_loss_names(project)
    state, text, sort = query.get("state", ""), query.get("q", ""), query.get("s", "")
    found = search_runs(runs, text, state)
    total = found.count()
    number = _find_page(query, total)
    start = (number - 1) * PAGE_SIZE
    return RunsPage(
        project=project,
        columns=choose_columns(query.get("cols", "")),
        names=names,
        runs=list(sort_runs(found, sort, names)[start : start + PAGE_SIZE]),
        total=total,
        all_runs=runs.count(),
        number=number,
        sort=sort,
        search=text,
        state=state if state in STATES else "",
    )


def _find_page(query: QueryDict, total: int) -> int:
    last = max(1, -(-total // PAGE_SIZE))
    text = query.get("p", "1")
    return min(max(1, int(text)), last) if text.isdecimal() and len(text) < 8 else 1


def build_runs(page: RunsPage) -> dict[str, object]:
    """Return the document of the runs table."""
    return {
        "project": page.project.slug,
        "total": page.total,
        "all_runs": page.all_runs,
        "page": page.number,
        "sort": page.sort,
        "search": page.search,
        "state": page.state,
        "columns": page.keys,
        "runs": [
            {
                "uid": run.uid,
                "state": run.state,
                "outcome": run.outcome,
                "cells": {
                    column.key: read_cell(run, column, page.names) for column in page.columns
                },
            }
            for run in page.runs
        ],
    }


def build_runs_page(page: RunsPage, query: QueryDict) -> dict[str, object]:
    """Return what the HTML of the table needs beside its document."""
    number, pages = page.number, -(-page.total // PAGE_SIZE)
    return {
        "rows": [_show_run(run, page) for run in page.runs],
        "heads": [_describe_head(column, page.sort, query) for column in page.columns],
        "choices": [(column, column in page.columns) for column in COLUMNS if column.key != "name"],
        "chosen_columns": [] if tuple(page.keys) == DEFAULT_KEYS else page.keys,
        "states": STATES,
        "pager": {
            "first": f"{page.first:,}",
            "last": f"{page.last:,}",
            "total": f"{page.total:,}",
            "previous_url": _link(query, p=number - 1) if number > 1 else "",
            "next_url": _link(query, p=number + 1) if number < pages else "",
        },
        "is_active": any(run.state == RunState.RUNNING for run in page.runs),
    }


def _show_run(run: Run, page: RunsPage) -> dict[str, object]:
    cells = [_show_cell(column, read_cell(run, column, page.names)) for column in page.columns]
    return {"uid": run.uid, "state": run.state, "outcome": run.outcome, "cells": cells}


def _show_cell(column: Column, value: object) -> dict[str, object]:
    return {
        "key": column.key,
        "is_number": column.is_number,
        "text": write_cell(column, value),
        "title": "" if value is None or not column.is_number else str(value),
        "at": value if isinstance(value, datetime) else None,
        "tags": value if column.key == "tags" else None,
    }


def _describe_head(column: Column, sort: str, query: QueryDict) -> dict[str, object]:
    is_sorted = sort.removeprefix("-") == column.key
    is_descending = sort == f"-{column.key}"
    following = column.key if is_descending else f"-{column.key}"
    direction = "descending" if is_descending else "ascending"
    return {
        "label": column.label,
        "title": column.title,
        "is_number": column.is_number,
        "direction": direction if is_sorted else "",
        "url": "" if column.key == "tags" else _link(query, s=following, p=None),
    }


def _link(query: QueryDict, **changes: object) -> str:
    pairs = {key: query[key] for key in query if key not in ("part", "sel")}
    pairs |= changes
    return "?" + urlencode({key: value for key, value in pairs.items() if value is not None})
