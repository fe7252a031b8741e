"""No request of a user makes the server open a connection; its servers listen to nobody else."""

from __future__ import annotations

import contextlib
import os
import socket
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import psycopg2
import pytest
import redis
import yaml
from django.conf import settings
from django.db import DatabaseError, ProgrammingError, connection, transaction
from django.test import Client

from fitting.models import Fit
from fitting.tasks import refit_tick
from runs.models import Chunk, Run
from runs.tasks import compact_run, purge_run
from scaledash.embedded.postgres import OWNER, WEB_ROLE, WEB_ROLE_MEMBER_OF
from tests.permissions.world import hash_database, make_measurements
from tests.runs.factories import Job, make_api, open_run
from tests.teams.factories import get_user, make_project, make_user, sign_in

ROOT = Path(__file__).resolve().parent.parent.parent


LAST = b"last"


class Trap:
    """A server on this machine that nobody has a reason to call."""

    def __init__(self) -> None:
        self.calls = 0
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.address = self._socket.getsockname()
        self.url = f"http://127.0.0.1:{self.address[1]}/hook"
        self._thread = threading.Thread(target=self._listen, daemon=True)
        self._thread.start()

    def _listen(self) -> None:
        """Count those who call, in their order, until one says that it is the last."""
        with self._socket:
            while True:
                caller, _ = self._socket.accept()
                with caller:
                    if caller.recv(len(LAST)) == LAST:
                        return
                    self.calls += 1

    def close(self) -> None:
        if self._thread.is_alive():
            with socket.create_connection(self.address) as caller:
                caller.sendall(LAST)
        self._thread.join()


@pytest.fixture
def trap() -> Iterator[Trap]:
    made = Trap()
    yield made
    made.close()


@pytest.mark.django_db
def test_t28_addresses_in_any_text_are_never_called(trap: Trap) -> None:
    api = make_api()
    slug, url = api.project.slug, trap.url
    text = f"![x]({url}) <img src={url}> [x]({url}) {url}"
    run = open_run(
        api, "run-1", name=url, notes=text, tags=[url], config={"url": url}, host={"u": url}
    )
    Job(api, run).log([1], metrics={url: [1.0]})
    api.patch(f"projects/{slug}", {"name": url, "description": text})
    api.post("studies", {"project": slug, "slug": "s", "name": url, "description": text})
    browser = sign_in(make_user("reader"))
    api.post(f"projects/{slug}/members", {"user": "reader", "role": "editor"})
    for path in (f"/p/{slug}/runs", f"/p/{slug}/r/run-1", f"/p/{slug}/studies", f"/p/{slug}/s/s"):
        assert browser.get(path, headers={"Referer": url, "Origin": url}).status_code == 200
    socket.create_connection(trap.address).close()
    trap.close()
    assert trap.calls == 1  # ours, which shows that the trap works


@pytest.mark.django_db
@pytest.mark.parametrize("run_id", [-1, 0, 2**40, "1", "x", None, [1], {"a": 1}])
def test_t29_forged_message_changes_nothing(run_id: object) -> None:
    make_measurements(make_project("alpha", ann="admin"))
    before = hash_database()
    for task in (compact_run, purge_run):
        with contextlib.suppress(TypeError, ValueError, DatabaseError), transaction.atomic():
            task(run_id)
    assert hash_database() == before


@pytest.mark.django_db
def test_t29_purge_of_a_run_that_nobody_deleted_erases_nothing() -> None:
    api = make_api()
    run = open_run(api)
    Job(api, run).log([1], loss=[1.0])
    purge_run(run.pk)
    assert Chunk.objects.filter(run=run).exists()
    assert Run.objects.filter(pk=run.pk).exists()


@pytest.mark.django_db(transaction=True)
def test_t29_forged_tick_makes_no_fit_that_the_data_do_not_ask_for() -> None:
    make_project("alpha", ann="admin")
    refit_tick()
    assert not Fit.objects.exists()


def test_t29_bundled_redis_has_no_network_and_no_other_reader() -> None:
    url = os.environ["REDIS_URL"]
    assert url.startswith("unix://")
    path = Path(url.removeprefix("unix://"))
    assert path.stat().st_mode & 0o077 == 0
    with redis.Redis(unix_socket_path=str(path)) as server:
        assert server.config_get("port") == {"port": "0"}


def test_t29_redis_of_compose_has_a_password_and_no_open_port() -> None:
    services = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]
    assert "--requirepass" in services["redis"]["command"]
    assert "ports" not in services["redis"]
    assert "ports" not in services["postgres"]


@pytest.mark.django_db
def test_t30_bundled_postgres_listens_to_no_network() -> None:
    with connection.cursor() as cursor:
        cursor.execute("SHOW listen_addresses")
        assert cursor.fetchone() == ("",)
        cursor.execute("SHOW data_directory")
        data = Path(cursor.fetchone()[0])
    assert data.stat().st_mode & 0o077 == 0


@pytest.mark.django_db
@pytest.mark.parametrize("right", ["rolsuper", "rolcreaterole", "rolreplication", "rolbypassrls"])
def test_t30_role_of_the_application_has_no_rights_beyond_its_database(right: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT {right} FROM pg_roles WHERE rolname = current_user")
        assert cursor.fetchone() == (False,)


@pytest.mark.django_db
@pytest.mark.parametrize(
    "statement",
    [
        "COPY runs_run TO PROGRAM 'id'",
        "SELECT pg_read_file('/etc/passwd')",
        "SELECT pg_ls_dir('/')",
        "CREATE ROLE another SUPERUSER",
    ],
)
def test_t30_database_reaches_neither_files_nor_programs(statement: str) -> None:
    with pytest.raises(ProgrammingError), connection.cursor() as cursor:
        cursor.execute(statement)


@pytest.fixture(scope="module")
def web_role(django_db_setup: None) -> dict[str, object]:
    """The role that serves where roles are split; how to connect as it."""
    place = connection.settings_dict
    known = {"host": place["HOST"], "dbname": place["NAME"], "connect_timeout": 5}
    with closing(psycopg2.connect(**known, user=OWNER)) as superuser:
        superuser.autocommit = True
        with superuser.cursor() as cursor, contextlib.suppress(psycopg2.errors.DuplicateObject):
            cursor.execute(f"CREATE ROLE {WEB_ROLE} LOGIN")
            cursor.execute(f"GRANT {', '.join(WEB_ROLE_MEMBER_OF)} TO {WEB_ROLE}")
    return {**known, "user": WEB_ROLE}


@pytest.mark.parametrize(
    "statement",
    [
        "CREATE TABLE more (id int)",
        "ALTER TABLE runs_run ADD COLUMN more int",
        "DROP TABLE runs_run",
        "TRUNCATE runs_run",
        "CREATE INDEX more ON runs_run (name)",
        "CREATE FUNCTION more() RETURNS int LANGUAGE sql AS 'SELECT 1'",
        "ALTER TABLE teams_auditentry DISABLE TRIGGER ALL",
        "UPDATE pg_authid SET rolsuper = true",
        "SET ROLE scaledash",
        "COPY runs_run TO PROGRAM 'id'",
    ],
)
def test_t30_split_role_changes_no_table(web_role: dict[str, object], statement: str) -> None:
    refused = pytest.raises(psycopg2.errors.InsufficientPrivilege)
    with closing(psycopg2.connect(**web_role)) as server, server.cursor() as cursor, refused:
        cursor.execute(statement)


def test_t30_split_role_reads_and_writes_rows(web_role: dict[str, object]) -> None:
    with closing(psycopg2.connect(**web_role)) as server, server.cursor() as cursor:
        cursor.execute(
            "INSERT INTO teams_project (slug, name, description, is_demo, created_at) "
            "VALUES ('split', 'x', '', false, now()) RETURNING id"
        )
        key = cursor.fetchone()
        cursor.execute("SELECT id FROM teams_project WHERE slug = 'split' FOR UPDATE")
        assert cursor.fetchone() == key
        cursor.execute("UPDATE teams_project SET name = 'y' WHERE id = %s", key)
        cursor.execute("DELETE FROM teams_project WHERE id = %s", key)
        assert cursor.rowcount == 1


@pytest.mark.django_db
def test_t30_socket_of_bundled_postgres_is_for_its_owner_only() -> None:
    folder = Path(settings.DATABASES["default"]["HOST"])
    assert folder.is_dir()
    assert folder.stat().st_mode & 0o077 == 0


def test_t30_no_password_over_the_network_is_even_asked_for() -> None:
    with pytest.raises(psycopg2.OperationalError):
        psycopg2.connect(host="127.0.0.1", port=5432, user="scaledash", connect_timeout=2)


@pytest.mark.django_db
def test_t21_no_method_but_post_signs_out_or_changes() -> None:
    make_project("alpha", ann="admin")
    client: Client = sign_in(get_user("ann"))
    for path in ("/logout", "/p/alpha/settings/delete", "/settings/devices/end-others"):
        assert client.get(path).status_code == 405
    assert client.get("/settings/devices").status_code == 200
