"""Settings of a run: argument, Settings, SCALEDASH_*, WANDB_*, default, in this order."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields

TRUE = frozenset({"1", "true", "yes", "on"})
MODES = frozenset({"online", "offline", "disabled", "shared"})
MODE_ALIASES = {"dryrun": "offline", "run": "online"}
ALIASES = {"root_dir": "dir", "run_tags": "tags"}  # names that scripts for W&B use

# field -> its variables, most binding first. The server's address and token have no fall-back:
# a key made for another server must never be sent to this one (see discovery.py).
VARIABLES: dict[str, tuple[str, ...]] = {
    "project": ("SCALEDASH_PROJECT", "WANDB_PROJECT"),
    "run_name": ("SCALEDASH_NAME", "WANDB_NAME"),
    "run_notes": ("SCALEDASH_NOTES", "WANDB_NOTES"),
    "tags": ("SCALEDASH_TAGS", "WANDB_TAGS"),
    "mode": ("SCALEDASH_MODE", "WANDB_MODE"),
    "run_group": ("SCALEDASH_RUN_GROUP", "WANDB_RUN_GROUP"),
    "run_job_type": ("SCALEDASH_JOB_TYPE", "WANDB_JOB_TYPE"),
    "run_id": ("SCALEDASH_RUN_ID", "WANDB_RUN_ID"),
    "resume": ("SCALEDASH_RESUME", "WANDB_RESUME"),
    "dir": ("SCALEDASH_DIR", "WANDB_DIR"),
    "silent": ("SCALEDASH_SILENT", "WANDB_SILENT"),
    "disable_git": ("SCALEDASH_DISABLE_GIT", "WANDB_DISABLE_GIT"),
    "disable_code": ("SCALEDASH_DISABLE_CODE", "WANDB_DISABLE_CODE"),
    "study": ("SCALEDASH_STUDY",),
    "strict": ("SCALEDASH_STRICT",),
    "finish_timeout": ("SCALEDASH_FINISH_TIMEOUT",),
}


@dataclass(frozen=True)
class Pace:
    """How often the sender acts, in seconds; tests make it faster.

    Waits between retries have full jitter: uniform in [0, min(cap, backoff * 2^n)].
    """

    flush_seconds: float = 0.5
    heartbeat_seconds: float = 30.0
    backoff_seconds: float = 0.5
    backoff_cap_seconds: float = 60.0
    retry_after_cap_seconds: float = 300.0
    recheck_seconds: float = 60.0  # after a wrong token or address
    linger_seconds: float = 60.0  # after the training process is gone
    connect_seconds: float = 10.0
    read_seconds: float = 30.0


@dataclass
class Values:
    """The fields of Settings; None means not given."""

    mode: str | None = None
    project: str | None = None
    base_url: str | None = None
    api_key: str | None = field(default=None, repr=False)  # printed settings end up in logs
    dir: str | None = None
    run_id: str | None = None
    run_name: str | None = None
    run_group: str | None = None
    run_job_type: str | None = None
    run_notes: str | None = None
    tags: list[str] | None = None
    study: str | list[str] | None = None
    resume: str | bool | None = None
    silent: bool | None = None
    strict: bool | None = None
    durable: bool | None = None
    disable_git: bool | None = None
    disable_code: bool | None = None
    log_traceback: bool | None = None
    rank: int | None = None
    finish_timeout: float | None = None
    pace: Pace = field(default_factory=Pace)


class Settings(Values):
    """Settings that outlive one call of `init`; unknown fields are accepted and ignored.

    Parameters
    ----------
    **given : object
        mode, project, base_url, api_key, dir, run_id, run_name, run_group, run_job_type, run_notes,
        tags, study, resume, silent, strict, durable, disable_git, disable_code, log_traceback,
        rank, finish_timeout; and the sender's pace, such as flush_seconds (docs/client.md).

    Examples
    --------
    >>> Settings(project="sweep", mode="offline", start_method="thread").project
    'sweep'
    """

    def __init__(self, **given: object) -> None:
        known = {item.name for item in fields(Values)} - {"pace"}
        paces = {item.name for item in fields(Pace)}
        named = {ALIASES.get(name, name): value for name, value in given.items()}
        super().__init__(**{name: named[name] for name in named if name in known})  # type: ignore[arg-type]
        base = given.get("pace")
        start = asdict(base if isinstance(base, Pace) else Pace())
        self.pace = Pace(**{**start, **{name: given[name] for name in given if name in paces}})


def resolve_settings(
    given: Mapping[str, object], settings: Settings | None, environ: Mapping[str, str] | None = None
) -> Settings:
    """Merge the arguments of `init`, its `settings` and the environment.

    Parameters
    ----------
    given : mapping
        Arguments by field name; None means not given.
    settings : Settings or None
        What the caller passed as `settings=`.
    environ : mapping, optional
        `os.environ` by default.
    """
    environ = os.environ if environ is None else environ
    merged = Settings(pace=settings.pace if settings else Pace())
    for item in fields(Values):
        if item.name == "pace":
            continue
        choices = (
            given.get(item.name),
            getattr(settings, item.name, None),
            _read_variable(item.name, environ),
        )
        setattr(merged, item.name, next((value for value in choices if value is not None), None))
    if merged.mode is None and is_true(_wandb(environ).get("WANDB_DISABLED", "")):
        merged.mode = "disabled"
    return merged


def is_true(text: str) -> bool:
    """Say whether a variable's text switches something on."""
    return text.strip().lower() in TRUE


def is_silent() -> bool:
    """Say whether the environment asks for no lines on stderr."""
    return is_true(read_variable(os.environ, VARIABLES["silent"]) or "")


def read_variable(environ: Mapping[str, str], names: tuple[str, ...]) -> str | None:
    """Return the first of these variables that is set and not empty."""
    readable = _wandb(environ)
    return next((readable[name] for name in names if readable.get(name)), None)


def _wandb(environ: Mapping[str, str]) -> Mapping[str, str]:
    if not is_true(environ.get("SCALEDASH_IGNORE_WANDB_ENV", "")):
        return environ
    return {name: text for name, text in environ.items() if not name.startswith("WANDB_")}


def _read_variable(name: str, environ: Mapping[str, str]) -> object:
    text = read_variable(environ, VARIABLES.get(name, ()))
    if text is None:
        return None
    if name in ("silent", "strict", "disable_git", "disable_code"):
        return is_true(text)
    if name == "tags":
        return [tag.strip() for tag in text.split(",") if tag.strip()]
    if name == "finish_timeout":
        return _read_seconds(text)
    return text


def _read_seconds(text: str) -> float | None:
    try:
        return max(0.0, float(text))
    except ValueError:
        return None
