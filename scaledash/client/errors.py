"""What can go wrong, as exceptions; each message says what happened to the data."""

from __future__ import annotations


class Error(Exception):
    """Base of every exception that ScaleDash raises."""


class UsageError(Error):
    """The call contradicts itself or comes at the wrong time."""


class CommError(Error):
    """What went wrong lies between this process and the server."""


class AuthError(CommError):
    """The server does not accept the token, or there is none."""


class NotFound(CommError):
    """What was asked for does not exist, or this token may not see it."""


class Refused(CommError):
    """The server refused the request.

    Attributes
    ----------
    status : int
        HTTP status, 0 when the server was not reached.
    code : str
        Documented, stable code.
    field : str or None
        JSON pointer of the first bad value.
    """

    def __init__(
        self, message: str, status: int = 0, code: str = "", field: str | None = None
    ) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.field = field
