"""The page of the server's state, for its administrators."""

from __future__ import annotations

import time

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.http import require_safe

from fitting.status.broker import asker
from fitting.status.report import build_report, read_disk
from fitting.status.store import read_readings
from fitting.sweeper import CONNECTION_NAME
from teams.pages import answer_json, require_site_admin


@require_safe
@require_site_admin
def show_status(request: HttpRequest) -> HttpResponse:
    """Say how the server is."""
    document = build_status()
    context = {**document, "json_url": reverse("status-json"), "crumbs": [("Status", None)]}
    return render(request, "fitting/status.html", context)


@require_safe
@require_site_admin
def read_status(request: HttpRequest) -> HttpResponse:
    """Answer the twin of the page, which the page polls."""
    return answer_json(build_status())


def build_status() -> dict[str, object]:
    """Return the document; its revision always moves, because ages do."""
    report = build_report(read_readings(CONNECTION_NAME), asker.ask(), read_disk())
    return {"rev": f"{time.time():.1f}", **report}
