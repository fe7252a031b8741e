"""What `init` does: settle who the run is, where it is spooled, and who sends it."""

from __future__ import annotations

import os
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from scaledash.client import current, endings
from scaledash.client.config import PRIVATE
from scaledash.client.console import Console
from scaledash.client.discovery import Server, find_server
from scaledash.client.errors import UsageError
from scaledash.client.identity import (
    TEXT_BYTES,
    Identity,
    check_run_id,
    fit_text,
    make_run_id,
    read_fork,
    read_point,
    read_resume,
)
from scaledash.client.jobs import forget_job, remember_job
from scaledash.client.jsonable import describe_unreadable, read_config
from scaledash.client.names import make_slug
from scaledash.client.ranks import Rank, find_rank
from scaledash.client.run import Run
from scaledash.client.session import Session
from scaledash.client.settings import MODE_ALIASES, MODES, Settings, resolve_settings
from scaledash.client.spool import make_directory

DEFAULT_DIRECTORY = "scaledash-runs"
NO_EFFECT = {
    "save_code": "commit and uncommitted changes are recorded by themselves",
    **dict.fromkeys(
        ("sync_tensorboard", "tensorboard"),
        "write with scaledash.tensorboard.SummaryWriter, or `scaledash import tensorboard`",
    ),
}
REINIT = (None, True, False, "default", "return_previous", "finish_previous", "create_new")
TEXTS = ("project", "run_name", "run_group", "run_job_type", "run_notes", "dir", "run_id")
TOLD = ("project", "name", "config", "group", "job_type", "tags", "id", "resume", "scale", "study")

# argument of init -> field of Settings
FIELDS = {
    "project": "project",
    "name": "run_name",
    "group": "run_group",
    "job_type": "run_job_type",
    "tags": "tags",
    "notes": "run_notes",
    "study": "study",
    "id": "run_id",
    "resume": "resume",
    "mode": "mode",
    "durable": "durable",
    "strict": "strict",
    "dir": "dir",
}


@dataclass
class Wishes:
    """What a caller of `init` wants beside settings."""

    config: object = None
    scale: Mapping[str, object] | None = None
    resume_from: str | None = None
    fork_from: str | None = None
    rank_metrics: bool = False
    entity: str | None = None
    allow_val_change: bool | None = None
    config_exclude_keys: Sequence[str] | None = None
    config_include_keys: Sequence[str] | None = None


def open_run(arguments: Mapping[str, Any]) -> Run:
    """Return the run that `init` was asked for; takes its arguments by name."""
    previous = _deal_with_open_run(arguments["reinit"])
    if previous is not None:
        told = [name for name in TOLD if arguments[name] is not None]
        if told and arguments["reinit"] is None:
            previous.warn(
                "second init",
                f"init() gives the open run {previous.name} back, so {', '.join(told)} had no"
                ' effect; finish() it first, or pass reinit="finish_previous" or "create_new"',
            )
        return previous
    unsupported = dict(arguments["unsupported"])
    given = {field: arguments[name] for name, field in FIELDS.items()}
    given["run_id"] = given["run_id"] or unsupported.pop("run_id", None)
    for name in ("tags", "study"):
        is_text = given[name] is None or isinstance(given[name], str)
        given[name] = given[name] if is_text else [str(item) for item in given[name]]
    named = arguments["settings"]
    named = Settings(**named) if isinstance(named, Mapping) else named
    if named is not None and not isinstance(named, Settings):
        raise UsageError(
            f"settings={named!r}: give scaledash.Settings(...) or a dict of its fields"
        )
    settings = resolve_settings(_to_text(given), named)
    wishes = _read_wishes(arguments)
    console = Console(silent=bool(settings.silent))
    for name in unsupported:
        instead = f": {NO_EFFECT[name]}" if name in NO_EFFECT else ""
        if unsupported[name] not in (None, False):
            console.warn(f"argument:{name}", f"init({name}=) has no effect here{instead}")
    return _open(settings, wishes, console)


def _read_wishes(arguments: Mapping[str, Any]) -> Wishes:
    """Return what is wanted beside settings, before anything of the run exists.

    Raises
    ------
    UsageError
        Config or scale facts have no keys.
    """
    wishes = Wishes(**{item.name: arguments[item.name] for item in fields(Wishes)})
    if wishes.scale is not None and not isinstance(wishes.scale, Mapping):
        raise UsageError(f'scale={wishes.scale!r}: give a dict, such as {{"n_params": "125M"}}')
    if wishes.config is not None:
        wishes.config = _choose_keys(wishes)
    return wishes


def _to_text(given: dict[str, Any]) -> dict[str, Any]:
    """Return the fields with paths, ids and single tags in their plain form."""
    if isinstance(given["tags"], str):
        given["tags"] = [given["tags"]]
    for name in TEXTS:
        given[name] = None if given[name] is None else str(given[name])
    return given


def _open(settings: Settings, wishes: Wishes, console: Console) -> Run:
    mode = _read_mode(settings.mode)
    rank = find_rank(settings.rank, os.environ)
    shares = wishes.rank_metrics or mode == "shared"
    identity = _settle_identity(settings, wishes, rank if shares else Rank(0))
    if settings.project and identity.project != settings.project:
        console.notice(f"project {settings.project!r} is {identity.project} here")
    for field in TEXT_BYTES:
        setattr(identity, field, fit_text(field, getattr(identity, field), console))
    if mode == "disabled" or (rank.number and not shares):
        if mode != "disabled":
            console.notice(f"rank {rank.number} ({rank.variable}) logs nothing; rank 0 does")
        return _start(Run(identity, settings, console, None), wishes)
    return _open_recording(identity, settings, wishes, console, rank.number if shares else None)


def _open_recording(
    identity: Identity, settings: Settings, wishes: Wishes, console: Console, rank: int | None
) -> Run:
    server = _choose_server(settings, console)
    last_step, is_known = _ask_about(identity, settings, server, console)
    directory = _choose_directory(settings, identity, console)
    prefix = "" if rank is None else f"rank{rank}/"
    if directory is None:
        return _start(Run(identity, settings, console, None, prefix), wishes)
    identity.directory = directory
    session = Session(directory, settings, console, server, identity)
    run = Run(identity, settings, console, session, prefix)
    if identity.resume in ("allow", "must"):
        _continue_run(run, identity, last_step, is_known)
    elif identity.fork_from is not None:
        run.start_after(read_fork(identity.fork_from))
    if settings.resume is not None and read_resume(settings.resume) == "auto":
        remember_job(directory.parent, identity)
        run.on_success = lambda: forget_job(directory.parent, identity)
    return _start(run, wishes)


def _start(run: Run, wishes: Wishes) -> Run:
    if wishes.config is not None:
        run.config.update(wishes.config, allow_val_change=wishes.allow_val_change)
    if wishes.scale:
        run.set_scale(**{str(name): value for name, value in wishes.scale.items()})
    if wishes.entity:
        run.config.update({f"{PRIVATE}_entity": wishes.entity})
    current.remember(run)
    endings.install()
    return run


def _continue_run(run: Run, identity: Identity, last_step: int | None, is_known: bool) -> None:
    if is_known and last_step is None:
        return  # nothing was logged yet: the run starts at 0
    run.continue_after(last_step)
    run.record_marker({"t": "resume"})
    if identity.rewind_to is not None:
        run.rewind(identity.rewind_to)


def _deal_with_open_run(reinit: str | bool | None) -> Run | None:
    if reinit not in REINIT:
        choices = ", ".join(repr(choice) for choice in REINIT[4:])
        raise UsageError(f"reinit={reinit!r}: use one of {choices}")
    opened = current.list_open()
    if not opened or reinit == "create_new":
        return None
    if reinit in (True, "finish_previous") or (reinit in (None, "default") and _is_notebook()):
        opened[0].finish()
        return None
    return opened[0]


def _is_notebook() -> bool:
    shell = getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)()
    return type(shell).__name__ == "ZMQInteractiveShell"


def _read_mode(mode: str | None) -> str:
    name = MODE_ALIASES.get(mode or "online", mode or "online")
    if name not in MODES:
        raise UsageError(f"mode={mode!r}: use one of {', '.join(sorted(MODES))}")
    return name


def _settle_identity(settings: Settings, wishes: Wishes, rank: Rank) -> Identity:
    resume = read_resume(settings.resume)
    run_id, rewind_to = settings.run_id, None
    if wishes.resume_from:
        run_id, step = read_point(wishes.resume_from)
        if settings.run_id not in (None, run_id):
            raise UsageError(
                f"id={settings.run_id!r} and resume_from={wishes.resume_from!r} differ"
            )
        resume, rewind_to = resume or "must", None if step is None else step + 1
    if wishes.fork_from:
        read_fork(wishes.fork_from)
        if resume is not None:
            raise UsageError(
                f"fork_from={wishes.fork_from!r} makes a new run: leave out resume and resume_from"
            )
    base = Path(settings.dir or DEFAULT_DIRECTORY)
    if resume == "auto":
        from scaledash.client.jobs import find_job_run

        project = make_slug(settings.project or "default")
        run_id, resume = run_id or find_job_run(base, project), "allow"
    elif resume in ("must", "never") and run_id is None:
        raise UsageError(f"resume={resume!r} needs the id of the run: init(id=...)")
    if rank.number and run_id is None:
        raise UsageError("further ranks of a run need its id: init(id=...) or SCALEDASH_RUN_ID")
    return Identity(
        id=check_run_id(run_id) if run_id else make_run_id(),
        project=make_slug(settings.project or "default"),
        name=settings.run_name,
        group=settings.run_group,
        job_type=settings.run_job_type,
        tags=list(settings.tags or []),
        notes=settings.run_notes,
        study=_slug_studies(settings.study),
        entity=wishes.entity,
        resume="allow" if rank.number else resume,
        rewind_to=rewind_to,
        fork_from=wishes.fork_from or None,
        is_member=rank.number > 0,
        start_time=time.time(),
    )


def _slug_studies(study: str | list[str] | None) -> str | list[str] | None:
    if isinstance(study, list):
        return [make_slug(name) for name in study]
    return make_slug(study) if study else None


def _choose_server(settings: Settings, console: Console) -> Server | None:
    if _read_mode(settings.mode) == "offline":
        return None
    server = find_server(settings.base_url, settings.api_key)
    if server is None:
        console.notice(
            "no server is known, so this run is kept on disk; `scaledash login URL` and"
            " `scaledash sync` send it"
        )
    return server


def _ask_about(
    identity: Identity, settings: Settings, server: Server | None, console: Console
) -> tuple[int | None, bool]:
    """Ask for the last step of a run to continue; (step, whether the server answered)."""
    if server is None or identity.resume is None:
        return None, False
    from scaledash.client.asking import ask_about_run

    return ask_about_run(identity, settings.pace, server, console)


def _choose_directory(settings: Settings, identity: Identity, console: Console) -> Path | None:
    base = Path(settings.dir or DEFAULT_DIRECTORY)
    try:
        return make_directory(base.absolute(), identity.id, identity.start_time)
    except OSError as error:
        problem = error
    try:
        spare = Path(tempfile.mkdtemp(prefix="scaledash-"))
        console.warn("directory", f"cannot write {base}: {problem}. The run is kept in {spare}.")
        return make_directory(spare, identity.id, identity.start_time)
    except OSError as error:
        console.warn(
            "directory",
            f"cannot write {base} nor a temporary directory: {error}. This run records nothing.",
        )
        return None


def _choose_keys(wishes: Wishes) -> dict[str, object]:
    mapping = read_config(wishes.config)
    if mapping is None:
        raise UsageError(describe_unreadable(wishes.config))
    excluded = set(wishes.config_exclude_keys or ())
    included = None if wishes.config_include_keys is None else set(wishes.config_include_keys)
    return {
        str(key): value
        for key, value in mapping.items()
        if key not in excluded and (included is None or key in included)
    }
