"""The database backend of the settings."""

from __future__ import annotations

import select

from django.db.backends.postgresql import base


class DatabaseWrapper(base.DatabaseWrapper):
    """Django's, but an idle connection is looked at without asking the server.

    A server that ends a session says so on its socket or closes it, so that an idle connection
    with something to read is not usable any more. Asking each time would be one of the eight
    round trips of a batch.
    """

    def is_usable(self) -> bool:
        """Say whether the connection can be used; after an error the server is asked."""
        if self.errors_occurred:
            return bool(super().is_usable())
        if self.connection is None or self.connection.closed:
            return False
        poll = select.poll()
        poll.register(self.connection.fileno(), select.POLLIN)
        return not poll.poll(0)
