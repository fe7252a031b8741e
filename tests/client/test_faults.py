"""Processes that die at the worst moment, and spools cut anywhere."""

from __future__ import annotations

import itertools
import os
import random
import shutil
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from client_peer import TOKEN, Fault

import scaledash

Start = Callable[..., scaledash.Run]
Sync = Callable[..., int]
ROOT = Path(__file__).resolve().parents[2]
N_CUTS = N_KILLS = 200
KILLED_JOB = """
import sys; sys.path.append(sys.argv[1])
import scaledash
first, number = int(sys.argv[2]), int(sys.argv[3])
run = scaledash.init("demo", id="job", resume="allow", mode="offline")
for step in range(first, first + 100_000):
    run.log({"x": number * 1e6 + step}, step=step)
    if step % 7 == 0:
        run.write_spool()
        print(step, flush=True)
"""


def start_sync(peer: Any) -> subprocess.Popen[bytes]:
    environment = {"PYTHONPATH": str(ROOT), "SCALEDASH_URL": peer.url, "SCALEDASH_TOKEN": TOKEN}
    return subprocess.Popen(
        [sys.executable, "-m", "scaledash.client.cli", "sync"],
        env={**os.environ, **environment},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["drop", 503])
def test_sync_killed_at_each_request_stores_everything_once(
    start_offline: Start, peer: Any, kind: int | str
) -> None:
    with start_offline(config={"a": 1}) as run:
        for step in range(1_000):
            run.log({f"m{number}": float(step) for number in range(60)}, step=step)
    statuses = []
    for number in range(1, 12):
        seen = iter(range(1, 1_000))
        process = start_sync(peer)

        def kill(
            body: dict[str, Any],
            seen: Any = seen,
            number: int = number,
            process: subprocess.Popen[bytes] = process,
        ) -> bool:
            is_due = next(seen) == number
            if is_due:
                process.send_signal(signal.SIGKILL)
            return is_due

        peer.faults = [Fault(kind, when=kill)]
        statuses.append(process.wait(60))
    assert statuses.count(-signal.SIGKILL) >= 3  # later rounds have fewer requests left
    peer.faults = []
    assert start_sync(peer).wait(60) == 0
    expected = [(step, float(step)) for step in range(1_000)]
    assert all(peer.run.points[f"m{number}"] == expected for number in range(60))
    assert peer.run.state == "finished"


@pytest.mark.slow
def test_spool_damaged_anywhere_never_gives_a_point_twice_or_wrong(
    start_offline: Start, sync: Sync, peer: Any, tmp_path: Path
) -> None:
    with start_offline() as run:
        for step in range(800):
            run.log({"x": float(step), "y": float(-step)}, step=step)
            run.log({"z": float(step)}, step=step)
    whole = Path(str(run.dir))
    for seed in range(N_CUTS):
        spool = tmp_path / f"cut{seed}" / whole.name
        shutil.copytree(whole, spool)
        damage(next(spool.glob("*.seg")), random.Random(seed))
        peer.runs.clear()
        sync(str(spool))
        for name, sign in (("x", 1.0), ("y", -1.0), ("z", 1.0)):
            points = peer.run.points[name]
            assert points == [(step, sign * step) for step in range(len(points))], seed
            assert len(points) >= 800 - 700, seed
        shutil.rmtree(spool.parent)


def damage(segment: Path, chance: random.Random) -> None:
    """Cut off, or overwrite, up to the last 4,096 bytes."""
    data = bytearray(segment.read_bytes())
    cut = chance.randrange(1, 4_097)
    if chance.random() < 0.5:
        data = data[:-cut]
    else:
        data[-cut:] = chance.randbytes(cut)
    segment.write_bytes(data)


def kill_after(n_commits: int, first: int, number: int) -> int:
    """Start a job, kill it once it has told of so many commits; return how many rows they hold."""
    command = [sys.executable, "-S", "-c", KILLED_JOB, str(ROOT), str(first), str(number)]
    environment = {**os.environ, "SCALEDASH_DISABLE_CODE": "1"}
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=environment) as job:
        assert job.stdout is not None
        told = list(itertools.islice(job.stdout, n_commits))
        job.kill()
        told += [line for line in job.stdout if line.endswith(b"\n")]
    assert job.returncode == -signal.SIGKILL
    return int(told[-1]) + 1 - first


@pytest.mark.slow
def test_jobs_killed_at_random_lose_nothing_that_was_committed(peer: Any, tmp_path: Path) -> None:
    """Each job goes on at the last commit it was told of, as from a checkpoint, and is killed."""
    chance = random.Random(0)
    committed: dict[int, range] = {}
    first = 0
    for number in range(N_KILLS):
        last = first + kill_after(chance.randrange(1, 12), first, number)
        committed[number] = range(first, last)
        first = last
    start_sync(peer).wait(120)
    points = Counter(peer.run.points["x"])
    assert set(points.values()) == {1}
    assert all((step, number * 1e6 + step) in points for number in committed
               for step in committed[number])  # fmt: skip
    starts = [step for kind, step in peer.run.markers if kind == "start_step"]
    assert starts == [steps.start for steps in committed.values()]


def test_killed_and_resumed_job_holds_every_committed_row_once(peer: Any) -> None:
    code = (
        "import scaledash, os, sys\n"
        "run = scaledash.init('demo', id='job', resume='allow', mode='offline')\n"
        "first = int(sys.argv[1])\n"
        "for step in range(first, first + 100): run.log({'x': float(step)}, step=step)\n"
        "run.write_spool(); os.kill(os.getpid(), 9)\n"
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    for first in (0, 100, 200):
        subprocess.run([sys.executable, "-c", code, str(first)], env=environment, check=False)
    start_sync(peer).wait(60)
    counts = Counter(step for step, _ in peer.run.points["x"])
    assert counts == Counter(range(300))
    assert [step for kind, step in peer.run.markers if kind == "start_step"] == [0, 100, 200]
