"""Lists by cursor: `?limit=` and `?cursor=`, answered as {"items": [...], "next": cursor}."""

from __future__ import annotations

from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable
from typing import TypeVar

from django.conf import settings
from django.core.exceptions import ValidationError
from django.db.models import Model, QuerySet
from drf_spectacular.utils import OpenApiParameter
from rest_framework.request import Request

from teams.api.errors import ApiError

DEFAULT_LIMIT = 100
MAX_LIMIT_DIGITS = 9
PAGING_PARAMETERS = [
    OpenApiParameter(
        "limit", int, description=f"Items on a page, at most {settings.MAX_PAGE_SIZE}."
    ),
    OpenApiParameter("cursor", str, description="The `next` of the page before."),
]

Row = TypeVar("Row", bound=Model)


def paginate(
    rows: QuerySet[Row], request: Request, key: str, describe: Callable[[Row], object]
) -> dict[str, object]:
    """Return one page of `rows`, ordered by the unique column `key` ("-" first: descending)."""
    limit = read_limit(request)
    column = key.lstrip("-")
    cursor = request.query_params.get("cursor")
    if cursor:
        direction = "lt" if key.startswith("-") else "gt"
        rows = rows.filter(**{f"{column}__{direction}": _decode(cursor, rows, column)})
    found = list(rows.order_by(key)[: limit + 1])
    items = [describe(row) for row in found[:limit]]
    following = _encode(getattr(found[limit - 1], column)) if len(found) > limit else None
    return {"items": items, "next": following}


def read_limit(request: Request, most: int = settings.MAX_PAGE_SIZE) -> int:
    """Return the size of a page, clamped to what the server gives at once."""
    text = request.query_params.get("limit", str(DEFAULT_LIMIT))
    digits = text.isascii() and text.isdigit() and len(text) <= MAX_LIMIT_DIGITS
    if not digits or int(text) < 1:
        raise ApiError(422, "out_of_range", f"limit is {text[:20]!r}; send 1 or more.", "limit")
    return min(int(text), most)


def _encode(value: object) -> str:
    return urlsafe_b64encode(str(value).encode()).decode().rstrip("=")


def _decode(cursor: str, rows: QuerySet[Row], column: str) -> object:
    field = rows.model._meta.pk if column == "pk" else rows.model._meta.get_field(column)
    try:
        text = urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)).decode()
        if "\x00" in text or len(text) > 100:
            raise ValueError(text)
        return field.to_python(text)
    except (ValueError, ValidationError) as error:
        message = "The cursor is none that this list gave; start from the first page."
        raise ApiError(422, "bad_cursor", message, "cursor") from error
