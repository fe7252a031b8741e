"""What the bell in the header of every page shows."""

from __future__ import annotations

import functools

from django.http import HttpRequest

from fitting.alerts.queries import count_unread
from teams.pages import get_principal


def count_for_bell(request: HttpRequest) -> dict[str, object]:
    """Give templates the count of unread alerts; it is read where a template shows it."""
    return {"unread_alerts": functools.cache(lambda: count_unread(get_principal(request)))}
