"""Searches of MLflow as conditions of the database, through the ORM."""

from __future__ import annotations

import json
import math
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable, Sequence
from datetime import UTC, datetime

from django.db.models import Expression, F, FloatField, Q, QuerySet, TextField, Value
from django.db.models.expressions import OrderBy
from django.db.models.functions import Cast, Coalesce
from django.db.models.lookups import BuiltinLookup, Exact, In, IsNull

from runs.conditions import LOOKUPS
from runs.fields import Field, find_field
from runs.mlflow.clauses import ATTRIBUTE, METRIC, PARAM, TAG, Clause, Name, parse, parse_order
from runs.mlflow.documents import STATUSES
from runs.mlflow.errors import invalid
from runs.mlflow.tags import NOTE, RUN_NAME
from runs.models import Run

MAX_ORDERS = 10
MAX_OFFSET = 10_000_000
MAX_MILLIS = 32_000_000_000_000  # the year 2984
TEXTS = {
    "run_id": "uid",
    "run_uuid": "uid",
    "run_name": "name",
    "name": "name",
    "status": "state",
}
TIMES = ("start_time", "end_time", "created")
TEXT_OPERATORS = ("=", "!=", "LIKE", "ILIKE", "IN", "NOT IN", "IS NULL", "IS NOT NULL")


class Like(BuiltinLookup):
    """LIKE with the caller's own pattern; a backslash stands for itself."""

    lookup_name = "contains"
    prepare_rhs = False


class ILike(BuiltinLookup):
    """LIKE without case."""

    lookup_name = "icontains"
    prepare_rhs = False


def apply_search(runs: QuerySet[Run], text: str) -> QuerySet[Run]:
    """Return the runs for which all comparisons of a search hold."""
    for clause in parse(text):
        runs = runs.filter(_build(clause))
    return runs


def apply_order(runs: QuerySet[Run], orders: Sequence[str]) -> QuerySet[Run]:
    """Return the runs in an order: newest first unless told otherwise, without a value last."""
    if len(orders) > MAX_ORDERS:
        raise invalid(f"At most {MAX_ORDERS} orders, not {len(orders)}.")
    columns: list[OrderBy] = []
    has_time = False
    for text in orders:
        name, is_descending = parse_order(text)
        has_time = has_time or name.key in ("start_time", "created")
        columns.append(OrderBy(_find_sortable(name), is_descending, nulls_last=True))
    if not has_time:
        columns.append(OrderBy(_find_time("start_time"), descending=True))
    return runs.order_by(*columns, "uid")


def _find_sortable(name: Name) -> Expression | F:
    if name.entity == METRIC:
        return _find_metric(name.key).number
    if name.entity == ATTRIBUTE and name.key in TIMES:
        return _find_time(name.key)
    return _find_text(name)


def _find_metric(key: str) -> Field:
    return find_field(f"summary.{_quote(key)}", list)


def _find_text(name: Name) -> Expression | F:
    if name.entity == PARAM:
        parts = ".".join(map(_quote, name.key.split(".")))
        return _take_text(f"config.{parts}")
    if name.entity == TAG:
        if name.key in (RUN_NAME, NOTE):
            return F("name" if name.key == RUN_NAME else "notes")
        return _take_text(f'host."mlflow"."tags".{_quote(name.key)}')
    if name.key == "user_id":
        return _take_text('host."user"')
    if name.key not in TEXTS:
        known = ", ".join((*TEXTS, "user_id", *TIMES))
        raise invalid(f"There is no attribute {name.key[:40]!r}; the attributes are {known}.")
    return F(TEXTS[name.key])


def _take_text(path: str) -> Expression:
    text = find_field(path, list).text
    assert text is not None  # keys of documents have a text
    return text


def _quote(part: str) -> str:
    escaped = part.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _find_time(key: str) -> Expression | F:
    return F("ended_at") if key == "end_time" else Coalesce(F("started_at"), F("created_at"))


def _build(clause: Clause) -> Q:
    name = clause.name
    if name.entity == METRIC:
        return _compare_number(clause, _find_metric(name.key).number, _read_float)
    if name.entity == ATTRIBUTE and name.key in TIMES:
        return _compare_number(clause, _find_time(name.key), _read_time)
    if clause.operator not in TEXT_OPERATORS:
        raise invalid(f"{name.entity} {name.key!r} is text: use =, !=, LIKE, ILIKE, IN or IS NULL.")
    if name.entity == ATTRIBUTE and name.key == "status":
        return _compare_status(clause)
    return _compare_text(clause, Cast(_find_text(name), TextField()))


def _compare_number(
    clause: Clause, field: Expression | F, read: Callable[[Clause], Expression]
) -> Q:
    if clause.operator in ("IS NULL", "IS NOT NULL"):
        return Q(IsNull(field, clause.operator == "IS NULL"))
    if clause.operator not in (*LOOKUPS, "!=") or not clause.is_number:
        raise invalid(f"{clause.name.key!r} is a number: compare it with a number, without quotes.")
    if clause.operator == "!=":
        return ~Q(Exact(field, read(clause))) & Q(IsNull(field, False))
    return Q(LOOKUPS[clause.operator](field, read(clause)))


def _read_float(clause: Clause) -> Expression:
    number = float(clause.values[0])
    if not math.isfinite(number):
        raise invalid(f"{clause.values[0][:40]} does not fit a 64-bit float.")
    return Value(number, output_field=FloatField())


def _read_time(clause: Clause) -> Expression:
    millis = float(clause.values[0])
    if not 0 <= millis <= MAX_MILLIS:
        raise invalid(f"{clause.values[0][:40]} is no time in milliseconds since 1970.")
    return Value(datetime.fromtimestamp(millis / 1000, UTC))


def _compare_text(clause: Clause, field: Expression) -> Q:
    operator = clause.operator
    if operator in ("IS NULL", "IS NOT NULL"):
        return Q(IsNull(field, operator == "IS NULL"))
    values = [_make_text(value) for value in clause.values]
    if operator in ("IN", "NOT IN"):
        found = Q(In(field, values))
    elif operator in ("LIKE", "ILIKE"):
        pattern = _make_text(clause.values[0].replace("\\", "\\\\"))
        found = Q(Like(field, pattern) if operator == "LIKE" else ILike(field, pattern))
    else:
        found = Q(Exact(field, values[0]))
    is_negated = operator in ("!=", "NOT IN")
    return ~found & Q(IsNull(field, False)) if is_negated else found


def _make_text(value: str) -> Value:
    if "\x00" in value:
        raise invalid("A text must not contain the NUL character.")
    return Value(value, output_field=TextField())


def _compare_status(clause: Clause) -> Q:
    if clause.operator not in ("=", "!=", "IN", "NOT IN"):
        raise invalid("status is compared by =, !=, IN and NOT IN.")
    wanted = {value.upper().replace("SCHEDULED", "RUNNING") for value in clause.values}
    found = Q(state__in=[state for state, status in STATUSES.items() if status in wanted])
    return ~found if clause.operator in ("!=", "NOT IN") else found


def read_offset(token: str) -> int:
    """Return how many results came before a page; the token is one that a page gave."""
    if not token:
        return 0
    try:
        offset = json.loads(urlsafe_b64decode(token + "=" * (-len(token) % 4)))["offset"]
        if type(offset) is not int or not 0 <= offset <= MAX_OFFSET:
            raise ValueError(token)
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise invalid("The page_token is none that this search gave.") from error
    return offset


def write_token(offset: int) -> str:
    """Return the token of the page that begins after so many results."""
    return urlsafe_b64encode(json.dumps({"offset": offset}).encode()).decode().rstrip("=")
