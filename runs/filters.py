"""Which runs a list shows, and in which order: the query parameters of `GET runs`.

`apply_filter(runs, text)` narrows any queryset of runs by an expression of the filter language,
such as `lr >= 1e-3 and n_params > 100M and config.optimizer = adamw`; docs/api.md describes it.
"""

from __future__ import annotations

import json
import math
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from django.db.models import Expression, F, Q, QuerySet
from django.db.models.expressions import OrderBy

from runs.conditions import build_condition, check_pattern
from runs.expressions import BadExpression, parse
from runs.facts import COLUMNS
from runs.fields import JSON, LEVEL, NUMBER, UnknownField, find_field
from runs.models import Metric, Outcome, Run, RunState
from scaledash.lib.names import LOSS_TRAIN, LOSS_VAL, canonical_metric

MAX_SEARCH_LENGTH = 64
DEFAULT_ORDER = "-created"
TIMES = {"created": "created_at", "changed": "changed_at"}
ORDERS = {
    **TIMES,
    **{name: name for name in ("name", "group", "state", "last_step")},
    **{name: name for name in COLUMNS},
}
STATES = (*RunState.values, Outcome.DIVERGED.value)
ARCHIVED = (HIDE, SHOW, ONLY) = ("hide", "show", "only")
ORDER_VALUE = "order_value"


class BadFilter(Exception):
    """A parameter that makes no sense; `parameter` is its name.

    `position` is the place of the mistake in a filter, counted from 1.
    """

    def __init__(
        self, parameter: str, code: str, message: str, position: int | None = None
    ) -> None:
        super().__init__(message)
        self.parameter = parameter
        self.code = code
        self.message = message
        self.position = position


@dataclass(frozen=True)
class Order:
    """A field to order by, and in which direction; ties are broken by the newest run.

    Beside the columns of ORDERS it may be any number that a filter can name: `loss`,
    `config.<key>`, `summary.<metric>.min`, `facts.<name>`.
    """

    key: str
    is_descending: bool

    @classmethod
    def read(cls, text: str) -> Order:
        """Read a field's name, "-" first for descending."""
        key = text.removeprefix("-")
        order = cls(key, text.startswith("-"))
        if key not in ORDERS and order._find_number(()) is None:
            message = (
                f"order is {text[:40]!r}; the columns are {', '.join(ORDERS)}, "
                "loss, config.KEY, summary.NAME and facts.NAME."
            )
            raise BadFilter("order", "unknown_value", message)
        return order

    @property
    def field(self) -> str:
        """Return the column in the database, or the name of the annotation."""
        return ORDERS.get(self.key, ORDER_VALUE)

    def apply(self, runs: QuerySet[Run]) -> QuerySet[Run]:
        """Return the runs in this order; those without a value come last."""
        return self.annotate(runs).order_by(*self.columns)

    def annotate(self, runs: QuerySet[Run]) -> QuerySet[Run]:
        """Return the runs with the value that they are ordered by, where it is no column."""
        if self.field != ORDER_VALUE:
            return runs
        return runs.annotate(**{ORDER_VALUE: self._find_number(find_loss_names(runs))})

    def _find_number(self, loss_names: Sequence[str]) -> Expression | F | None:
        try:
            found = find_field(self.key, lambda: loss_names)
        except UnknownField:
            return None
        return found.number if found.kind in (NUMBER, JSON, LEVEL) else None

    @property
    def columns(self) -> tuple[OrderBy, str]:
        """Return what the database orders by; runs without a value come last."""
        column = F(self.field)
        if self.key in TIMES:  # never null, so that the index serves
            return (column.desc() if self.is_descending else column.asc()), "-id"
        order = column.desc if self.is_descending else column.asc
        return order(nulls_last=True), "-id"

    def write_cursor(self, value: object, pk: int) -> str:
        """Return where the page after the run of this value and id begins."""
        value = value.isoformat() if isinstance(value, datetime) else value
        text = json.dumps([value, pk], allow_nan=True)
        return urlsafe_b64encode(text.encode()).decode().rstrip("=")

    def after(self, cursor: str) -> Q:
        """Return the condition of the rows that come after a cursor."""
        value, pk = self._read_cursor(cursor)
        is_absent = Q(**{f"{self.field}__isnull": True})
        if value is None:
            return is_absent & Q(pk__lt=pk)
        direction = "lt" if self.is_descending else "gt"
        same, beyond = Q(**{self.field: value}), Q(**{f"{self.field}__{direction}": value})
        rest = (same & Q(pk__lt=pk)) | beyond
        if self.key in TIMES:  # said apart, so that the index begins at the cursor
            return Q(**{f"{self.field}__{direction}e": value}) & rest
        return rest | is_absent

    def _read_cursor(self, cursor: str) -> tuple[object, int]:
        try:
            text = urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)).decode()
            value, pk = json.loads(text)
            if value is not None:
                value = self._read_value(value)
            is_odd = isinstance(value, float) and math.isnan(value)
            if type(pk) is not int or not 0 < pk < 2**63 or "\x00" in text or is_odd:
                raise ValueError(text)
        except Exception as error:  # whatever a made-up cursor breaks
            message = "The cursor is none that this list gave; start from the first page."
            raise BadFilter("cursor", "bad_cursor", message) from error
        return value, pk

    def _read_value(self, value: object) -> object:
        if self.field == ORDER_VALUE:
            return float(value)
        return Run._meta.get_field(self.field).to_python(value)


def apply_filter(runs: QuerySet[Run], text: str) -> QuerySet[Run]:
    """Return the runs for which an expression of the filter language is true; all for "".

    Raises BadFilter, whose `position` points at the first mistake and whose message says what
    was expected there.
    """
    if not text.strip():
        return runs
    try:
        return runs.filter(build_condition(parse(text), lambda: find_loss_names(runs)))
    except BadExpression as error:
        message = f"At character {error.position}: {error.message}"
        raise BadFilter("filter", error.code, message, error.position) from error


def find_loss_names(runs: QuerySet[Run]) -> list[str]:
    """Return the metrics of the runs' projects that are losses, validation first."""
    projects = runs.order_by().values("project")
    names = sorted(set(Metric.objects.filter(project__in=projects).values_list("name", flat=True)))
    kinds = {name: canonical_metric(name) for name in names}
    return [name for kind in (LOSS_VAL, LOSS_TRAIN) for name in names if kinds[name] == kind]


def narrow(runs: QuerySet[Run], query: Mapping[str, str]) -> QuerySet[Run]:
    """Apply group, job_type, state, tag, search and filter; an empty one says nothing."""
    for name in ("group", "job_type"):
        if query.get(name):
            runs = runs.filter(**{name: query[name]})
    if query.get("tag"):
        runs = runs.filter(tags__contains=[query["tag"]])
    if query.get("state"):
        runs = _narrow_state(runs, query["state"])
    if query.get("search"):
        runs = _search(runs, query["search"])
    return apply_filter(runs, query.get("filter") or "")


def narrow_archived(runs: QuerySet[Run], text: str) -> QuerySet[Run]:
    """Leave archived runs out (`hide`), in (`show`), or leave only them (`only`)."""
    if text not in ARCHIVED:
        message = f"archived is {text[:40]!r}; send {', '.join(ARCHIVED)}."
        raise BadFilter("archived", "unknown_value", message)
    return runs if text == SHOW else runs.filter(archived_at__isnull=text == HIDE)


def _narrow_state(runs: QuerySet[Run], state: str) -> QuerySet[Run]:
    if state not in STATES:
        message = f"state is {state[:40]!r}; the states are {', '.join(STATES)}."
        raise BadFilter("state", "unknown_value", message)
    return runs.filter(outcome=state) if state == Outcome.DIVERGED else runs.filter(state=state)


def match_names(runs: QuerySet[Run], pattern: str) -> QuerySet[Run]:
    """Return the runs whose name or id matches a regular expression, whatever the case."""
    if not pattern:
        return runs
    try:
        check_pattern(pattern)
    except ValueError as error:
        raise BadFilter("search", "invalid", str(error)) from error
    return runs.filter(Q(name__iregex=pattern) | Q(uid__iregex=pattern))


def _search(runs: QuerySet[Run], text: str) -> QuerySet[Run]:
    if len(text) > MAX_SEARCH_LENGTH:
        message = f"A search has at most {MAX_SEARCH_LENGTH} characters, not {len(text)}."
        raise BadFilter("search", "too_long", message)
    return runs.filter(Q(name__icontains=text) | Q(uid__icontains=text))
