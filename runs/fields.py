"""What a filter, an order or a column may name: the fields of a run and where they are stored."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from django.db.models import (
    Case,
    CharField,
    Expression,
    F,
    FloatField,
    Func,
    JSONField,
    TextField,
    Value,
    When,
)
from django.db.models.functions import Cast, Coalesce
from django.db.models.lookups import In, Regex

from runs.facts import COLUMNS

NUMBER, TEXT, CHOICE, TAGS, TIME, AGE, JSON, LEVEL, MEMBER = (
    *("number", "text", "choice", "tags", "time", "age", "json", "level", "member"),
)
UNKNOWN = "unknown"  # of a level: nothing could be judged
STATISTICS = ("last", "min", "max", "count", "last_step")
NUMBER_COLUMNS = {
    **{name: name for name in COLUMNS},
    "params": "n_params",
    "tokens": "n_tokens",
    "lr": "peak_lr",
    "batch": "batch_tokens",
    "context": "seq_len",
    "n": "n_params",
    "d": "n_tokens",
    "c": "flops",
    "last_step": "last_step",
    "step": "last_step",
    "attempt": "attempt",
    "batches": "rev",
    **{name: name for name in ("repeated", "overwritten", "dropped", "exit_code", "fork_step")},
}
TEXT_COLUMNS = {
    "name": "name",
    "id": "uid",
    "group": "group",
    "job_type": "job_type",
    "notes": "notes",
    "reason": "finish_reason",
    "user": "created_by__username",
    "project": "project__slug",
    "flop_convention": "flop_convention",
    "parent": "parent__uid",
}
CHOICE_COLUMNS = {"state": "state", "outcome": "outcome"}
TIME_COLUMNS = {
    "created": "created_at",
    "changed": "changed_at",
    "started": "started_at",
    "ended": "ended_at",
    "received": "received_at",
    "heartbeat": "heartbeat_at",
    "archived": "archived_at",
}
KEYED = ("config", "summary", "facts", "host")
PLAIN_NAMES = (
    *NUMBER_COLUMNS,
    *TEXT_COLUMNS,
    *CHOICE_COLUMNS,
    *TIME_COLUMNS,
    *("tags", "tag", "age", "loss"),
)
# Text that PostgreSQL's float8 takes whatever its digits: at most 1e99 and at least 1e-99 or so.
NUMERIC_TEXT = r"^\s*[+-]?([0-9]{1,30}(\.[0-9]{0,30})?|\.[0-9]{1,30})([eE][+-]?[0-9]{1,2})?\s*$"
INFINITIES = ("Infinity", "-Infinity")
_PLAIN_KEY = re.compile(r"[\w./-]{1,40}")
_PART = re.compile(r'"((?:[^"\\]|\\.)*)"|([^".]+)')


class UnknownField(Exception):
    """A name that stands for nothing; the message suggests what was meant."""


@dataclass(frozen=True)
class Field:
    """A field: what kind of values it has, its column, or the JSON under a key.

    `levels` are the words of a LEVEL from the least to the worst; the column of a MEMBER names
    what a run belongs to, which may be several; `is_step` writes a number in full; label and title
    are those of a column of the table.
    """

    kind: str
    column: str = ""
    json: Expression | None = None
    text: Expression | None = None
    levels: tuple[str, ...] = ()
    is_step: bool = False
    label: str = ""
    title: str = ""

    @property
    def value(self) -> Expression | F:
        """Return what a cell shows of the field."""
        return F(self.column) if self.json is None else self.json

    @property
    def number(self) -> Expression | F:
        """Return the field as a number, null where it is none or NaN."""
        if self.kind == LEVEL:
            ranks = [
                When(**{self.column: word}, then=rank) for rank, word in enumerate(self.levels)
            ]
            return Case(*ranks, default=None, output_field=FloatField())
        if self.json is None:
            return self.value
        return make_number(self.json, self.text)


LossNames = Callable[[], Sequence[str]]
OFFERED: dict[str, Field] = {}


def offer_fields(fields: Mapping[str, Field]) -> None:
    """Let filters, orders, columns and groups name what another app keeps of a run.

    Apps that know of runs call it when they are ready; their columns are reached through the
    relation to the run.
    """
    OFFERED.update(fields)


def find_field(name: str, loss_names: LossNames) -> Field:
    """Return the field of this name, or raise UnknownField."""
    for kind, columns in (
        (NUMBER, NUMBER_COLUMNS),
        (TEXT, TEXT_COLUMNS),
        (CHOICE, CHOICE_COLUMNS),
        (TIME, TIME_COLUMNS),
    ):
        if name in columns:
            return Field(kind, columns[name])
    if name in OFFERED:
        return OFFERED[name]
    if name in ("tags", "tag"):
        return Field(TAGS, "tags")
    if name == "age":
        return Field(AGE, "created_at")
    if name == "loss":
        return _combine([("summary", metric, "last") for metric in loss_names()])
    if is_keyed(name):
        head, _, rest = name.partition(".")
        return _find_keyed(head, rest)
    raise UnknownField(_suggest(name))


def is_keyed(name: str) -> bool:
    """Say whether a name is a key of a document: config.lr, summary.val/loss.min."""
    head, separator, rest = name.partition(".")
    return head in KEYED and bool(separator and rest)


def _find_keyed(head: str, rest: str) -> Field:
    parts = [re.sub(r"\\(.)", r"\1", quoted) or plain for quoted, plain in _PART.findall(rest)]
    flat = ".".join(parts)
    if head == "facts":
        return _combine([("facts", flat, "0", "value")])
    if head != "summary":
        return _combine(dict.fromkeys([(head, *parts), (head, flat)]))
    is_quoted = rest.endswith('"')
    if len(parts) > 1 and parts[-1] in STATISTICS and not is_quoted:
        return _combine([("summary", ".".join(parts[:-1]), parts[-1])])
    return _combine([("user_summary", flat), ("summary", flat, "last")])


def _combine(paths: Sequence[tuple[str, ...]] | dict[tuple[str, ...], None]) -> Field:
    """Return the JSON under the first of these paths that holds any."""
    documents = [_extract(path, "jsonb_extract_path", JSONField()) for path in paths]
    texts = [_extract(path, "jsonb_extract_path_text", TextField()) for path in paths]
    if not documents:
        empty = Value(None, output_field=JSONField())
        return Field(JSON, json=empty, text=Value(None, output_field=TextField()))
    if len(documents) == 1:
        return Field(JSON, json=documents[0], text=texts[0])
    return Field(JSON, json=Coalesce(*documents), text=Coalesce(*texts))


def _extract(path: tuple[str, ...], function: str, output: object) -> Func:
    keys = [Value(key, output_field=TextField()) for key in path[1:]]
    return Func(F(path[0]), *keys, function=function, output_field=output)


def make_number(document: Expression, text: Expression | None) -> Case:
    """Return JSON as a float: numbers, the infinities, and text that is a number."""
    kind = Func(document, function="jsonb_typeof", output_field=CharField())
    is_infinite = In(text, [Value(word) for word in INFINITIES])
    return Case(
        When(In(kind, [Value("number")]), then=Cast(text, FloatField())),
        When(is_infinite, then=Cast(text, FloatField())),
        When(Regex(text, Value(NUMERIC_TEXT)), then=Cast(text, FloatField())),
        default=None,
        output_field=FloatField(),
    )


def join_tags() -> Expression:
    """Return the tags of a run as lines of one text."""
    joined = Func(F("tags"), Value("\n"), function="array_to_string", output_field=TextField())
    return joined


def _suggest(name: str) -> str:
    close = difflib.get_close_matches(name, [*PLAIN_NAMES, *OFFERED], n=1)
    meant = f"Did you mean {close[0]}? " if close else ""
    key = name if _PLAIN_KEY.fullmatch(name) else "KEY"
    return (
        f"There is no field {name[:60]!r}. {meant}A key of the config is written config.{key}, "
        f"a metric summary.{key}, a scale fact facts.{key}."
    )
