"""Dates in texts."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

GREENWICH = timezone(timedelta())  # datetime.UTC came with Python 3.11


def read_date(text: str) -> float | None:
    """Return a date of ISO 8601 as seconds since the epoch, in UTC unless it says otherwise."""
    try:
        at = datetime.fromisoformat(text.strip().replace("Z", "+00:00"))
    except ValueError:
        return None
    return (at if at.tzinfo else at.replace(tzinfo=GREENWICH)).timestamp()
