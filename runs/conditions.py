"""A filter's tree as a condition of the database, through the ORM: no text becomes SQL.

Logic is two-valued: a comparison with a field that a run does not have is false, and its negation
(`!=`, `!~`, `not`) true.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime, timedelta

from django.db import DataError, transaction
from django.db.models import (
    BooleanField,
    ExpressionWrapper,
    FloatField,
    Q,
    TextField,
    Value,
)
from django.db.models.functions import Cast, Coalesce, Upper
from django.db.models.lookups import (
    Exact,
    GreaterThan,
    GreaterThanOrEqual,
    In,
    IsNull,
    LessThan,
    LessThanOrEqual,
    Regex,
)
from django.utils import timezone
from django.utils.dateparse import parse_date, parse_datetime

from runs import fields, store
from runs.expressions import BadExpression, Comparison, Junction, Node, Not, Token
from runs.facts import COLUMNS
from runs.fields import Field, LossNames, UnknownField, find_field, is_keyed, join_tags
from runs.models import Outcome, Run, RunState
from scaledash.lib.units import parse_quantity

MAX_PATTERN_LENGTH = 64
LOOKUPS: Mapping[str, type] = {
    "=": Exact,
    "<": LessThan,
    "<=": LessThanOrEqual,
    ">": GreaterThan,
    ">=": GreaterThanOrEqual,
}
SUFFIXES = {"=": "", "<": "__lt", "<=": "__lte", ">": "__gt", ">=": "__gte"}
MIRRORED = {"<": ">", "<=": ">=", ">": "<", ">=": "<=", "=": "="}
CHOICES = {
    "state": (*RunState.values, Outcome.DIVERGED.value),
    "outcome": tuple(Outcome.values),
}
NON_FINITE = {"nan": math.nan, "inf": math.inf, "infinity": math.inf, "-inf": -math.inf,
              "-infinity": -math.inf}  # fmt: skip
DURATION = re.compile(r"([0-9]+(?:\.[0-9]+)?)(s|min|h|d|w)")
SECONDS = {"s": 1, "min": 60, "h": 3600, "d": 86_400, "w": 604_800}


def build_condition(node: Node, loss_names: LossNames) -> Q:
    """Return the condition of a tree, or raise BadExpression."""
    if isinstance(node, Junction):
        parts = [build_condition(part, loss_names) for part in node.parts]
        joined = parts[0]
        for part in parts[1:]:
            joined = joined & part if node.word == "and" else joined | part
        return joined
    if isinstance(node, Not):
        return _negate(build_condition(node.part, loss_names))
    return _compare(node, loss_names)


def _negate(condition: Q) -> Q:
    known = Coalesce(ExpressionWrapper(condition, BooleanField()), Value(False))
    return Q(Exact(known, Value(False)))


def _compare(node: Comparison, loss_names: LossNames) -> Q:
    field = _find_field(node.field, loss_names)
    if node.operator == "in" and len(node.values) > 1:
        parts = [_compare_one(field, node, "=", value) for value in node.values]
        joined = parts[0]
        for part in parts[1:]:
            joined = joined | part
        return joined
    operator = "=" if node.operator == "in" else node.operator
    return _compare_one(field, node, operator, node.values[0])


def _find_field(token: Token, loss_names: LossNames) -> Field:
    """Return the field that a word names; LR and N, as tables head their columns, are lr and n."""
    try:
        return find_field(token.text, loss_names)
    except UnknownField as error:
        if not is_keyed(token.text):
            with suppress(UnknownField):
                return find_field(token.text.lower(), loss_names)
        raise BadExpression(str(error), token.position, "unknown_field") from error


def _compare_one(field: Field, node: Comparison, operator: str, value: Token) -> Q:
    compare = {
        fields.NUMBER: _compare_number,
        fields.TEXT: _compare_text,
        fields.CHOICE: _compare_choice,
        fields.TAGS: _compare_tags,
        fields.TIME: _compare_time,
        fields.AGE: _compare_age,
        fields.JSON: _compare_json,
        fields.LEVEL: _compare_level,
        fields.MEMBER: _compare_member,
    }[field.kind]
    if operator == "~" and field.kind in (fields.NUMBER, fields.TIME, fields.AGE, fields.LEVEL):
        message = f"{node.field.text} is no text; ~ searches text."
        raise BadExpression(message, node.field.position)
    if _is_null(value) and field.kind not in (fields.TAGS, fields.MEMBER):
        return _compare_null(field, operator, value)
    return compare(field, operator, value)


def _compare_null(field: Field, operator: str, value: Token) -> Q:
    if operator != "=":
        raise BadExpression("null is compared by = and != only.", value.position)
    if field.kind == fields.JSON:
        return Q(IsNull(field.text, True))
    return Q(**{f"{field.column}__isnull": True})


def _compare_number(field: Field, operator: str, value: Token) -> Q:
    number = _read_number(value)
    if math.isnan(number):
        raise BadExpression("This field is never NaN.", value.position)
    if field.column in COLUMNS:
        return Q(**{f"{field.column}{SUFFIXES[operator]}": number})
    counted = Cast(field.number, FloatField())  # 1.5 and 1e30 compare with whole numbers too
    return Q(LOOKUPS[operator](counted, Value(number)))


def _compare_text(field: Field, operator: str, value: Token) -> Q:
    if operator == "~":
        return Q(**{f"{field.column}__regex": _read_pattern(value)})
    return Q(**{f"{field.column}{SUFFIXES[operator]}": value.text})


def _compare_choice(field: Field, operator: str, value: Token) -> Q:
    if operator == "~":
        return _compare_text(field, operator, value)
    choices = CHOICES[field.column]
    if value.text not in choices:
        message = f"{value.text[:40]!r} is none of {', '.join(choices)}."
        raise BadExpression(message, value.position, "unknown_value")
    if operator != "=":
        message = f"{field.column} is compared by =, !=, in and ~ only."
        raise BadExpression(message, value.position)
    column = "outcome" if value.text == Outcome.DIVERGED else field.column
    return Q(**{column: value.text})


def _compare_level(field: Field, operator: str, value: Token) -> Q:
    if value.text not in field.levels:
        if value.text != fields.UNKNOWN:
            message = f"{value.text[:40]!r} is none of {', '.join(field.levels)}, {fields.UNKNOWN}."
            raise BadExpression(message, value.position, "unknown_value")
        if operator != "=":
            message = f"{fields.UNKNOWN} has no place among the others; compare it by = and !=."
            raise BadExpression(message, value.position)
        return Q(**{f"{field.column}__isnull": True}) | Q(**{field.column: fields.UNKNOWN})
    place = field.levels.index(value.text)
    chosen = {
        "=": field.levels[place : place + 1],
        "<": field.levels[:place],
        "<=": field.levels[: place + 1],
        ">": field.levels[place + 1 :],
        ">=": field.levels[place:],
    }[operator]
    return Q(**{f"{field.column}__in": chosen})


def _compare_tags(field: Field, operator: str, value: Token) -> Q:
    if operator == "=":
        return Q(tags=[]) if _is_null(value) else Q(tags__contains=[value.text])
    if operator == "~":
        return Q(Regex(join_tags(), Value(_read_pattern(value))))
    message = 'Tags are compared by =, !=, in and ~: tags = "ablation".'
    raise BadExpression(message, value.position)


def _compare_member(field: Field, operator: str, value: Token) -> Q:
    if operator not in ("=", "~") or _is_null(value):
        message = 'It is compared by =, !=, in and ~: study = "lr-sweep".'
        raise BadExpression(message, value.position)
    wanted = {field.column: value.text}
    if operator == "~":
        wanted = {f"{field.column}__regex": _read_pattern(value)}
    return Q(pk__in=Run.objects.filter(**wanted).values("pk"))


def _compare_time(field: Field, operator: str, value: Token) -> Q:
    start, end = _read_time(value)
    column = field.column
    if operator == "=":
        return Q(**{f"{column}__gte": start, f"{column}__lt": end})
    edge = end if operator in ("<=", ">") else start
    suffix = {"<": "__lt", "<=": "__lt", ">": "__gte", ">=": "__gte"}[operator]
    return Q(**{f"{column}{suffix}": edge})


def _compare_age(field: Field, operator: str, value: Token) -> Q:
    try:
        edge = timezone.now() - timedelta(seconds=_read_seconds(value))
    except OverflowError as error:
        raise BadExpression("This is longer ago than dates reach.", value.position) from error
    return Q(**{f"{field.column}{SUFFIXES[MIRRORED[operator]]}": edge})


def _compare_json(field: Field, operator: str, value: Token) -> Q:
    if operator == "~":
        return Q(Regex(field.text, Value(_read_pattern(value))))
    number = _try_number(value)
    if number is None:
        text = value.text
        if value.kind == "word" and text.lower() in ("true", "false"):
            text = text.lower()
        return Q(LOOKUPS[operator](field.text, Value(text, output_field=TextField())))
    if math.isnan(number):
        if operator != "=":
            raise BadExpression("NaN is compared by = and != only.", value.position)
        return Q(In(Upper(field.text), [Value("NAN")]))
    return Q(LOOKUPS[operator](field.number, Value(number)))


def _is_null(value: Token) -> bool:
    return value.is_word("null", "none")


def _try_number(value: Token) -> float | None:
    """Return a bare word as a number with its unit; quoted text is never one."""
    if value.kind != "word":
        return None
    if value.text.lower() in NON_FINITE:
        return NON_FINITE[value.text.lower()]
    try:
        return parse_quantity(value.text)
    except ValueError:
        return None


def _read_number(value: Token) -> float:
    number = _try_number(Token("word", value.text, value.position))
    if number is None:
        message = f"{value.text[:40]!r} is no number such as 1e-3, 100M or 4k."
        raise BadExpression(message, value.position, "wrong_type")
    return number


def _read_pattern(value: Token) -> str:
    try:
        check_pattern(value.text)
    except ValueError as error:
        code = "too_long" if len(value.text) > MAX_PATTERN_LENGTH else "invalid"
        raise BadExpression(str(error), value.position, code) from error
    return value.text


def check_pattern(pattern: str) -> None:
    """Raise ValueError, with a sentence, for what is no regular expression of PostgreSQL."""
    if len(pattern) > MAX_PATTERN_LENGTH:
        message = f"A pattern has at most {MAX_PATTERN_LENGTH} characters, not {len(pattern)}."
        raise ValueError(message)
    if "\x00" in pattern:
        raise ValueError("A pattern holds no NUL character.")
    try:
        with transaction.atomic():
            store.fetch(store.CHECK_PATTERN, {"pattern": pattern})
    except DataError as error:
        reason = str(error).strip().splitlines()[0]
        raise ValueError(f"PostgreSQL says: {reason}.") from error


def _read_time(value: Token) -> tuple[datetime, datetime]:
    """Return the first moment that a time means, and the first after it."""
    try:
        moment = parse_datetime(value.text) if len(value.text) > len("2026-01-31") else None
        day = None if moment else parse_date(value.text)
    except ValueError:
        moment = day = None
    if moment is not None:
        moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
        return moment, moment + timedelta(microseconds=1)
    if day is None or not 1 < day.year < 9999:
        message = f"{value.text[:40]!r} is no date such as 2026-01-31 or 2026-01-31T08:00."
        raise BadExpression(message, value.position, "wrong_type")
    start = datetime(day.year, day.month, day.day, tzinfo=UTC)
    return start, start + timedelta(days=1)


def _read_seconds(value: Token) -> float:
    match = DURATION.fullmatch(value.text)
    if match is None:
        message = f"{value.text[:40]!r} is no duration such as 90s, 30min, 2h, 7d or 2w."
        raise BadExpression(message, value.position, "wrong_type")
    return float(match.group(1)) * SECONDS[match.group(2)]
