"""Secrets of one project and of people are nowhere they do not belong."""

from __future__ import annotations

import re

import pytest
from django.db import connection
from django.http import QueryDict
from django.test import Client
from django.urls import reverse

from fitting.models import Study
from fitting.services import add_runs
from runs.models import Run
from scaledash.lib.logs import mask_secrets
from teams import accounts, services, sharing
from teams.models import Project, Role, Scope
from teams.principals import Principal
from tests.permissions.table import TABLE
from tests.permissions.world import World, make_measurements, make_world
from tests.runs.factories import Job, make_api
from tests.teams.factories import PASSWORD, Api, get_user, make_project, make_user
from tests.test_permission_matrix import ROUTES

CANARY = "Quokka-5093"


@pytest.fixture
def world(db: None) -> World:
    """Everything of project gamma names the canary; nobody of alpha and beta is its member."""
    world = make_world()
    gamma = make_project("gamma", gina="admin")
    make_measurements(gamma)
    services.update_project(gamma, name=CANARY, description=CANARY)
    api = make_api(gamma)
    run = Run.objects.get(project=gamma, uid="run-1")
    fields = {"name": CANARY, "notes": CANARY, "tags": [CANARY], "group": CANARY}
    api.patch("runs/run-1", {**fields, "config": {CANARY: CANARY}, "host": {"hostname": CANARY}})
    Job(api, run).log([1, 2], metrics={f"{CANARY}/loss": [3.0, 2.0]})
    study = Study.objects.get(project=gamma)
    Study.objects.filter(pk=study.pk).update(name=CANARY, description=CANARY)
    add_runs(study, [run])
    share(gamma, "study", "lr-sweep")
    return world


def share(project: Project, kind: str, subject: str, **options: object) -> str:
    maker = project.memberships.filter(role=Role.ADMIN).first().user
    found = sharing.KINDS[kind].choose(
        Principal(user_id=maker.pk), project, QueryDict(f"id={subject}")
    )
    wish = sharing.ShareWish(kind=kind, subject=found, **options)
    return sharing.create_share(project, maker, wish)[1]


def crawl(token: str) -> str:
    """Return all that a link shows."""
    waiting, seen, texts = [f"/s/{token}/"], set(), []
    while waiting:
        url = waiting.pop()
        seen.add(url)
        texts.append(Client().get(url).content.decode())
        named = {link.replace("&amp;", "&") for link in re.findall(r'="(/s/[^"]*)"', texts[-1])}
        waiting += named - seen - set(waiting)
    return "\n".join(texts)


@pytest.mark.parametrize("actor", ["anonymous", "stranger", "admin", "a_admin", "b_admin"])
def test_t02_nothing_of_another_project_is_in_any_answer(world: World, actor: str) -> None:
    leaks = []
    for name, route in ROUTES.items():
        for method, call in TABLE[name].items():
            wanted = route.pattern.converters
            url = reverse(name, kwargs={key: world.arguments[key] for key in wanted})
            answer = world.call(actor, method, url + call.query, call.body)
            if CANARY in answer.content.decode() or CANARY in str(answer.headers):
                leaks.append(f"{method} {url}")
    assert leaks == []


@pytest.mark.parametrize("path", ["", ".json", "/settings", "/activity.json", "/studies.json"])
def test_t02_address_of_the_other_project_shows_nothing(world: World, path: str) -> None:
    for actor in ("admin", "stranger", "anonymous"):
        base = "/p/gamma" if path.startswith("/") else "/p/gamma/runs"
        answer = world.clients[actor].get(base + path)
        assert CANARY not in answer.content.decode()


@pytest.mark.parametrize("is_frozen", [False, True])
@pytest.mark.parametrize(("kind", "subject"), [("study", "lr-sweep"), ("run", "run-1")])
def test_t05_share_of_one_project_shows_nothing_of_another(
    world: World, kind: str, subject: str, is_frozen: bool
) -> None:
    alpha = Project.objects.get(slug="alpha")
    text = crawl(share(alpha, kind, subject, is_frozen=is_frozen))
    assert len(text) > 1000
    assert CANARY not in text


def test_t26_no_secret_stands_in_the_database(db: None) -> None:
    ann = make_user("ann")
    alpha = make_project("alpha", ann="admin")
    make_measurements(alpha)
    api = Api(services.create_token(ann, "t", Scope.ADMIN, alpha)[1])
    shared = api.post(
        "projects/alpha/shares", {"kind": "study", "id": "lr-sweep", "password": "open-sesame-9"}
    ).json()["url"]
    invited = api.post("projects/alpha/invitations", {"role": "viewer"}).json()["url"]
    secrets = {
        "token": api.token.split("_", 2)[2],
        "share": shared.split("/s/")[1].strip("/"),
        "share password": "open-sesame-9",
        "invitation": invited.rpartition("/")[2],
        "password": PASSWORD,
        "sign-in link": services.create_login_link(get_user("ann")),
        "password link": accounts.create_reset_link(ann),
    }
    dump = dump_database()
    assert "lr-sweep" in dump
    assert [name for name, secret in secrets.items() if secret in dump] == []


def dump_database() -> str:
    with connection.cursor() as cursor:
        tables = [table.name for table in connection.introspection.get_table_list(cursor)]
        texts = []
        for table in tables:
            cursor.execute(f'SELECT to_jsonb(t)::text FROM "{table}" t')
            texts += [row[0] for row in cursor.fetchall()]
    return "\n".join(texts)


def test_t26_no_secret_stands_in_what_is_logged(db: None, caplog: pytest.LogCaptureFixture) -> None:
    ann = make_user("ann")
    alpha = make_project("alpha", ann="admin")
    make_measurements(alpha)
    token = services.create_token(ann, "t", Scope.ADMIN, alpha)[1]
    api = Api(token)
    link = api.post("projects/alpha/shares", {"kind": "study", "id": "lr-sweep"}).json()["url"]
    invitation = api.post("projects/alpha/invitations", {"role": "viewer"}).json()["url"]
    reset = accounts.create_reset_link(ann)
    lines = [
        f"GET {link}rev.json with {token}",
        f"GET {invitation}",
        f"GET /reset/{reset} refused",
        f"GET /login/once/{services.create_login_link(ann)}",
    ]
    masked = mask_secrets("\n".join(lines))
    for secret in (token, link.split("/s/")[1].strip("/"), invitation.rpartition("/")[2], reset):
        assert secret not in masked
    assert caplog.text == mask_secrets(caplog.text)
