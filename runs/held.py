"""What ingest holds while it writes: a writer and a run."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime


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
