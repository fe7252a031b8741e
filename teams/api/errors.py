"""What an API view raises to refuse a request; imports nothing that needs the database."""

from __future__ import annotations


class ApiError(Exception):
    """A refusal that the caller can act on.

    `code` is documented and stable, `message` one sentence with the values and the remedy,
    `field` the JSON pointer of the first bad value.
    """

    def __init__(
        self,
        status: int,
        code: str,
        message: str,
        field: str | None = None,
        retry_after_seconds: float | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
        self.field = field
        self.retry_after_seconds = retry_after_seconds

    def under(self, pointer: str) -> ApiError:
        """Return the same refusal of a value that stands deeper in the body."""
        field = None if self.field is None else pointer + self.field
        return ApiError(self.status, self.code, self.message, field, self.retry_after_seconds)


def not_found(what: str) -> ApiError:
    """Answer for an object that is absent or invisible: the same in both cases."""
    return ApiError(404, "not_found", f"There is no {what} here that you may see.")


def unprocessable(code: str, message: str, field: str) -> ApiError:
    """Answer for a well-formed body with a value that cannot be accepted."""
    return ApiError(422, code, message, field)


def escape_pointer(key: str) -> str:
    """Escape one key for a JSON pointer (RFC 6901)."""
    return key.replace("~", "~0").replace("/", "~1")
