"""Who a run is: what `init` was told, settled once and for all."""

from __future__ import annotations

import re
import uuid
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote

from scaledash.client.console import Console
from scaledash.client.errors import UsageError
from scaledash.client.jsonable import to_json

RUN_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")
TEXT_BYTES = {"name": 256, "group": 256, "job_type": 256, "notes": 60_000}  # what servers take
RESUME = ("allow", "must", "never", "auto")
_POINT = re.compile(r"([A-Za-z0-9_-]{1,64})(?:\?_step=(\d+))?")


@dataclass
class Identity:
    """Description of a run as its caller gave it.

    Attributes
    ----------
    resume : str or None
        "allow", "must", "never", or None for a new run.
    rewind_to : int or None
        Step at which a resumed run goes on, from `resume_from`.
    fork_from : str or None
        "run_id?_step=n" of the run that a new one goes on from.
    is_member : bool
        A further writer of a run that another process describes.
    attempt : int
        Newest attempt of a run that is continued, as the server knew it.
    """

    id: str
    project: str | None = None
    name: str | None = None
    group: str | None = None
    job_type: str | None = None
    tags: list[str] = field(default_factory=list)
    notes: str | None = None
    study: str | list[str] | None = None
    entity: str | None = None
    resume: str | None = None
    rewind_to: int | None = None
    fork_from: str | None = None
    is_member: bool = False
    attempt: int = 0
    start_time: float = 0.0
    directory: Path | None = None
    request_id: str = field(default_factory=lambda: str(uuid.uuid4()))

    def make_url(self, base: str) -> str:
        """Return the address of the run's page."""
        project = quote(self.project or "default", safe="")
        return f"{base}/p/{project}/r/{self.id}"

    def to_record(self) -> dict[str, object]:
        """Return the init record of the spool: also the body that creates the run."""
        if self.is_member:
            about: dict[str, object] = {"member": True}
        else:
            about = {
                "name": self.name,
                "group": self.group,
                "job_type": self.job_type,
                "tags": self.tags,
                "notes": self.notes,
                "study": self.study,
                "fork_from": self.fork_from,
            }
        return {
            "t": "init",
            "request_id": self.request_id,
            "id": self.id,
            "project": self.project,
            "resume": self.resume,
            "started_at": self.start_time,
            **{name: to_json(value) for name, value in about.items()},
        }


def fit_text(field: str, text: str | None, console: Console) -> str | None:
    """Return a text of the description, cut to what the server takes; a line says so."""
    kept = (text or "").encode("utf-8", "replace")[: TEXT_BYTES[field]].decode("utf-8", "ignore")
    if text is None or len(text.encode("utf-8", "replace")) <= TEXT_BYTES[field]:
        return text
    console.warn(
        f"cut:{field}", f"the {field} is cut to {TEXT_BYTES[field]:,} bytes: {kept[:60]}..."
    )
    return kept


def make_run_id() -> str:
    """Return 32 hexadecimal digits."""
    return uuid.uuid4().hex


def check_run_id(run_id: str) -> str:
    """Return the id.

    Raises
    ------
    UsageError
        It cannot stand in an address.
    """
    if not RUN_ID.fullmatch(run_id):
        raise UsageError(f"id={run_id!r}: use 1 to 64 of the characters A-Z a-z 0-9 _ -")
    return run_id


def read_resume(value: object) -> str | None:
    """Return the resume mode.

    Raises
    ------
    UsageError
        There is no such mode.
    """
    if value is None or value is False or value == "":
        return None
    if value is True or str(value).lower() == "true":
        return "auto"
    if value not in RESUME:
        raise UsageError(f"resume={value!r}: use one of {', '.join(RESUME)}")
    return str(value)


def read_point(text: str) -> tuple[str, int | None]:
    """Read "run_id?_step=n".

    Raises
    ------
    UsageError
        The text has another form.
    """
    match = _POINT.fullmatch(text)
    if match is None:
        raise UsageError(f"{text!r} is not of the form run_id?_step=n")
    return match[1], None if match[2] is None else int(match[2])


def read_fork(text: str) -> int:
    """Return the step of "run_id?_step=n", where a fork begins.

    Raises
    ------
    UsageError
        The text has another form, or names no step.
    """
    _, step = read_point(text)
    if step is None:
        raise UsageError(f"fork_from={text!r} names no step: write it as {text}?_step=n")
    return step
