"""Processes that die at the worst moment, and spools cut anywhere."""

from __future__ import annotations

import os
import random
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


def start_sync(peer: Any) -> subprocess.Popen[bytes]:
    environment = {"PYTHONPATH": str(ROOT), "SCALEDASH_URL": peer.url, "SCALEDASH_TOKEN": TOKEN}
    return subprocess.Popen(
        [sys.executable, "-m", "scaledash.client.cli", "sync"],
        env={**os.environ, **environment},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


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


@pytest.mark.parametrize("seed", range(40))
def test_spool_damaged_anywhere_never_gives_a_point_twice_or_wrong(
    start_offline: Start, sync: Sync, peer: Any, seed: int
) -> None:
    chance = random.Random(seed)
    with start_offline() as run:
        for step in range(1_500):
            run.log({"x": float(step), "y": float(-step)}, step=step)
            run.log({"z": float(step)}, step=step)
    (segment,) = Path(str(run.dir)).glob("*.seg")
    data = bytearray(segment.read_bytes())
    cut = chance.randrange(1, 4_097)
    if chance.random() < 0.5:
        data = data[:-cut]
    else:
        data[-cut:] = chance.randbytes(cut)
    segment.write_bytes(data)
    sync()
    for name, sign in (("x", 1.0), ("y", -1.0), ("z", 1.0)):
        points = peer.run.points[name]
        assert points == [(step, sign * step) for step in range(len(points))]
        assert len(points) >= 1_500 - 700


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
