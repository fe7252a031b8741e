"""`resume="auto"`: a requeued or restarted job finds the run it belongs to."""

from __future__ import annotations

import contextlib
import json
import os
from pathlib import Path

from scaledash.client.identity import RUN_ID, Identity
from scaledash.client.ranks import find_job_id

NAME = "resume.json"


def find_job_run(base: Path, project: str | None) -> str | None:
    """Return the id of this job's run: from Slurm, else as the last start left it."""
    job = find_job_id(os.environ)
    if job is not None:
        return job
    try:
        kept = json.loads((base / NAME).read_text(encoding="utf-8"))
        run_id, kept_project = str(kept["id"]), kept["project"]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    same = kept_project == (project or "default")
    return run_id if same and RUN_ID.fullmatch(run_id) else None


def remember_job(base: Path, identity: Identity) -> None:
    """Leave the run's id for the next start of the job."""
    scratch = base / f".{NAME}.{os.getpid()}"
    with contextlib.suppress(OSError):
        text = json.dumps({"id": identity.id, "project": identity.project})
        scratch.write_text(text, encoding="utf-8")
        scratch.replace(base / NAME)


def forget_job(base: Path, identity: Identity) -> None:
    """Remove what `remember_job` left: the job has ended well, the next one is new."""
    with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
        if json.loads((base / NAME).read_text(encoding="utf-8"))["id"] == identity.id:
            (base / NAME).unlink()
