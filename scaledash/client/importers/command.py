"""`scaledash import`: from the command line to a source, and what is said of it."""

from __future__ import annotations

import argparse
import contextlib
import json
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from scaledash.client.discovery import find_server
from scaledash.client.errors import AuthError, Error, UsageError
from scaledash.client.importers.delivery import Delivery
from scaledash.client.importers.facts import (
    compile_pattern,
    find_facts,
    guess_facts,
    read_mapping,
)
from scaledash.client.importers.model import (
    Point,
    Source,
    SourceRun,
    Tally,
    Unreadable,
    clean,
    make_uid,
)
from scaledash.client.transport import Transport

DONE, FAILED = 0, 1
KINDS = ("csv", "tensorboard", "wandb", "mlflow", "neptune", "aim")
NO_SERVER = "no server is known: `scaledash login URL`, or set SCALEDASH_URL and SCALEDASH_TOKEN"


@dataclass
class Report:
    """What an import did, run by run."""

    runs: list[dict[str, object]] = field(default_factory=list)
    errors: list[dict[str, str]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def register(commands: Any, shared: argparse.ArgumentParser) -> None:
    """Add the command to the parser of `scaledash`."""
    command = commands.add_parser(
        "import",
        parents=[shared],
        help="bring runs from files or another tracker",
        description="Bring runs along; a second import adds what is new. Sources stay untouched.",
    )
    command.add_argument("kind", choices=KINDS)
    command.add_argument("source", help="file, folder or address")
    command.add_argument("--project", required=True, help="slug of the project that gets the runs")
    command.add_argument("--study", action="append", default=[], help="study that new runs join")
    command.add_argument(
        "--map", action="append", default=[], metavar="FACT=KEY", help="config key of a scale fact"
    )
    command.add_argument("--name-regex", metavar="R", help="facts out of names, by named groups")
    command.add_argument("--limit", type=int, metavar="N", help="at most so many runs")
    command.add_argument("--dry-run", action="store_true", help="say what would be imported")
    command.add_argument(
        "--deleted", action="store_true", help="mlflow and aim: deleted or archived runs too"
    )
    command.set_defaults(run=run_import)


def open_source(options: argparse.Namespace, tally: Tally) -> Source:
    """Return the source that the options name."""
    from scaledash.client.importers import sources

    return sources.open_source(options, tally)


def run_import(options: argparse.Namespace) -> int:
    """Import, and say what became of it; returns the exit status."""
    tally = Tally()
    source = open_source(options, tally)
    mapping, pattern = read_mapping(options.map), compile_pattern(options.name_regex)
    report = Report()

    def find_scale(run: SourceRun) -> dict[str, object]:
        return {**run.scale, **find_facts(run.name, run.config, mapping, pattern)}

    with contextlib.ExitStack() as closing:
        if options.dry_run:
            handle = _make_preview(source, find_scale, tally)
        else:
            transport = closing.enter_context(contextlib.closing(_connect()))
            delivery = Delivery(transport, options.project, source.kind, options.study)
            handle = _make_delivery(delivery, find_scale, tally)
        for run in _take(source, options.limit, report):
            _handle_one(run, handle, report)
    if not report.runs and not report.errors:
        text = f"{options.source} holds no run that `import {options.kind}` can read"
        report.errors.append({"run": "", "error": text})
    report.notes = tally.list_lines()
    _print(options, report)
    return FAILED if report.errors or not report.runs else DONE


Handle = Callable[[SourceRun], dict[str, object]]


def _connect() -> Transport:
    server = find_server()
    if server is None:
        raise UsageError(NO_SERVER)
    return Transport(server)


def _make_delivery(
    delivery: Delivery, find_scale: Callable[[SourceRun], dict[str, object]], tally: Tally
) -> Handle:
    def deliver(run: SourceRun) -> dict[str, object]:
        result = delivery.deliver(run, find_scale(run), tally, lambda n: _show(run.name, n))
        _show("", 0)
        return {
            "id": result.uid,
            "name": run.name,
            "points": result.points,
            "new": result.is_new,
            "reread": result.is_reread,
        }

    return deliver


def _make_preview(
    source: Source, find_scale: Callable[[SourceRun], dict[str, object]], tally: Tally
) -> Handle:
    def preview(run: SourceRun) -> dict[str, object]:
        metrics: dict[str, int] = {}
        for part in run.parts:
            for entry in clean(part.read(), tally):
                if isinstance(entry, Point):
                    metrics[entry.metric] = metrics.get(entry.metric, 0) + 1
        return {
            "id": make_uid(source.kind, run.key),
            "name": run.name,
            "state": run.state or "running",
            "points": sum(metrics.values()),
            "metrics": metrics,
            "facts": {**guess_facts(run.config), **find_scale(run)},
        }

    return preview


def _take(source: Source, limit: int | None, report: Report) -> Iterator[SourceRun]:
    """Yield the runs; one that cannot be read is noted, and the others follow."""
    count = 0
    runs = source.list_runs()
    while limit is None or count < limit:
        try:
            found = next(runs, None)
        except (Unreadable, OSError) as error:  # the source itself, such as a server that is away
            found = Unreadable(str(error))
            runs = iter(())
        if found is None:
            return
        if isinstance(found, Unreadable):
            report.errors.append({"run": "", "error": str(found)})
            continue
        count += 1
        yield found


def _handle_one(run: SourceRun, handle: Handle, report: Report) -> None:
    try:
        report.runs.append(handle(run))
    except AuthError:
        raise
    except (Error, Unreadable, OSError, ValueError) as error:
        report.errors.append({"run": run.name, "error": str(error) or type(error).__name__})


def _show(name: str, points: int) -> None:
    """Show progress on a terminal; nothing elsewhere."""
    if sys.stderr.isatty():
        text = f"  {name[:50]}: {points:,} points" if name else ""
        sys.stderr.write(f"\r\x1b[K{text}")
        sys.stderr.flush()


def _print(options: argparse.Namespace, report: Report) -> None:
    if options.json:
        document = {"runs": report.runs, "errors": report.errors, "notes": report.notes}
        sys.stdout.write(json.dumps(document, indent=2) + "\n")
        return
    describe = _describe_preview if options.dry_run else _describe_result
    lines = [describe(run) for run in report.runs]
    lines += [f"note: {note}" for note in report.notes]
    points = sum(int(str(run["points"])) for run in report.runs)
    verb = "would be imported" if options.dry_run else "imported"
    noun = "run" if len(report.runs) == 1 else "runs"
    lines.append(f"{len(report.runs):,} {noun}, {points:,} points {verb}.")
    sys.stdout.write("\n".join(lines) + "\n")
    for error in report.errors:
        sys.stderr.write(f"scaledash: {error['run'] or 'source'}: {error['error']}\n")


def _describe_result(run: dict[str, object]) -> str:
    what = "new" if run["new"] else "known"
    again = ", read again because its source has changed" if run["reread"] else ""
    return f"{run['name']}: {what}, {run['points']:,} points added{again}"


def _describe_preview(run: dict[str, object]) -> str:
    metrics, facts = run["metrics"], run["facts"]
    assert isinstance(metrics, dict) and isinstance(facts, dict)
    shown = ", ".join(f"{name} ({count:,})" for name, count in metrics.items())
    lines = [f"{run['name']} ({run['state']}): {run['points']:,} points"]
    lines += [f"  metrics: {shown}"] if shown else []
    lines += [f"  facts: {', '.join(f'{k}={v}' for k, v in facts.items())}"] if facts else []
    return "\n".join(lines)
