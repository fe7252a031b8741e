"""What a run tells about itself: the read-only face of its identity and session."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from typing import TYPE_CHECKING

from scaledash.client.console import Console
from scaledash.client.identity import Identity, fit_text

if TYPE_CHECKING:
    from scaledash.client.session import Session


class About:
    """Properties of a run.

    Parameters
    ----------
    identity : Identity
        Who the run is.
    session : Session or None
        Spool and sender; None for a run that does nothing.
    """

    _console = Console()
    _reopened: int = 0  # attempts that this process has opened

    def __init__(self, identity: Identity, session: Session | None) -> None:
        self._identity = identity
        self._session = session
        self.resumed = False
        self.starting_step = 0
        self._scratch = ""

    def __repr__(self) -> str:
        place = f"offline, in {self.dir}" if self.offline else "nothing is recorded"
        return f"<Run {self.name}: {self.url or place}>"

    @property
    def id(self) -> str:
        """Id of the run, unique in its project."""
        return self._identity.id

    @property
    def name(self) -> str:
        """Name of the run, its id as long as nobody gave one; assign a text to rename it."""
        return self._identity.name or self._identity.id

    @name.setter
    def name(self, text: str) -> None:
        self._identity.name = fit_text("name", str(text), self._console)
        self._send({"name": self._identity.name})

    @property
    def project(self) -> str:
        """Slug of the project."""
        return self._identity.project or "default"

    @property
    def entity(self) -> str | None:
        """Kept as it was given, and otherwise ignored."""
        return self._identity.entity

    @property
    def group(self) -> str | None:
        """Group of the run."""
        return self._identity.group

    @property
    def job_type(self) -> str | None:
        """What kind of job this is."""
        return self._identity.job_type

    @property
    def attempt(self) -> int:
        """Number of the attempt that is logged into: 0, and one more for each resume or rewind.

        Counted on from what the server knew when the run was continued.
        """
        return self._identity.attempt + self._reopened

    @property
    def tags(self) -> tuple[str, ...]:
        """Tags; assign a new list to change them."""
        return tuple(self._identity.tags)

    @tags.setter
    def tags(self, tags: Sequence[str]) -> None:
        self._identity.tags = [str(tag) for tag in tags]
        self._send({"tags": self._identity.tags})

    @property
    def notes(self) -> str | None:
        """Notes; assign a text to change them."""
        return self._identity.notes

    @notes.setter
    def notes(self, text: str) -> None:
        self._identity.notes = fit_text("notes", str(text), self._console)
        self._send({"notes": self._identity.notes})

    @property
    def offline(self) -> bool:
        """Whether the run is only spooled, for `scaledash sync`."""
        return self._session is not None and self._session.server is None

    @property
    def disabled(self) -> bool:
        """Whether nothing is recorded."""
        return self._session is None

    @property
    def url(self) -> str | None:
        """Page of the run; None offline."""
        return self._session.url if self._session else None

    @property
    def dir(self) -> str:
        """Spool directory of the run; a temporary one, made when asked for, where nothing is kept.

        Files that a script puts here stay where they are: `scaledash sync --clean` leaves them.
        """
        if self._identity.directory is not None:
            return str(self._identity.directory)
        self._scratch = self._scratch or tempfile.mkdtemp(prefix="scaledash-")
        return self._scratch

    @property
    def path(self) -> str:
        """Project and id, as `Api.run` takes them."""
        return f"{self.project}/{self.id}"

    @property
    def start_time(self) -> float:
        """When the run was made, in seconds since the epoch."""
        return self._identity.start_time

    def _send(self, change: dict[str, object]) -> None:
        """Record a change of the description."""
        raise NotImplementedError
