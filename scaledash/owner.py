"""The role that owns the tables: where roles are split, it alone may change their shape."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from django.conf import settings
from django.db import connection

NAMED_BY_URL = ("NAME", "USER", "PASSWORD", "HOST", "PORT")


@contextmanager
def act_as_owner() -> Iterator[None]:
    """Connect as the owner for a while; without a split, the role of every day is the owner."""
    if settings.OWNER_DATABASE is None:
        yield
        return
    everyday = connection.settings_dict
    owner = {name: settings.OWNER_DATABASE[name] for name in NAMED_BY_URL}
    connection.close()
    connection.settings_dict = {**everyday, **owner}
    try:
        yield
    finally:
        connection.close()
        connection.settings_dict = everyday
