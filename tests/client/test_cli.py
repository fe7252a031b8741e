"""The command line."""

from __future__ import annotations

import io
import json
import ssl
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from client_peer import TOKEN, Fault

import scaledash
from scaledash.client import cli
from scaledash.client.cli_completion import find_commands
from scaledash.client.discovery import find_config_directory, find_server
from scaledash.client.lock import DirectoryLock
from scaledash.client.transport import describe_problem

Start = Callable[..., scaledash.Run]
Sync = Callable[..., int]


def test_login_keeps_a_checked_token_for_this_user_only(
    peer: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(f"{TOKEN}\n"))
    assert cli.main(["login", peer.url, "--token-stdin"]) == 0
    path = find_config_directory() / "credentials.json"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    server = find_server()
    assert server is not None
    assert (server.url, server.token) == (peer.url, TOKEN)


def test_login_with_a_wrong_token_keeps_nothing(peer: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("sd_1_wrong\n"))
    assert cli.main(["login", peer.url, "--token-stdin"]) == 5
    assert find_server() is None


def test_login_never_waits_for_a_token_without_a_terminal(
    peer: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(""))
    assert cli.main(["login", peer.url]) == 2


def test_ping_tells_who_we_are(
    peer: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("SCALEDASH_URL", peer.url)
    monkeypatch.setenv("SCALEDASH_TOKEN", TOKEN)
    assert cli.main(["ping", "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert (answer["scope"], answer["user"]) == ("write", "peer")


def test_a_call_without_a_command_shows_all_of_them(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main([]) == 2
    assert "send what is spooled" in capsys.readouterr().err


def test_a_reader_that_leaves_early_ends_the_command_quietly() -> None:
    command = [sys.executable, "-m", "scaledash.client.cli", "completion", "bash"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout and process.stderr
        process.stdout.close()
        said = process.stderr.read()
    assert b"Traceback" not in said and b"Exception" not in said


def test_sizes_are_written_as_on_the_pages(capsys: pytest.CaptureFixture[str]) -> None:
    options = cli._make_parser().parse_args(["fit", "p/s", "--n", "400M", "--c", "1e21"])
    assert (options.n, options.c) == (4e8, 1e21)
    with pytest.raises(SystemExit):
        cli.main(["fit", "p/s", "--n", "many"])
    assert "'many' is no number; write it like 400M or 1e9" in capsys.readouterr().err


@pytest.mark.parametrize("command", [["status"], ["sync"], ["spool", "dead"]])
def test_directory_that_is_not_there_is_a_mistake(
    command: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main([*command, "no/such/run"]) == 2
    assert "there is nothing at no/such/run" in capsys.readouterr().err


@pytest.mark.parametrize("address", ["your-server", "ftp://your-server"])
def test_login_says_how_an_address_is_written(
    address: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["login", address]) == 2
    assert "write it as https://your-server" in capsys.readouterr().err


def test_untrusted_certificate_is_told_with_what_makes_it_trusted() -> None:
    error = ssl.SSLCertVerificationError(1, "certificate verify failed")
    error.verify_message = "self-signed certificate in certificate chain"
    said = describe_problem(error)
    assert "self-signed certificate in certificate chain" in said and "SSL_CERT_FILE" in said


def test_every_command_describes_itself() -> None:
    commands = find_commands(cli._make_parser())
    assert [name for name, command in commands.items() if not command.description] == []


def test_refused_part_of_the_description_says_how_it_is_given_anew(
    start_offline: Start, sync: Sync, peer: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    start_offline(scale={"n_params": "125X"}).finish()
    peer.takes_whole_runs = False
    error = {"code": "invalid", "message": "n_params: no number", "field": "/scale/n_params"}
    peer.faults.append(Fault(422, error=error))
    assert sync() == 0
    capsys.readouterr()
    assert cli.main(["spool", "dead", "--retry"]) == 0
    assert "/scale/n_params of the description is not sent again" in capsys.readouterr().err


@pytest.mark.parametrize("command", ["status", "sync"])
def test_where_there_is_no_spool_it_is_said_and_json_is_a_list(
    command: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    assert cli.main([command]) == 0
    assert "There is no spool here" in capsys.readouterr().out
    assert cli.main([command, "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == []


@pytest.mark.parametrize(
    ("arguments", "status", "code"),
    [(["ping"], 2, "usage"), (["runs", "nowhere"], 1, "not_found"), (["up"], 2, None)],
)
def test_what_fails_with_json_is_a_document_too(
    peer: Any,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    status: int,
    code: str | None,
) -> None:
    if code == "not_found":
        monkeypatch.setenv("SCALEDASH_URL", peer.url)
        monkeypatch.setenv("SCALEDASH_TOKEN", TOKEN)
        peer.faults.append(Fault(404, times=9, error={"code": "not_found", "message": "none"}))
    assert cli.main([*arguments, "--json"]) == status
    document = json.loads(capsys.readouterr().out)
    assert document.get("error", {}).get("code") == code
    assert document["error"]["message"] if code else document["message"]


def test_server_that_is_away_is_told_with_what_to_do(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("SCALEDASH_URL", "http://127.0.0.1:1")
    monkeypatch.setenv("SCALEDASH_TOKEN", TOKEN)
    assert cli.main(["ping"]) == 1
    said = capsys.readouterr().err
    assert "Connection refused" in said and "make up" in said and "scaledash login" in said


def test_ping_without_a_server_says_what_to_do(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["ping"]) == 2
    assert "scaledash login" in capsys.readouterr().err


def test_status_lists_what_is_pending(
    start_offline: Start, capsys: pytest.CaptureFixture[str]
) -> None:
    with start_offline(name="waiting") as run:
        run.log({"x": 1.0})
    assert cli.main(["status", "--json"]) == 4
    (state,) = json.loads(capsys.readouterr().out)
    assert (state["name"], state["state"], state["pending"]) == ("waiting", "pending", 1)


def test_dry_run_sends_nothing(start_offline: Start, sync: Sync, peer: Any) -> None:
    with start_offline() as run:
        run.log({"x": 1.0})
    assert sync("--dry-run") == 4
    assert peer.requests == []


def test_one_bad_spool_never_stops_the_others(start_offline: Start, sync: Sync, peer: Any) -> None:
    with start_offline(id="bad") as bad:
        bad.log({"x": 1.0})
    with start_offline(id="good") as good:
        good.log({"x": 2.0})
    (segment,) = Path(str(bad.dir)).glob("*.seg")
    segment.write_bytes(b"not a spool at all")
    assert sync() == 4
    assert list(peer.runs) == ["good"]


def test_second_sender_of_a_spool_is_refused(start_offline: Start, sync: Sync, peer: Any) -> None:
    with start_offline() as run:
        run.log({"x": 1.0})
    lock = DirectoryLock(Path(str(run.dir)) / "send.lock")
    assert lock.acquire()
    assert sync() == 4
    assert peer.requests == []
    lock.release()
    assert sync() == 0


def test_sync_gives_up_after_some_tries_and_goes_on_later(
    start_offline: Start, sync: Sync, peer: Any
) -> None:
    with start_offline() as run:
        run.log({"x": 1.0})
    fault = Fault(503, times=1_000)
    peer.faults.append(fault)
    assert sync() == 4
    fault.times = 0
    assert sync() == 0
    assert peer.run.points["x"] == [(0, 1.0)]


def test_dead_letters_are_listed_and_sent_again_on_demand(
    start_offline: Start, sync: Sync, peer: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    with start_offline() as run:
        for step in range(5):
            run.log({"x": float(step), "y": 1.0}, step=step)
    error = {"code": "out_of_range", "message": "no", "field": "/metrics/x/2"}
    peer.takes_whole_runs = False
    peer.faults.append(Fault(422, path="/metrics", error=error))
    assert sync() == 0
    assert [step for step, _ in peer.run.points["x"]] == [0, 1, 3, 4]
    capsys.readouterr()
    assert cli.main(["status", "--dead", "--json"]) == 0
    (dead,) = json.loads(capsys.readouterr().out)
    assert (dead["metric"], dead["row"]) == ("x", 2)
    assert sync("--retry-dead") == 0
    assert sorted(peer.run.points["x"]) == [(step, float(step)) for step in range(5)]
    assert len(peer.run.points["y"]) == 5
    assert sync("--retry-dead") == 0
    assert len(peer.run.points["x"]) == 5


def test_up_says_how_to_get_the_server(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["up"]) == 2
    assert "make up" in capsys.readouterr().out


@pytest.fixture
def reach(peer: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Commands find the peer."""
    monkeypatch.setenv("SCALEDASH_URL", peer.url)
    monkeypatch.setenv("SCALEDASH_TOKEN", TOKEN)
    return peer


def test_runs_are_listed_as_a_table_and_as_json(
    start: Start, reach: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("first", "second"):
        start(id=name, name=name).finish()
    assert cli.main(["runs", "demo", "--limit", "1"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == ["name", "first"]
    assert cli.main(["runs", "demo", "--json"]) == 0
    assert {run["id"] for run in json.loads(capsys.readouterr().out)} == {"first", "second"}


def test_open_prints_the_page_of_a_server_and_of_a_project(
    start: Start, reach: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["open"]) == 0
    assert capsys.readouterr().out.strip() == reach.url
    assert cli.main(["open", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"url": reach.url}


def test_server_that_is_away_is_a_failure_with_a_sentence(
    peer: Any,
    reach: Any,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr("scaledash.client.api.RETRY_SECONDS", 0.001)
    monkeypatch.setenv("SCALEDASH_URL", "http://127.0.0.1:9")
    assert cli.main(["runs", "demo"]) == 1
    assert "does not answer" in capsys.readouterr().err


def test_wrong_token_has_a_status_of_its_own(reach: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SCALEDASH_TOKEN", "sd_1_wrong")
    assert cli.main(["runs", "demo"]) == 5


def test_fit_of_a_file_says_what_fits_files(
    tmp_path: Path, reach: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "runs.csv").write_text("n,d,loss\n")
    assert cli.main(["fit", str(tmp_path / "runs.csv")]) == 2
    assert "manage.py fit" in capsys.readouterr().err


def test_dead_letters_have_a_command(
    start_offline: Start, sync: Sync, peer: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    with start_offline() as run:
        for step in range(3):
            run.log({"x": float(step)}, step=step)
    error = {"code": "out_of_range", "message": "no", "field": "/metrics/x/1"}
    peer.takes_whole_runs = False
    peer.faults.append(Fault(422, path="/metrics", error=error))
    assert sync() == 0
    capsys.readouterr()
    assert cli.main(["spool", "dead", "--json"]) == 0
    (dead,) = json.loads(capsys.readouterr().out)
    assert (dead["metric"], dead["row"]) == ("x", 1)
    assert cli.main(["spool", "dead", "--retry"]) == 0
    assert sorted(peer.run.points["x"]) == [(0, 0.0), (1, 1.0), (2, 2.0)]


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_knows_every_command(shell: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["completion", shell]) == 0
    script = capsys.readouterr().out
    commands = (
        "login",
        "ping",
        "status",
        "sync",
        "spool",
        "runs",
        "study",
        "fit",
        "export",
        "open",
    )
    assert [name for name in commands if name not in script] == []


@pytest.mark.parametrize(
    ("words", "found"),
    [
        (["scaledash", "st"], ["status", "study"]),
        (["scaledash", "sync", "--l"], ["--live"]),
        (["scaledash", "runs", "demo", "--fi"], ["--filter"]),
        (["scaledash", "import", "t"], ["tensorboard"]),
        (["scaledash", "export", "demo", "--format", "p"], ["parquet"]),
        (["scaledash", "completion", "z"], ["zsh"]),
    ],
)
def test_completion_works_in_bash(
    words: list[str], found: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    cli.main(["completion", "bash"])
    script = capsys.readouterr().out
    script += f"\nCOMP_WORDS=({' '.join(words)}); COMP_CWORD={len(words) - 1}; _scaledash"
    script += '\nprintf "%s\\n" "${COMPREPLY[@]}"'
    done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.split() == found
    assert done.stderr == ""
