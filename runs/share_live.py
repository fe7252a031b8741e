"""What live links to several runs have in common: a revision that tells of these runs only."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

from runs.models import Run


def describe_rev(runs: Iterable[Run], also: object = "") -> dict[str, object]:
    """Return a revision that changes with any of the runs, and with nothing else of the project."""
    parts = [f"{run.pk} {run.rev} {run.changed_at.timestamp()}" for run in runs]
    rev = hashlib.sha256("\n".join([str(also), *parts]).encode()).hexdigest()[:32]
    return {"rev": rev, "parts": {"runs": rev}}
