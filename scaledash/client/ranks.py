"""Which process of a distributed job this is, and which attempt of the job."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

RANK_VARIABLES = ("SCALEDASH_RANK", "RANK", "SLURM_PROCID", "OMPI_COMM_WORLD_RANK", "PMI_RANK")


@dataclass(frozen=True)
class Rank:
    """Number of this process in its job, and the variable that told it."""

    number: int
    variable: str = ""


def find_rank(given: int | None, environ: Mapping[str, str]) -> Rank:
    """Return the rank; 0 when nothing tells one."""
    if given is not None:
        return Rank(given, "Settings(rank=)")
    for name in RANK_VARIABLES:
        text = environ.get(name, "").strip()
        if text.isdecimal():
            return Rank(int(text), name)
    return Rank(0)


def find_job_id(environ: Mapping[str, str]) -> str | None:
    """Return an id that a requeued Slurm job keeps, or None outside Slurm."""
    array = environ.get("SLURM_ARRAY_JOB_ID")
    if array and environ.get("SLURM_ARRAY_TASK_ID"):
        return f"slurm-{array}-{environ['SLURM_ARRAY_TASK_ID']}"
    job = environ.get("SLURM_JOB_ID")
    return f"slurm-{job}" if job else None


def find_attempt_key(environ: Mapping[str, str]) -> str | None:
    """Return what the ranks of one start of a job have in common, or None.

    `SCALEDASH_ATTEMPT`, else the launcher's id and its count of restarts: Torch Elastic, Slurm.
    """
    if environ.get("SCALEDASH_ATTEMPT"):
        return environ["SCALEDASH_ATTEMPT"]
    for job, restarts in (
        ("TORCHELASTIC_RUN_ID", "TORCHELASTIC_RESTART_COUNT"),
        ("SLURM_JOB_ID", "SLURM_RESTART_COUNT"),
    ):
        if environ.get(job):
            return f"{environ[job]}:{environ.get(restarts) or 0}"
    return None
