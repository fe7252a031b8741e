"""The SQL of the teams app: what every request of a training job reads."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from django.db import connection

FIND_TOKEN = """
SELECT t.id, t.secret_sha256, t.user_id, t.project_id, t.scope, t.last_used_at
FROM teams_apitoken t JOIN teams_user u ON u.id = t.user_id
WHERE t.key = %(key)s AND t.revoked_at IS NULL AND u.is_active
  AND (t.expires_at IS NULL OR t.expires_at > %(now)s)
"""


@dataclass(frozen=True)
class StoredToken:
    """A token that is neither revoked nor expired, of a user who is active."""

    id: int
    secret_sha256: str
    user_id: int
    project_id: int | None
    scope: str
    last_used_at: datetime | None


def find_token(key: str, now: datetime) -> StoredToken | None:
    """Return the token of a key; through the ORM it took a third of a small request."""
    with connection.cursor() as cursor:
        cursor.execute(FIND_TOKEN, {"key": key, "now": now})
        row = cursor.fetchone()
    return StoredToken(*row) if row else None
