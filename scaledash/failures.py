"""Error answers: a page for people, the documented JSON shape for programs."""

import logging
import sys
import uuid

from django.contrib.auth.models import AnonymousUser
from django.db import InterfaceError, OperationalError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from scaledash.lib import jsonsafe

logger = logging.getLogger(__name__)

RETRY_AFTER_SECONDS = 2
TITLES = {
    400: "The request could not be read",
    403: "Not allowed",
    404: "Not found",
    429: "Too many requests",
    500: "Something broke on the server",
    503: "Temporarily unavailable",
}


def wants_json(request: HttpRequest) -> bool:
    """Say whether a program asked: an API path or a page's JSON twin."""
    path = request.path
    return path == "/api" or path.startswith("/api/") or path.endswith(".json")


def render_error(
    request: HttpRequest, status: int, code: str, message: str, error_id: str = ""
) -> HttpResponse:
    """Answer with the error in the form that the caller reads."""
    request_id = error_id or uuid.uuid4().hex
    if wants_json(request):
        error = {"code": code, "message": message, "field": None, "id": request_id}
        response = HttpResponse(
            jsonsafe.dumps({"error": error}), status=status, content_type="application/json"
        )
        if status == 401:
            response["WWW-Authenticate"] = "Bearer"
        return response
    context = {
        "status": status,
        "title": TITLES.get(status, "Error"),
        "message": message,
        "code": code,
        "request_id": request_id,
    }
    return _render_page(request, status, context)


def _render_page(request: HttpRequest, status: int, context: dict[str, object]) -> HttpResponse:
    """Render the error page, without the database when that may be the cause."""
    if status >= 500:
        request.user = AnonymousUser()
    try:
        return render(request, "error.html", context, status=status)
    except Exception:  # an error page must not fail, whatever broke
        logger.exception("the error page could not be rendered")
        text = f"{context['title']} ({status}). {context['message']}\n{context['request_id']}\n"
        return HttpResponse(text, status=status, content_type="text/plain; charset=utf-8")


def answer_outage(request: HttpRequest, error: Exception) -> HttpResponse:
    """Answer 503 while the database is away or a query takes too long."""
    logger.warning("database unavailable for %s: %s", request.path, error)
    if "statement timeout" in str(error):
        code, message = "query_timeout", "The query took too long and was stopped; narrow it down."
    else:
        code = "database_unavailable"
        message = (
            f"The database does not answer right now; try again in {RETRY_AFTER_SECONDS} seconds."
        )
    response = render_error(request, 503, code, message)
    response.headers["Retry-After"] = str(RETRY_AFTER_SECONDS)
    return response


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Answer 400."""
    return render_error(request, 400, "malformed", "The request could not be understood.")


def csrf_failure(request: HttpRequest, reason: str = "") -> HttpResponse:
    """Answer a browser request without its CSRF token."""
    return render_error(
        request, 403, "csrf", "This form has expired; go back, reload the page and send it again."
    )


def permission_denied(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Answer 403."""
    return render_error(request, 403, "forbidden", "You may not do this here.")


def page_not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Answer 404: absent and forbidden look alike."""
    return render_error(
        request, 404, "not_found", "There is nothing at this address, or you may not see it."
    )


def server_error(request: HttpRequest) -> HttpResponse:
    """Answer 500 with an id that the log repeats, and nothing else."""
    error = sys.exc_info()[1]
    if isinstance(error, OperationalError | InterfaceError):
        return answer_outage(request, error)
    error_id = uuid.uuid4().hex
    logger.error("internal error %s at %s", error_id, request.path, exc_info=error)
    message = "The server could not answer; the cause is in its log under this id."
    return render_error(request, 500, "internal", message, error_id)
