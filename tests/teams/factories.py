"""Plain functions that make the objects of teams tests."""

from __future__ import annotations

import time
from dataclasses import dataclass
from itertools import count

from django.db import connection
from django.test import Client

from teams import services
from teams.models import ApiToken, Membership, Project, Role, Scope, User

PASSWORD = "correct-horse-battery"
_numbers = count(1)


def make_user(name: str | None = None, password: str = PASSWORD, **fields: object) -> User:
    return User.objects.create_user(name or f"user{next(_numbers)}", password=password, **fields)


def make_project(slug: str | None = None, **members: str) -> Project:
    """Create a project; `ann="admin"` also makes the user ann with that role."""
    slug = slug or f"project{next(_numbers)}"
    project = Project.objects.create(slug=slug, name=slug.title())
    for name, role in members.items():
        user, _ = User.objects.get_or_create(username=name)
        add_member(project, user, Role(role))
    return project


def add_member(project: Project, user: User, role: Role = Role.VIEWER) -> User:
    Membership.objects.create(project=project, user=user, role=role)
    return user


def get_user(name: str) -> User:
    return User.objects.get(username=name)


def make_token(user: User, scope: Scope = Scope.READ, project: Project | None = None) -> str:
    return services.create_token(user, f"{scope} token", scope, project)[1]


def find_token(text: str) -> ApiToken:
    return ApiToken.objects.get(key=text.split("_")[1])


def sign_in(user: User, **options: object) -> Client:
    """Return a browser that is signed in."""
    client = Client(**options)
    client.force_login(user)
    return client


@dataclass
class Api:
    """A caller of the API with a token, or without one."""

    token: str | None = None
    client: Client | None = None

    def call(self, method: str, path: str, body: object = None, **headers: str) -> object:
        """Send JSON; the answer's JSON stands in `.json()`."""
        client = self.client or Client(raise_request_exception=False)
        if self.token is not None:
            headers["Authorization"] = f"Bearer {self.token}"
        extra = {} if body is None else {"data": body, "content_type": "application/json"}
        return getattr(client, method.lower())(f"/api/v1/{path}", headers=headers, **extra)

    def get(self, path: str, **headers: str) -> object:
        return self.call("GET", path, **headers)

    def post(self, path: str, body: object = None, **headers: str) -> object:
        return self.call("POST", path, {} if body is None else body, **headers)

    def patch(self, path: str, body: object) -> object:
        return self.call("PATCH", path, body)

    def delete(self, path: str) -> object:
        return self.call("DELETE", path)


def api_of(user: User, scope: Scope = Scope.ADMIN, project: Project | None = None) -> Api:
    return Api(make_token(user, scope, project))


def error_of(response: object) -> tuple[int, str, str | None]:
    """Return status, code and field of an error answer."""
    error = response.json()["error"]
    assert set(error) >= {"code", "message", "field"}
    return response.status_code, error["code"], error["field"]


def wait_until_blocked() -> None:
    """Return once another connection waits for a lock that this one holds."""
    deadline = time.monotonic() + 60
    with connection.cursor() as cursor:
        while time.monotonic() < deadline:
            cursor.execute(
                "SELECT count(*) FROM pg_locks WHERE NOT granted "
                "AND pg_backend_pid() = ANY(pg_blocking_pids(pid))"
            )
            if cursor.fetchone()[0]:
                return
    raise AssertionError("nobody waits for this connection")
