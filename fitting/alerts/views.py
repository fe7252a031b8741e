"""Pages of alerts: one person's list over all projects, and what they mute."""

from __future__ import annotations

from urllib.parse import urlencode

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_POST, require_safe

from fitting.alerts import queries, reading
from fitting.alerts.queries import AlertQuery
from fitting.services import Refused
from teams.pages import answer_json, get_principal, get_project, require_sign_in

SHOWN = ("project", "run", "study", "severity")
STATES = (("1", "Unread"), ("", "All"))


@require_sign_in
@require_safe
def show_alerts(request: HttpRequest) -> HttpResponse:
    """Show the alerts of the reader's projects, newest first."""
    document = _build(request)
    query = AlertQuery.read(request.GET)
    filters = {name: getattr(query, name) for name in SHOWN if getattr(query, name)}
    place = urlencode(filters)
    context = {
        **document,
        "filters": filters,
        "states": [
            {
                "label": label,
                "url": _link({**filters, **({"unread": value} if value else {})}),
                "is_shown": query.unread == bool(value),
            }
            for value, label in STATES
        ],
        "query": urlencode({**filters, **({"unread": "1"} if query.unread else {})}),
        "json_url": reverse("alerts-json") + (f"?{place}" if place else ""),
        "crumbs": [("Alerts", None)],
    }
    return render(request, "fitting/alerts.html", context)


def _link(options: dict[str, str]) -> str:
    here = reverse("alerts")
    return f"{here}?{urlencode(options)}" if options else here


@require_sign_in
@require_safe
def read_alerts(request: HttpRequest) -> HttpResponse:
    """Answer the twin of the page."""
    return answer_json(_build(request))


@require_sign_in
@require_safe
def read_count(request: HttpRequest) -> HttpResponse:
    """Answer what the bell shows; pages ask for it now and then."""
    unread = queries.count_unread(get_principal(request))
    return answer_json({"rev": str(unread), "unread": unread})


@require_sign_in
@require_POST
def read_some(request: HttpRequest) -> HttpResponse:
    """Mark alerts as read: one by its id, or all of the list up to the newest that was shown."""
    principal, newest = get_principal(request), _read_id(request.POST.get("up_to", ""))
    one = _read_id(request.POST.get("id", ""))
    if one is not None:
        reading.mark_read(principal, [one])
    elif newest is not None:
        reading.mark_all_read(principal, AlertQuery.read(request.GET), newest)
    return _back(request)


@require_sign_in
@require_POST
def mute(request: HttpRequest, slug: str) -> HttpResponse:
    """Mute a project, or one of its runs or studies, for the reader alone."""
    project = get_project(request, slug)
    run, study = request.POST.get("run", ""), request.POST.get("study", "")
    try:
        reading.mute(request.user, project, run, study)
    except Refused as refusal:
        raise Http404 from refusal
    messages.success(request, "Muted for you; the list of alerts says what is muted.")
    return _back(request)


@require_sign_in
@require_POST
def unmute(request: HttpRequest, mute_id: int) -> HttpResponse:
    """Want alerts again."""
    if not reading.unmute(request.user.pk, mute_id):
        raise Http404
    return _back(request)


def _build(request: HttpRequest) -> dict[str, object]:
    principal = get_principal(request)
    found = queries.list_alerts(principal, AlertQuery.read(request.GET))
    before = _read_id(request.GET.get("before", ""))
    if before is not None:
        found = found.filter(pk__lt=before)
    rows = list(found[: queries.PAGE_SIZE + 1])
    shown = rows[: queries.PAGE_SIZE]
    return {
        "alerts": [queries.describe_alert(alert) for alert in shown],
        "newest": shown[0].pk if shown else None,
        "next": shown[-1].pk if len(rows) > len(shown) else None,
        "unread": queries.count_unread(principal),
        "mutes": [queries.describe_mute(mute) for mute in queries.list_mutes(principal)],
    }


def _read_id(text: str) -> int | None:
    is_id = text.isascii() and text.isdigit() and len(text) < 20 and int(text) <= queries.MAX_ID
    return int(text) if is_id else None


def _back(request: HttpRequest) -> HttpResponse:
    """Return to the list with its filters."""
    kept = {name: value for name, value in request.GET.items() if name in (*SHOWN, "unread")}
    return redirect(_link(kept))
