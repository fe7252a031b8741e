"""W&B's `filters={...}` and `order=`, in the filter language of the server."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from scaledash.client.errors import UsageError

COMPARED = {"$gt": ">", "$gte": ">=", "$lt": "<", "$lte": "<=", "$ne": "!=", "$eq": "="}
JOINED = {"$and": " and ", "$or": " or "}
FIELDS = {
    "display_name": "name",
    "displayName": "name",
    "name": "id",
    "jobType": "job_type",
    "username": "user",
    "created_at": "created",
    "createdAt": "created",
    "updated_at": "changed",
    "heartbeat_at": "heartbeat",
    "heartbeatAt": "heartbeat",
}
_PLAIN = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


def translate_filters(filters: Mapping[str, Any]) -> str:
    """Return a filter expression; equality, `$gt $gte $lt $lte $ne $eq $in $nin $regex $and $or`.

    Raises
    ------
    UsageError
        There is another operator in it.
    """
    parts = []
    for key, value in filters.items():
        if key in JOINED:
            parts.append(f"({JOINED[key].join(translate_filters(item) for item in value)})")
        elif key == "$not":
            parts.append(f"not ({translate_filters(value)})")
        else:
            parts += _translate_field(_name_field(key), value)
    return " and ".join(parts)


def translate_order(order: str) -> str:
    """Return an order of the server; W&B writes "+" for ascending and other names."""
    sign = "-" if order.startswith("-") else ""
    return sign + _name_field(order.lstrip("+-"))


def _translate_field(field: str, value: object) -> list[str]:
    if not isinstance(value, Mapping):
        return [f"{field} = {_spell(value)}"]
    return [_translate_operator(field, operator, operand) for operator, operand in value.items()]


def _translate_operator(field: str, operator: str, operand: Any) -> str:
    if operator in COMPARED:
        return f"{field} {COMPARED[operator]} {_spell(operand)}"
    if operator in ("$in", "$nin"):
        words = ", ".join(_spell(item) for item in operand)
        return f"{field} {'in' if operator == '$in' else 'not in'} ({words})"
    if operator == "$regex":
        return f"{field} ~ {_spell(operand)}"
    raise UsageError(
        f"filters: {operator!r} is not read; use filter= with the language of docs/api.md"
    )


def _name_field(key: str) -> str:
    if key in FIELDS:
        return FIELDS[key]
    head, dot, rest = key.partition(".")
    if not dot:
        return key
    if head == "config":
        rest = rest.removesuffix(".value")
        return f"config.{'.'.join(map(_quote, rest.split('.')))}"
    if head == "summary_metrics":
        return f"summary.{_quote(rest)}"
    return key


def _quote(name: str) -> str:
    return name if _PLAIN.fullmatch(name) else json.dumps(name, ensure_ascii=False)


def _spell(value: object) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (int, float)):
        return repr(value)
    return json.dumps(str(value), ensure_ascii=False)
