"""The session engine: Django's, in PostgreSQL, with rows that say whose browser they are."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, cast

from django.contrib.auth import SESSION_KEY
from django.contrib.sessions.backends.db import SessionStore as DatabaseStore

from teams.models import Session

SIGNED_IN_AT = "signed_in_at"
SEEN_AT = "seen_at"
ADDRESS = "address"
AGENT = "agent"


class SessionStore(DatabaseStore):
    """Write beside the session what its owner is shown of it."""

    @classmethod
    def get_model_class(cls) -> type[Session]:
        """Return the table."""
        return Session

    def create_model_instance(self, data: Mapping[str, Any]) -> Session:
        """Return the row of this session."""
        row = cast(Session, super().create_model_instance(data))
        row.user_id = data.get(SESSION_KEY)
        row.address = data.get(ADDRESS)
        row.agent = data.get(AGENT, "")
        row.signed_in_at = _read_time(data.get(SIGNED_IN_AT))
        row.seen_at = _read_time(data.get(SEEN_AT))
        return row


def _read_time(seconds: object) -> datetime | None:
    return None if seconds is None else datetime.fromtimestamp(float(seconds), UTC)
