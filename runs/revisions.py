"""Revisions of pages about runs: a text that changes when anything that the page shows does."""

from __future__ import annotations

from runs import store
from runs.models import Run
from teams.models import Project


def read_project_revision(project: Project) -> dict[str, object]:
    """Return the revision of a project's runs, from one indexed query."""
    runs = store.read_project_revision(project.pk)
    return {"rev": runs, "parts": {"runs": runs}}


def read_run_revision(run: Run) -> dict[str, object]:
    """Return the revision of one run."""
    rev = f"{run.rev}.{int(run.changed_at.timestamp() * 1_000_000)}"
    return {"rev": rev, "parts": {f"run:{run.uid}": rev}}
