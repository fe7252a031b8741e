"""What ingest knows of a run: before it writes, and while it holds the run and a writer."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime


@dataclass
class LoggedRun:
    """A run to log into, as far as that takes it; the model took a tenth of a small batch.

    The last three are what the batch made of them.
    """

    pk: int
    project_id: int
    uid: str
    held_role: str
    project_slug: str
    state: str = ""
    attempt: int = 0
    last_step: int | None = None


@dataclass(frozen=True)
class WriterState:
    """A writer after its batch was claimed."""

    last_seq: int
    max_seq: int
    attempt: int
    is_new: bool


@dataclass(frozen=True)
class LockedRun:
    """What ingest reads of the run whose row it holds; `summary` has the asked metrics only."""

    rev: int
    state: str
    attempt: int
    last_step: int | None
    outcome: str
    ending: dict[str, object] | None
    facts: dict[str, list[dict[str, object]]]
    deleted_at: datetime | None
    clock_clamped: bool
    summary: dict[str, dict[str, object]]
    is_overridden: bool
