"""A session engine whose database is away."""

from django.contrib.sessions.backends.base import SessionBase
from django.db import OperationalError


class SessionStore(SessionBase):
    """Fail as PostgreSQL does when it is gone."""

    def load(self) -> dict[str, object]:
        raise OperationalError("could not connect to server")
