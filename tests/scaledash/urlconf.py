"""The server's routes and some that fail, for tests of error answers."""

from typing import ClassVar

from django.core.exceptions import PermissionDenied, SuspiciousOperation
from django.db import InterfaceError, OperationalError, connection
from django.http import Http404, HttpRequest, HttpResponse
from django.urls import path
from rest_framework.request import Request
from rest_framework.response import Response

from scaledash import urls
from teams.api.base import ApiView
from teams.api.errors import ApiError
from teams.models import Scope

SECRET = "sd_0123456789abcdef_" + "k" * 43
FAILURES = {
    "internal": ZeroDivisionError(f"while holding {SECRET}"),
    "outage": OperationalError("server closed the connection unexpectedly"),
    "interface": InterfaceError("connection already closed"),
    "missing": Http404(),
    "denied": PermissionDenied(),
    "suspicious": SuspiciousOperation(),
    "busy": ApiError(429, "rate", "Slow down.", None, 0.2),
}

handler400 = urls.handler400
handler403 = urls.handler403
handler404 = urls.handler404
handler500 = urls.handler500


def fail_page(request: HttpRequest, how: str) -> HttpResponse:
    """Raise what the URL names."""
    raise FAILURES[how]


def sleep_page(request: HttpRequest) -> HttpResponse:
    """Run into PostgreSQL's statement timeout."""
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL statement_timeout = 20")
        cursor.callproc("pg_sleep", [5])
    return HttpResponse()


class FailApi(ApiView):
    """Raise what the URL names, inside the API."""

    authentication_classes = ()
    permission_classes = ()

    def get(self, request: Request, how: str) -> Response:
        raise FAILURES[how]


class BearerOnly(ApiView):
    """Take tokens only, as ingest does."""

    bearer_only = True
    scopes: ClassVar[dict[str, Scope | None]] = {"POST": Scope.WRITE}

    def post(self, request: Request) -> Response:
        return Response({})


urlpatterns = [
    *urls.urlpatterns,
    path("fail/<str:how>", fail_page),
    path("fail/<str:how>.json", fail_page),
    path("sleep", sleep_page),
    path("api/v1/bearer-only", BearerOnly.as_view()),
    path("api/v1/fail/<str:how>", FailApi.as_view()),
]
