"""The SQL of the teams app, and how the statements of the hot path are run.

What every request of a training job runs is prepared: parsing and planning such a statement takes
longer than executing it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from weakref import WeakKeyDictionary

from django.db import connection
from django.db.models import Field, Model
from django.utils.functional import cached_property

_PLACE = re.compile(r"%\((\w+)\)s")
_TYPED_PLACE = re.compile(r"%\((\w+)\)s::(\w+(?:\[\])?)")
_sessions: WeakKeyDictionary[object, set[str]] = WeakKeyDictionary()
_waiting: WeakKeyDictionary[object, list[bytes]] = WeakKeyDictionary()


class Prepared:
    """One or several statements that each session of the database parses and plans once.

    Each parameter is written with its type where it stands first: `%(run)s::bigint`.
    """

    def __init__(self, name: str, *texts: str) -> None:
        self.texts = texts
        self.names: list[str] = []
        self.preparations: list[str] = []
        calls = []
        for number, text in enumerate(texts):
            types = dict(_TYPED_PLACE.findall(text))
            places = {param: f"${place}" for place, param in enumerate(types, 1)}
            body = _PLACE.sub(lambda found, places=places: places[found[1]], text)
            own = f"{name}_{number}"
            self.names.append(own)
            self.preparations.append(f"PREPARE {own} ({', '.join(types.values())}) AS {body}")
            given = (f"%({param})s::{kind}" for param, kind in types.items())
            calls.append(f"EXECUTE {own} ({', '.join(given)})")
        self.call = "; ".join(calls)

    def fetch(self, values: Mapping[str, object]) -> list[tuple]:
        """Run the statements, behind what waits for them, and return the rows of the last one."""
        with connection.cursor() as cursor:
            self._prepare()
            waiting = _waiting.get(connection.connection)
            if waiting:
                cursor.execute(b"; ".join([*waiting, cursor.mogrify(self.call, values)]))
                waiting.clear()
            else:
                cursor.execute(self.call, values)
            return cursor.fetchall()

    def execute(self, values: Mapping[str, object]) -> None:
        """Run the statements, in one round trip; inside `together` in that of the next `fetch`."""
        with connection.cursor() as cursor:
            self._prepare()
            waiting = _waiting.get(connection.connection)
            if waiting is None:
                cursor.execute(self.call, values)
            else:
                waiting.append(cursor.mogrify(self.call, values))

    def _prepare(self) -> None:
        session = connection.connection
        known = _sessions.setdefault(session, set())
        if known.issuperset(self.names):
            return
        with connection.wrap_database_errors, session.cursor() as cursor:
            for name, preparation in zip(self.names, self.preparations, strict=True):
                if name not in known:
                    cursor.execute(preparation)
                    known.add(name)


class Insert:
    """One row of a model by a prepared statement, which the ORM would write anew for each row.

    The columns of `now` take the time of the database.
    """

    def __init__(self, name: str, model: type[Model], now: tuple[str, ...] = ()) -> None:
        self.name = name
        self.model = model
        self.now = now

    def run(self, row: Model) -> None:
        """Store the row and give it its key."""
        values = {
            field.attname: field.get_db_prep_save(getattr(row, field.attname), connection)
            for field in self._fields
        }
        row.pk = self._statement.fetch(values)[0][0]
        row._state.adding, row._state.db = False, connection.alias

    @cached_property
    def _fields(self) -> list[Field]:
        columns = self.model._meta.concrete_fields
        return [f for f in columns if not f.primary_key and f.attname not in self.now]

    @cached_property
    def _statement(self) -> Prepared:
        names = [f'"{field.column}"' for field in self._fields] + list(self.now)
        places = [f"%({field.attname})s::{find_type(field)}" for field in self._fields]
        places += ["statement_timestamp()"] * len(self.now)
        into = f"{self.model._meta.db_table} ({', '.join(names)})"
        return Prepared(self.name, f"INSERT INTO {into} VALUES ({', '.join(places)}) RETURNING id")


def find_type(field: Field) -> str:
    """Return the type of a column without its length, in one word."""
    kind = re.sub(r"\(\d+\)", "", field.db_type(connection))
    return {"timestamp with time zone": "timestamptz", "double precision": "float8"}.get(kind, kind)


@contextmanager
def together() -> Iterator[None]:
    """Let prepared statements without rows wait and go with the next one that has some.

    Nothing inside may read what they write by another way; what still waits at the end is sent.
    """
    session = connection.connection
    if session is None or session in _waiting:
        yield
        return
    waiting = _waiting[session] = []
    try:
        yield
        if waiting:
            with connection.cursor() as cursor:
                cursor.execute(b"; ".join(waiting))
    finally:
        del _waiting[session]


# Unique key of token, primary key of user.
TOKEN = """
SELECT t.id, t.secret_sha256, t.user_id, t.project_id, t.scope, t.last_used_at
FROM teams_apitoken t JOIN teams_user u ON u.id = t.user_id
WHERE t.key = %(key)s::text AND t.revoked_at IS NULL AND u.is_active
  AND (t.expires_at IS NULL OR t.expires_at > %(now)s::timestamptz)
"""
FIND_TOKEN = Prepared("find_token", TOKEN)

# Unique slug of project, unique (project, user) of memberships.
FIND_PROJECT = Prepared(
    "find_project",
    """
SELECT p.id, p.slug, p.name, p.description, p.is_demo, p.created_at, p.deleted_at, m.role
FROM teams_project p JOIN teams_membership m ON m.project_id = p.id
WHERE p.slug = %(slug)s::text AND m.user_id = %(user)s::bigint AND p.deleted_at IS NULL
  AND (%(bound)s::bigint IS NULL OR p.id = %(bound)s)
""",
)


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
    rows = FIND_TOKEN.fetch({"key": key, "now": now})
    return StoredToken(*rows[0]) if rows else None
