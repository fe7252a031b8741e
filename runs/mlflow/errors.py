"""Errors as MLflow clients expect them: {"error_code", "message"}; they branch on the code."""

from __future__ import annotations

from rest_framework.response import Response

from teams.api.answers import handle_exception
from teams.api.errors import ApiError

DOES_NOT_EXIST = "RESOURCE_DOES_NOT_EXIST"
ALREADY_EXISTS = "RESOURCE_ALREADY_EXISTS"
INVALID = "INVALID_PARAMETER_VALUE"
CODES = {  # status of our API -> status and code of MLflow's
    400: (400, INVALID),
    401: (401, "UNAUTHENTICATED"),
    403: (403, "PERMISSION_DENIED"),
    404: (404, DOES_NOT_EXIST),
    405: (405, "ENDPOINT_NOT_FOUND"),
    409: (409, "RESOURCE_CONFLICT"),
    413: (413, INVALID),
    422: (400, INVALID),
    429: (429, "REQUEST_LIMIT_EXCEEDED"),
    500: (500, "INTERNAL_ERROR"),
    501: (501, "NOT_IMPLEMENTED"),
    503: (503, "TEMPORARILY_UNAVAILABLE"),
}
OTHER = "BAD_REQUEST"


class MlflowError(ApiError):
    """A refusal with a code of MLflow's own."""

    def __init__(self, status: int, error_code: str, message: str) -> None:
        super().__init__(status, error_code, message)
        self.error_code = error_code


def invalid(message: str) -> MlflowError:
    """Answer for a value that cannot be accepted."""
    return MlflowError(400, INVALID, message)


def absent(what: str) -> MlflowError:
    """Answer for what is absent or invisible: the same in both cases."""
    return MlflowError(404, DOES_NOT_EXIST, f"There is no {what} here that you may see.")


def answer_error(error: Exception, context: dict[str, object]) -> Response | None:
    """Turn any exception of a view into MLflow's shape; an outage is left to the middleware."""
    response = handle_exception(error, context)
    if response is None:
        return None
    message = response.data["error"]["message"]
    if isinstance(error, MlflowError):
        code = error.error_code
    else:
        response.status_code, code = CODES.get(response.status_code, (response.status_code, OTHER))
    response.data = {"error_code": code, "message": message}
    return response
