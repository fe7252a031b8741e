"""`scaledash` on the command line."""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from scaledash import __version__
from scaledash.client import cli_read
from scaledash.client.cli_completion import SHELLS, write_completion
from scaledash.client.control import read_control
from scaledash.client.credentials import check_server, login
from scaledash.client.discovery import Server, find_server
from scaledash.client.errors import AuthError, Error, Refused, UsageError
from scaledash.client.importers import command as importing
from scaledash.client.settings import Pace
from scaledash.client.sync import (
    SpoolState,
    describe_spool,
    find_spools,
    remove_sent,
    retry_dead,
    sync_spool,
)
from scaledash.client.transport import Transport

DONE, FAILED, USAGE, PENDING, AUTH = 0, 1, 2, 4, 5
NO_SERVER = "no server is known: `scaledash login URL`, or set SCALEDASH_URL and SCALEDASH_TOKEN"
ABSENT = (
    "the server does not answer: {}. Is it running (`make up` in a checkout starts one)?"
    " `scaledash login URL` names another; runs are kept on disk until `scaledash sync`"
)
CODES = {"AuthError": "unauthorized", "UsageError": "usage", "NotFound": "not_found"}
ABOUT = {  # command -> in the list of commands, in its own help
    "login": (
        "check a token and keep it",
        "Ask for a token, check it, and keep it with the address for this user.",
    ),
    "ping": (
        "is the server there, who am I",
        "Latency and version of the server, scope and end of the token, clock skew.",
    ),
    "status": (
        "spools on this machine",
        "What runs have left on disk, and what of it is not sent yet.",
    ),
    "spool": (
        "what the server refused",
        "`spool dead` lists what the server refused and why; it stays on disk.",
    ),
    "completion": (
        "a script for your shell",
        "Print a script that completes commands: source <(scaledash completion bash)",
    ),
    "sync": (
        "send what is spooled",
        "Send what is left on disk. Safe to repeat, to kill, and while a run goes on.",
    ),
    "up": ("how to get the server", "Say how to get the server."),
}
NO_SPOOL = "There is no spool here; name the directories that hold some."


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; return its exit status."""
    parser = _make_parser()
    options = parser.parse_args(arguments)
    if options.command is None:
        parser.print_help(sys.stderr)
        return USAGE
    try:
        status = int(options.run(options))
        sys.stdout.flush()
        return status
    except Error as error:
        return _fail(options, error)
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:  # whoever read has seen enough: `scaledash runs p | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FAILED


def _fail(options: argparse.Namespace, error: Error) -> int:
    """Say what went wrong, as a document too where one is wanted; return the exit status."""
    status = AUTH if isinstance(error, AuthError) else FAILED
    status = USAGE if isinstance(error, UsageError) else status
    text = (
        f"{ABSENT.format(error)}" if isinstance(error, Refused) and not error.status else str(error)
    )
    _complain(text)
    if options.json:
        code = getattr(error, "code", "") or CODES.get(type(error).__name__, "failed")
        print(json.dumps({"error": {"code": code, "message": text}}, indent=2))
    return status


def _make_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="scaledash",
        description="Log training runs to a ScaleDash server and read them back.",
        epilog="Exit: 0 done, 1 failed, 2 usage, 3 a fit is refused, 4 data still pending,"
        " 5 the token. `scaledash COMMAND --help` tells more.",
    )
    parser.add_argument("--version", action="version", version=f"scaledash {__version__}")
    shared = argparse.ArgumentParser(add_help=False)
    shared.add_argument("--json", action="store_true", help="one JSON document on stdout")
    commands = parser.add_subparsers(dest="command", metavar="command")

    def add(name: str, run: Callable[[argparse.Namespace], int]) -> argparse.ArgumentParser:
        short, long = ABOUT[name]
        found = commands.add_parser(name, parents=[shared], help=short, description=long)
        found.set_defaults(run=run)
        return found

    command = add("login", _login)
    command.add_argument("url", nargs="?", help="address of the server")
    command.add_argument("--token-stdin", action="store_true", help="read the token from stdin")

    add("ping", _ping)

    command = add("status", _status)
    _add_directories(command)
    command.add_argument("--dead", action="store_true", help="list what the server refused")

    command = add("spool", _spool)
    command.add_argument("what", choices=["dead"])
    _add_directories(command)
    command.add_argument("--retry", action="store_true", help="send it again")

    cli_read.register(commands, shared)

    add("completion", _complete).add_argument("shell", choices=SHELLS)

    command = add("sync", _sync)
    _add_directories(command)
    command.add_argument("--live", action="store_true", help="stay until the runs have ended")
    command.add_argument("--clean", action="store_true", help="remove what is sent completely")
    command.add_argument("--retry-dead", action="store_true", help="resend what was refused")
    command.add_argument("--dry-run", action="store_true", help="say what would be sent")

    importing.register(commands, shared)
    add("up", _up)
    return parser


def _add_directories(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "directories",
        nargs="*",
        type=Path,
        metavar="DIR",
        help="a run's directory, or one that holds some; SCALEDASH_DIR or ./scaledash-runs else",
    )


def _find_spools(options: argparse.Namespace) -> list[Path]:
    """Return the spools that are meant; a directory that is not there is a mistake in the call."""
    absent = [str(path) for path in options.directories if not path.exists()]
    if absent:
        raise UsageError(f"there is nothing at {', '.join(absent)}")
    return find_spools(options.directories)


def _login(options: argparse.Namespace) -> int:
    token = sys.stdin.readline().strip() if options.token_stdin else None
    answer = login(options.url, token)
    _print(options, answer, f"Signed in. {_describe_answer(answer)}")
    return DONE


def _ping(options: argparse.Namespace) -> int:
    server = _need_server()
    started = time.perf_counter()
    answer = check_server(server)
    seconds = time.perf_counter() - started
    answer |= {"url": server.url, "source": server.source, "latency_seconds": round(seconds, 4)}
    skew = _find_skew(answer.get("time"))
    if skew is not None:
        answer["clock_skew_seconds"] = skew
    text = f"{server.url} answers in {seconds * 1000:.0f} ms. {_describe_answer(answer)}"
    _print(options, answer, text)
    return DONE


def _status(options: argparse.Namespace) -> int:
    states = [describe_spool(path) for path in _find_spools(options)]
    if options.dead:
        return _list_dead(options, states)
    text = "\n".join(map(_describe, states)) or NO_SPOOL
    _print(options, [state.to_json() for state in states], text)
    return PENDING if any(state.pending for state in states) else DONE


def _spool(options: argparse.Namespace) -> int:
    named = vars(options)
    if not options.retry:
        return _status(argparse.Namespace(**named, dead=True))
    flags = {"live": False, "clean": False, "dry_run": False, "retry_dead": True}
    return _sync(argparse.Namespace(**named, **flags))


def _complete(options: argparse.Namespace) -> int:
    script = write_completion(_make_parser(), options.shell)
    _print(options, {"shell": options.shell, "script": script}, script)
    return DONE


def _list_dead(options: argparse.Namespace, states: Sequence[SpoolState]) -> int:
    dead = [
        {"directory": str(state.directory), **item}
        for state in states
        for item in read_control(state.directory).dead
    ]
    lines = [
        f"{item['directory']}: {item.get('pointer') or item.get('metric') or 'row'}"
        f" rows {item.get('rows', '-')}: {item.get('reason')}"
        for item in dead
    ]
    _print(options, dead, "\n".join(lines) or "The server has refused nothing.")
    return DONE


def _sync(options: argparse.Namespace) -> int:
    spools = _find_spools(options)
    if not spools:
        _print(options, [], NO_SPOOL)
        return DONE
    if options.dry_run:
        return _status(argparse.Namespace(**{**vars(options), "dead": False}))
    transport = Transport(_need_server())
    states = []
    for directory in spools:
        state = _sync_one(directory, transport, options)
        states.append(state)
        if not options.json:
            print(_describe(state), flush=True)
    transport.close()
    if options.json:
        _print(options, [state.to_json() for state in states], "")
    return DONE if all(state.state == "sent" for state in states) else PENDING


def _sync_one(directory: Path, transport: Transport, options: argparse.Namespace) -> SpoolState:
    try:
        state = sync_spool(directory, lambda: transport, Pace(), _complain, options.live)
    except (OSError, ValueError) as error:  # this spool only; the others are sent
        _complain(f"{directory}: {error}")
        return SpoolState(directory, directory.name, directory.name, "damaged", 0, 0, 0, 0)
    if options.retry_dead and state.dead and state.state == "sent":
        count = retry_dead(directory, lambda: transport)
        _complain(f"{directory}: {count} of {state.dead} refused parts are stored now")
        _tell_what_stays(directory)
        state = describe_spool(directory)
    if options.clean and remove_sent(state):
        _complain(f"removed {directory}")
    return state


def _tell_what_stays(directory: Path) -> None:
    """Say which refused parts are not resent: those of the run's description."""
    letters = read_control(directory).dead
    pointers = sorted({str(item["pointer"]) for item in letters if item.get("pointer")})
    if pointers:
        _complain(
            f"{directory}: {', '.join(pointers)} of the description is not sent again; give a value"
            ' that the server takes with init(id=..., resume="allow")'
        )


def _up(options: argparse.Namespace) -> int:
    text = (
        "This is the client alone. The server is started from a checkout of ScaleDash with"
        " `make up`; `scaledash login URL` connects to one that runs already."
    )
    _print(options, {"message": text}, text)
    return USAGE


def _need_server() -> Server:
    server = find_server()
    if server is None:
        raise UsageError(NO_SERVER)
    return server


def _describe(state: SpoolState) -> str:
    parts = [f"{state.rows:,} rows", f"{state.pending:,} pending"]
    parts += [f"{state.dead:,} refused"] if state.dead else []
    parts += [f"{state.skipped_bytes:,} bytes damaged"] if state.skipped_bytes else []
    text = f"{state.state:8} {state.name}  {', '.join(parts)}  {state.directory}"
    return f"{text}\n         {state.reason}" if state.reason and state.state != "sent" else text


def _describe_answer(answer: dict[str, object]) -> str:
    facts = ((name, answer.get(name)) for name in ("version", "scope", "project", "user"))
    ends = answer.get("expires_at")
    end = f" The token ends {str(ends)[:10]}." if ends else ""
    return ", ".join(f"{name} {value}" for name, value in facts if value) + "." + end


def _find_skew(server_time: object) -> float | None:
    if not isinstance(server_time, (int, float)):
        return None
    return round(time.time() - server_time, 3)


def _print(options: argparse.Namespace, document: object, text: str) -> None:
    print(json.dumps(document, indent=2) if options.json else text)


def _complain(text: str) -> None:
    print(f"scaledash: {text}", file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main())
