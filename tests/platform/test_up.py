"""`make up`, as a person lives it: start, crash, second start, stop."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import socket
import stat
import sys
import sysconfig
from http.client import HTTPConnection
from pathlib import Path

import pytest

from scaledash import control, launch
from scaledash.embedded.place import succeeds
from scaledash.processes import Account
from tests.platform.installation import (
    Installation,
    find_link,
    find_processes_of,
    read_local,
    wait_for,
)
from tests.ports import find_free_port

PROGRAMS = ["postgres", "redis", "web", "worker", "sweeper"]


def get(installation: Installation, path: str, token: str = "") -> tuple[int, str | None]:
    connection = HTTPConnection("127.0.0.1", installation.port, timeout=60)
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    try:
        connection.request("GET", path, headers=headers)
        response = connection.getresponse()
        return response.status, response.getheader("Set-Cookie")
    finally:
        connection.close()


def is_ready(installation: Installation) -> bool:
    try:
        return get(installation, "/readyz")[0] == 200
    except OSError:
        return False


def test_a_taken_port_is_refused_with_the_way_out(installation: Installation) -> None:
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", installation.port))
        holder.listen()
        done = installation.manage("up")
    assert done.returncode == 1
    assert f"Port {installation.port} is taken; choose another: make up PORT=" in done.stdout
    assert find_processes_of(installation.home) == []


def test_a_port_that_is_no_number_is_refused(installation: Installation) -> None:
    done = installation.manage("up", PORT="http")
    assert done.returncode == 1
    assert "PORT must be a number from 1 to 65535, not 'http'" in done.stdout


def test_a_home_that_cannot_be_made_is_named(installation: Installation) -> None:
    done = installation.manage("up", SCALEDASH_HOME="/proc/scaledash")
    assert done.returncode == 1
    assert "ScaleDash did not start: Cannot use /proc/scaledash" in done.stdout
    assert "Traceback" not in done.stdout


def test_a_database_that_does_not_answer_is_said_and_nothing_stays(
    installation: Installation,
) -> None:
    port = find_free_port()
    url = f"postgresql://nobody@127.0.0.1:{port}/nothing"

    done = installation.manage("up", DATABASE_URL=url)

    assert done.returncode == 1
    assert "ScaleDash did not start: The database does not answer" in done.stdout
    assert "Traceback" not in done.stdout
    assert find_processes_of(installation.home) == []


def test_a_bind_beyond_loopback_needs_a_public_address(installation: Installation) -> None:
    done = installation.manage("up", BIND="0.0.0.0")
    assert done.returncode == 1
    assert "E004" in done.stdout
    assert find_processes_of(installation.home) == []


def test_an_almost_full_disk_is_refused(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(launch, "MIN_FREE_BYTES", 2**60)

    status = control.run_up(launch.Options(folder / "home", port=find_free_port()), False)

    assert status == 1
    assert "MB are free on the disk of" in capsys.readouterr().out


def test_down_without_up_says_so(installation: Installation) -> None:
    done = installation.down()
    assert done.returncode == 0
    assert "does not run" in done.stdout


@pytest.mark.slow
def test_a_detached_start_is_ready_when_it_returns(running: Installation) -> None:
    assert get(running, "/readyz")[0] == 200
    assert sorted(running.processes()) == sorted([*PROGRAMS, "supervisor"])


@pytest.mark.slow
def test_local_json_lets_this_machine_in(running: Installation) -> None:
    said = read_local(running)

    assert said["url"] == running.url
    assert get(running, "/api/v1/ping", said["token"])[0] == 200


@pytest.mark.slow
def test_the_sign_in_link_works_once(installation: Installation) -> None:
    link = find_link(installation.up()).removeprefix(installation.url)

    first = get(installation, link)
    second = get(installation, link)

    assert "scaledash_session" in (first[1] or "")
    assert "scaledash_session" not in (second[1] or "")


@pytest.mark.slow
def test_a_second_up_of_the_same_home_is_refused(running: Installation) -> None:
    done = running.manage("up", PORT=str(find_free_port()))
    assert done.returncode == 1
    assert "already runs for" in done.stdout
    link = find_link(done.stdout).removeprefix(running.url)
    assert "scaledash_session" in (get(running, link)[1] or "")
    assert is_ready(running)


@pytest.mark.slow
def test_two_homes_run_at_the_same_time(running: Installation, folder: Path) -> None:
    other = Installation(folder / "other", find_free_port())
    other.up()
    try:
        assert is_ready(running)
        assert is_ready(other)
    finally:
        other.down()


@pytest.mark.slow
def test_down_leaves_no_process_and_no_address(running: Installation) -> None:
    running.down()

    assert find_processes_of(running.home) == []
    assert not (running.home / "local.json").exists()


@pytest.mark.slow
def test_a_second_start_keeps_token_and_data(running: Installation) -> None:
    token = read_local(running)["token"]
    running.down()

    running.up()

    assert read_local(running)["token"] == token
    assert get(running, "/api/v1/ping", token)[0] == 200


@pytest.mark.slow
@pytest.mark.parametrize("name", PROGRAMS)
def test_a_killed_program_comes_back(running: Installation, name: str) -> None:
    killed = running.processes()[name]

    os.kill(killed, signal.SIGKILL)

    log = running.home / "logs" / "up.log"
    wait_for(lambda: "starting it again" in log.read_text(), "the crash is said")
    wait_for(lambda: running.processes().get(name, killed) != killed, f"{name} starts again")
    wait_for(lambda: is_ready(running), "the product is ready again")


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="the kernel's parent-death signal is Linux's")
def test_nothing_survives_a_killed_supervisor(running: Installation) -> None:
    os.kill(running.processes()["supervisor"], signal.SIGKILL)

    wait_for(lambda: find_processes_of(running.home) == [], "every process ends")


@pytest.mark.slow
def test_ctrl_c_stops_everything(installation: Installation) -> None:
    process = installation.start_in_front()
    wait_for(lambda: is_ready(installation), "the product is ready")

    process.send_signal(signal.SIGINT)
    output, _ = process.communicate(timeout=180)

    assert process.returncode in (0, 130)
    assert output.rstrip().splitlines()[-1].startswith("Stopped")
    assert find_processes_of(installation.home) == []


@pytest.mark.slow
def test_ctrl_c_during_the_start_stops_everything(installation: Installation) -> None:
    process = installation.start_in_front()
    wait_for(lambda: "postgres" in installation.processes(), "PostgreSQL starts")

    process.send_signal(signal.SIGINT)
    process.communicate(timeout=180)

    assert process.returncode == 130
    assert find_processes_of(installation.home) == []


@pytest.mark.slow
def test_without_redis_the_sweeper_is_enough(installation: Installation) -> None:
    installation.environment["REDIS_URL"] = ""
    installation.up()

    assert sorted(installation.processes()) == ["postgres", "supervisor", "sweeper", "web"]


@pytest.mark.slow
@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
def test_an_ordinary_user_can_do_it_too(folder: Path) -> None:
    entry = pwd.getpwnam("nobody")
    account = Account(entry.pw_name, entry.pw_uid, entry.pw_gid)
    python = find_python_for(account, folder)
    os.chown(folder, account.uid, account.gid)
    installation = Installation(folder / "home", find_free_port(), python, account)
    installation.environment["PYTHONPATH"] = sysconfig.get_path("purelib")
    installation.environment["LD_LIBRARY_PATH"] = str(folder / "lib")
    installation.environment["SCALEDASH_STATIC_ROOT"] = str(folder / "static")
    try:
        installation.up()
        mode = stat.S_IMODE(installation.home.stat().st_mode)
        owner = Path(f"/proc/{installation.processes()['postgres']}").stat().st_uid
    finally:
        installation.down()
    assert (mode, owner) == (0o700, account.uid)
    assert find_processes_of(installation.home) == []


def find_python_for(account: Account, folder: Path) -> str:
    """This Python, copied into the folder where the account cannot run it in its place."""
    name = f"python{sys.version_info[0]}.{sys.version_info[1]}"
    base = Path(sys.base_prefix)
    if succeeds([str(base / "bin" / name), "-c", "import json"], account):
        return str(base / "bin" / name)
    unused = shutil.ignore_patterns("test", "tests", "site-packages", "__pycache__", "idlelib")
    shutil.copytree(base / "lib" / name, folder / "lib" / name, ignore=unused)
    folder.joinpath("bin").mkdir()
    shutil.copy2(base / "bin" / name, folder / "bin" / name)
    for library in base.joinpath("lib").glob("libpython*.so*"):
        shutil.copy2(library, folder / "lib" / library.name)
    return str(folder / "bin" / name)
