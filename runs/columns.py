"""Columns of the runs table: the usual ones, and whatever the filter language can name.

A column of config, summary or facts is called as in a filter: `config.optim.lr`,
`summary.val/loss.min`.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache, partial
from typing import TypeGuard

from django.db.models import Expression, F
from django.db.models.functions import Greatest

from runs import fields
from runs.facts import COLUMNS as FACTS
from runs.facts import write_fact
from runs.fields import Field, UnknownField, find_field, is_keyed, make_number
from runs.models import Metric
from scaledash.lib.jsonsafe import decode_float, encode_float
from scaledash.lib.names import LOSS_TRAIN, LOSS_VAL, MAX_ATTENTION_LOGIT, canonical_metric
from scaledash.lib.units import format_quantity
from teams.models import Project

ABSENT = "not set"  # how a group calls runs that lack its key
MAX_COLUMNS = 60
SHOWN_LENGTH = 36  # characters that certainly fit into a cell
LOGIT = "logit"
METRICS = ("summary", "loss", LOGIT)  # columns whose numbers may be NaN or infinite
_PLAIN = re.compile(r"[\w./\-+:@%\[\]|#]+")
STATISTICS = "|".join(fields.STATISTICS)
_STATISTIC = re.compile(rf"(.+)\.({STATISTICS})")
Cell = object


@dataclass(frozen=True)
class Column:
    """One column: its key in the address, its head, and the field that it shows."""

    key: str
    label: str
    title: str = ""
    source: str = ""
    is_default: bool = True
    is_number: bool = True
    is_level: bool = False
    write: Callable[[float], str] | None = format_quantity

    @property
    def is_metric(self) -> bool:
        """Say whether the numbers of this column were logged, and so may be non-finite."""
        return self.source.partition(".")[0] in METRICS


@dataclass(frozen=True)
class LossNames:
    """The metrics of a project that hold a loss or a logit, best first."""

    loss: tuple[str, ...]
    logit: tuple[str, ...]


def write_number(value: float) -> str:
    """Write the value of a metric, a non-finite one by its name in JSON."""
    return f"{value:.4g}" if math.isfinite(value) else str(encode_float(value))


def _write_step(value: float) -> str:
    return f"{value:,.0f}"


def _column(key: str, label: str, title: str, source: str, **options: object) -> Column:
    return Column(key, label, title, source, **{"write": _find_writer(source), **options})


def _find_writer(source: str) -> Callable[[float], str]:
    return partial(write_fact, source) if source in FACTS else format_quantity


TEXT = {"is_number": False, "write": None}
HIDDEN = {"is_default": False}
COLUMNS = (
    _column("name", "Name", "", "name", **TEXT),
    _column("state", "State", "", "state", **TEXT),
    _column("outcome", "Outcome", "healthy or diverged, with evidence on the run's page", "outcome",
            **TEXT, **HIDDEN),
    _column("n", "N", "parameters", "n_params"),
    _column("n_ne", "N w/o emb.", "parameters without embedding", "n_params_non_embedding",
            **HIDDEN),
    _column("d", "D", "tokens", "n_tokens"),
    _column("c", "C", "FLOPs", "flops"),
    _column("lr", "LR", "peak learning rate", "peak_lr"),
    _column("step", "Step", "last step", "last_step", write=_write_step),
    _column("loss", "Loss", "final loss, or the latest of a running run", "loss",
            write=write_number),
    _column(LOGIT, "Max logit", "largest attention logit of any step", LOGIT, **HIDDEN,
            write=write_number),
    _column("batch", "Batch", "tokens per batch", "batch_tokens", **HIDDEN),
    _column("seq", "Context", "sequence length", "seq_len", **HIDDEN),
    _column("width", "Width", "", "width", **HIDDEN),
    _column("depth", "Depth", "", "depth", **HIDDEN),
    _column("seed", "Seed", "", "seed", **HIDDEN),
    _column("group", "Group", "", "group", **TEXT),
    _column("tags", "Tags", "", "tags", **TEXT),
    _column("age", "Changed", "", "changed", **TEXT),
    _column("created", "Created", "", "created", **TEXT, **HIDDEN),
)  # fmt: skip
COLUMN_OF = {column.key: column for column in COLUMNS}
DEFAULT_KEYS = tuple(column.key for column in COLUMNS if column.is_default)


def choose_columns(keys: Sequence[str]) -> list[Column]:
    """Return the columns of these keys, the name always first; unknown ones drop out."""
    wanted = dict.fromkeys(["name", *(keys or DEFAULT_KEYS)])
    found = (find_column(key) for key in wanted)
    return [column for column in found if column is not None][:MAX_COLUMNS]


@lru_cache(maxsize=2048)
def find_column(key: str) -> Column | None:
    """Return the column of this key, or None where it names nothing."""
    if key in COLUMN_OF:
        return COLUMN_OF[key]
    try:
        field = find_field(key, tuple)
    except UnknownField:
        return None
    if field.kind in (fields.TAGS, fields.AGE, fields.MEMBER):
        return None
    is_number, is_level = field.kind == fields.NUMBER, field.kind == fields.LEVEL
    write = _find_writer(key) if is_number else None
    if field.is_step:
        write = _write_step
    label, title = field.label or _shorten(key), field.title or key
    return Column(key, label, title, key, False, is_number, is_level, write)


def list_offered() -> list[Column]:
    """Return the columns that other apps offer, but for those of a single key."""
    found = (find_column(name) for name in fields.OFFERED if "." not in name)
    return [column for column in found if column is not None]


def _shorten(key: str) -> str:
    """Return the head of a column: what follows `config.`, statistics first."""
    rest = key.partition(".")[2] if is_keyed(key) else key
    match = _STATISTIC.fullmatch(rest) if key.startswith("summary.") else None
    return f"{match.group(2)} {match.group(1)}" if match else rest


def name_field(head: str, path: str) -> str:
    """Return how a filter calls a key of config, or a metric."""
    is_plain = _PLAIN.fullmatch(path) and not (head == "summary" and _STATISTIC.fullmatch(path))
    if is_plain:
        return f"{head}.{path}"
    escaped = re.sub(r'["\\]', r"\\\g<0>", path)
    return f'{head}."{escaped}"'


def find_loss_names(project: Project) -> LossNames:
    """Return which metrics of the project are its losses (validation first) and its logits."""
    names = Metric.objects.filter(project=project).values_list("name", flat=True)
    found: dict[str | None, list[str]] = {}
    for name in sorted(names):
        found.setdefault(canonical_metric(name), []).append(name)
    loss = (*found.get(LOSS_VAL, ()), *found.get(LOSS_TRAIN, ()))
    return LossNames(loss, tuple(found.get(MAX_ATTENTION_LOGIT, ())))


def read_field(column: Column, names: LossNames) -> Field | None:
    """Return the field of a column; None for the largest logit, which is one of several."""
    return None if column.source == LOGIT else find_field(column.source, lambda: names.loss)


def find_value(column: Column, names: LossNames) -> Expression | F:
    """Return what a cell shows."""
    field = read_field(column, names)
    if field is None:
        return find_number(column, names)
    return field.value


def find_number(column: Column, names: LossNames) -> Expression | F:
    """Return the numbers of a column; null where a run has none."""
    field = read_field(column, names)
    if field is not None:
        return field.number
    highest = [find_field(f"{name_field('summary', name)}.max", tuple) for name in names.logit]
    numbers = [make_number(field.json, field.text) for field in highest]
    if not numbers:
        return find_field("loss", tuple).number  # of no metric: null
    return Greatest(*numbers) if len(numbers) > 1 else numbers[0]


def find_order(column: Column, names: LossNames) -> list[Expression | F]:
    """Return what the database sorts by: numbers before text."""
    field = read_field(column, names)
    if field is None:
        return [find_number(column, names)]
    if field.kind == fields.LEVEL:
        return [field.number]
    return [field.value] if field.text is None else [field.number, field.text]


def read_cell(column: Column, value: Cell) -> Cell:
    """Return a value of the database as documents hold it; numbers that were logged as floats."""
    is_plain = isinstance(value, bool | list | dict | None)
    return value if is_plain or not column.is_metric else _decode(value)


def _decode(value: Cell) -> Cell:
    try:
        return decode_float(value)
    except (TypeError, ValueError):
        return value


def is_number(value: Cell) -> TypeGuard[float]:
    """Say whether a cell stands at the right."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def write_cell(column: Column, value: Cell) -> str:
    """Write a cell as text; times and tags are left to the page."""
    if value is None or isinstance(value, datetime) or column.key == "tags":
        return ""
    if is_number(value):
        return column.write(value) if column.write else write_plain(value)
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)


def write_plain(value: float) -> str:
    """Write a number of a config: whole ones in full, others with six digits."""
    if isinstance(value, int) or (value.is_integer() and abs(value) < 1e15):
        return str(int(value))
    return f"{value:.6g}" if math.isfinite(value) else str(encode_float(value))


def describe_cell(column: Column, value: Cell) -> dict[str, object]:
    """Return what the page shows in a cell; long text is cut there, and whole in its title."""
    text = write_cell(column, value)
    return {
        "key": column.key,
        "is_number": is_number(value),
        "is_level": column.is_level,
        "text": text,
        "title": str(value) if is_number(value) else text if len(text) > SHOWN_LENGTH else "",
        "at": value if isinstance(value, datetime) else None,
        "tags": value if column.key == "tags" else None,
    }
