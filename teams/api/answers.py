"""The one error shape of the API: {"error": {"code", "message", "field"}}."""

from __future__ import annotations

import logging
import math
import uuid

from django.core.exceptions import PermissionDenied, RequestDataTooBig, SuspiciousOperation
from django.db import InterfaceError, OperationalError
from django.http import Http404, UnreadablePostError
from rest_framework import exceptions
from rest_framework.permissions import SAFE_METHODS
from rest_framework.response import Response

from scaledash.lib.logs import mask_secrets
from teams.api.errors import ApiError, escape_pointer, not_found
from teams.principals import ANONYMOUS
from teams.services import note_refusal

logger = logging.getLogger(__name__)

NON_FIELD_ERRORS = "non_field_errors"
CODES = {  # of rest_framework -> documented
    "null": "required",
    "blank": "required",
    "empty": "required",
    "invalid_choice": "unknown_value",
    "does_not_exist": "unknown_value",
    "max_length": "too_long",
    "min_length": "too_short",
    "max_value": "out_of_range",
    "min_value": "out_of_range",
    "not_a_list": "wrong_type",
    "not_a_dict": "wrong_type",
    "null_characters_not_allowed": "bad_character",
    "surrogate_characters_not_allowed": "bad_character",
}


def handle_exception(error: Exception, context: dict[str, object]) -> Response | None:
    """Turn any exception of an API view into the documented answer."""
    if isinstance(error, OperationalError | InterfaceError):
        return None  # the Outages middleware answers 503
    refusal = _find_refusal(error)
    if refusal is None:
        return _answer_internal(error)
    _note(refusal, context)
    return _answer(refusal)


def _note(refusal: ApiError, context: dict[str, object]) -> None:
    """Keep what was refused to a token beside it; a request that only reads writes nothing."""
    view, request = context.get("view"), context.get("request")
    principal = getattr(view, "principal", ANONYMOUS)
    if principal.token_id is not None and request.method not in SAFE_METHODS:
        note_refusal(principal, refusal.code, refusal.message)


def _find_refusal(error: Exception) -> ApiError | None:
    """Return what is wrong with the request, None where it is the server that failed."""
    if isinstance(error, ApiError):
        return error
    if isinstance(error, Http404 | exceptions.NotFound):
        return not_found("object")
    if isinstance(error, PermissionDenied):
        return ApiError(403, "forbidden", "You may not do this here.")
    if isinstance(error, exceptions.ValidationError):
        return _from_validation(error.detail)
    if isinstance(error, exceptions.APIException):
        return _from_framework(error)
    if isinstance(error, SuspiciousOperation | UnreadablePostError):
        return _from_request(error)
    return None


def _from_request(error: Exception) -> ApiError:
    if isinstance(error, RequestDataTooBig):
        return ApiError(413, "too_large", "The body is too large; send less at once.")
    return ApiError(400, "malformed", "The request could not be read to its end.")


def _from_framework(error: exceptions.APIException) -> ApiError:
    if isinstance(error, exceptions.NotAuthenticated | exceptions.AuthenticationFailed):
        return ApiError(401, "auth_required", "A valid API token is needed: Authorization: Bearer.")
    if isinstance(error, exceptions.MethodNotAllowed):
        return ApiError(405, "method_not_allowed", str(error.detail))
    if isinstance(error, exceptions.UnsupportedMediaType):
        return ApiError(415, "unsupported_media_type", "Send JSON: Content-Type: application/json.")
    if isinstance(error, exceptions.NotAcceptable):
        return ApiError(406, "not_acceptable", "This endpoint answers application/json only.")
    if isinstance(error, exceptions.ParseError):
        return ApiError(400, "malformed", str(error.detail))
    if isinstance(error, exceptions.Throttled):
        return ApiError(429, "rate", "Too many requests; slow down.", None, error.wait or 1)
    return ApiError(error.status_code, str(error.get_codes()), str(error.detail))


def _from_validation(detail: object) -> ApiError:
    """Name the first bad field of a serializer's errors."""
    pointer = ""
    while isinstance(detail, dict | list) and detail:
        key, detail = _first_of(detail)
        pointer += key
    code = getattr(detail, "code", "invalid")
    return ApiError(422, CODES.get(code, code), str(detail), pointer)


def _first_of(detail: dict[str, object] | list[object]) -> tuple[str, object]:
    if isinstance(detail, list):
        index, item = next(pair for pair in enumerate(detail) if pair[1] or pair[1] == "")
        return (f"/{index}" if isinstance(item, dict) else ""), item
    key, item = next(iter(detail.items()))
    return ("" if key == NON_FIELD_ERRORS else f"/{escape_pointer(str(key))}"), item


def _answer(error: ApiError) -> Response:
    body = {"error": {"code": error.code, "message": error.message, "field": error.field}}
    response = Response(body, status=error.status)
    if error.status == 401:
        response["WWW-Authenticate"] = "Bearer"
    if error.retry_after_seconds is not None:
        response["Retry-After"] = str(max(1, math.ceil(error.retry_after_seconds)))
    return response


def _answer_internal(error: Exception) -> Response:
    error_id = uuid.uuid4().hex
    logger.error("internal error %s: %s", error_id, mask_secrets(repr(error)), exc_info=error)
    message = "The server could not answer; the cause is in its log under this id."
    body = {"error": {"code": "internal", "message": message, "field": None, "id": error_id}}
    return Response(body, status=500)
