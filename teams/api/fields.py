"""Strict fields for request bodies: exact JSON types, no unknown names."""

from __future__ import annotations

import threading
from collections.abc import Mapping

from rest_framework import serializers

from teams.api.errors import ApiError, escape_pointer, unprocessable

_kept = threading.local()


class StrictSerializer(serializers.Serializer):
    """A serializer that refuses fields it does not list."""

    def to_internal_value(self, data: object) -> dict[str, object]:
        """Check the names, then the values."""
        if not isinstance(data, Mapping):
            raise unprocessable("wrong_type", "Send a JSON object.", "")
        writable = {name for name, field in self.fields.items() if not field.read_only}
        unknown = sorted(set(data) - writable)
        if unknown:
            known = ", ".join(sorted(writable))
            message = f"There is no field {unknown[0][:100]!r} here; the fields are {known}."
            raise unprocessable("unknown_field", message, f"/{escape_pointer(unknown[0])}")
        return super().to_internal_value(data)


class Text(serializers.CharField):
    """A string; a number or a boolean is not one."""

    default_error_messages = {"wrong_type": "This must be a string."}

    def to_internal_value(self, data: object) -> str:
        """Refuse what is not a string."""
        if not isinstance(data, str):
            self.fail("wrong_type")
        return super().to_internal_value(data)


class Choice(serializers.ChoiceField):
    """One of a few strings."""

    default_error_messages = {"wrong_type": "This must be a string."}

    def to_internal_value(self, data: object) -> str:
        """Refuse what is not a string."""
        if not isinstance(data, str):
            self.fail("wrong_type")
        return super().to_internal_value(data)


class Integer(serializers.IntegerField):
    """A whole number; neither "7" nor 7.0 nor true is one."""

    default_error_messages = {"wrong_type": "This must be a whole number."}

    def to_internal_value(self, data: object) -> int:
        """Refuse what is not an integer."""
        if isinstance(data, bool) or not isinstance(data, int):
            self.fail("wrong_type")
        return super().to_internal_value(data)


class Flag(serializers.BooleanField):
    """true or false; neither "yes" nor 1 is one."""

    default_error_messages = {"wrong_type": "This must be true or false."}

    def to_internal_value(self, data: object) -> bool:
        """Refuse what is not a boolean."""
        if not isinstance(data, bool):
            self.fail("wrong_type")
        return data is True


class Moment(serializers.DateTimeField):
    """A point in time in ISO 8601, with its offset."""

    default_error_messages = {"wrong_type": "This must be an ISO 8601 time in a string."}

    def to_internal_value(self, data: object) -> object:
        """Refuse what is not a string."""
        if not isinstance(data, str):
            self.fail("wrong_type")
        return super().to_internal_value(data)


def read_fields(
    kind: type[serializers.Serializer], data: object, partial: bool = False
) -> dict[str, object]:
    """Return the checked fields of a request body, or raise ApiError naming the first bad one.

    A thread keeps its serializers: a new one copies every field, which takes longer than to check.
    """
    kept = _kept.__dict__.setdefault("serializers", {})
    serializer = kept.pop((kind, partial), None) or kind(data=None, partial=partial)
    serializer.initial_data = data
    try:
        serializer.is_valid(raise_exception=True)
        found = dict(serializer.validated_data)
    finally:
        for name in ("initial_data", "_validated_data", "_errors"):
            serializer.__dict__.pop(name, None)
        kept[kind, partial] = serializer
    if partial and not found:
        raise ApiError(422, "required", "Send at least one field to change.", "")
    return found


def read_inner(kind: type[serializers.Serializer], data: object, name: str) -> dict[str, object]:
    """Return the checked fields of an object that stands under a name of the body."""
    try:
        return read_fields(kind, data)
    except ApiError as error:
        raise error.under(f"/{name}") from error
    except serializers.ValidationError as error:
        raise serializers.ValidationError({name: error.detail}) from error
