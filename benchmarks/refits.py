"""How soon a fit is published after data were committed: 200 runs that log into one study at once.

Every run has ended and goes on logging, so that each batch changes the fit; a run in progress
would change nothing before it ends. A worker and a sweeper of their own run beside the web process.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import sys
import threading
import time
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from benchmarks.stage import Stage
from benchmarks.table import Row

SIZES, LRS, SEEDS = (1e5, 3e5, 1e6, 3e6, 1e7), 10, 4  # 200 runs
THREADS = 8
SECONDS = 20.0
EVERY_SECONDS = 1.0  # each run sends a batch; the client cuts one every half second at most
POLL_SECONDS = 0.02
SETTLE_SECONDS = 60.0
GROUP = "live"


@dataclass
class Watch:
    """The publications of fast fits as they become visible: (time of their data, time seen)."""

    study: int
    seen: list[tuple[float, float]] = field(default_factory=list)
    _stop: threading.Event = field(default_factory=threading.Event)

    def run(self) -> None:
        """Look at the lease of the study until stopped."""
        from django.db import connection

        from fitting.models import FitKind, FitState

        rows = FitState.objects.filter(subject=self.study, kind=FitKind.FAST)
        last = ""
        while not self._stop.wait(POLL_SECONDS):
            progress = rows.values_list("progress", flat=True).first() or {}
            now, text = time.time(), progress.get("data_at", "")
            if text and text != last:
                self.seen.append((read_time(text), now))
                last = text
        connection.close()

    def stop(self) -> None:
        """End the loop."""
        self._stop.set()

    def find_lag(self, acked_at: float) -> float | None:
        """Return the seconds from an answer to the first fit of data at least as new."""
        found = (seen - acked_at for data_at, seen in self.seen if data_at >= acked_at)
        return next(found, None)


def read_time(text: str) -> float:
    """Return a stored time in seconds."""
    return datetime.fromisoformat(text).timestamp()


def measure(stage: Stage) -> Iterator[Row]:
    """Yield the lags and what the worker used of the processors."""
    study, uids = prepare(stage)
    with _programs() as worker_pid:
        warm_up(study)
        watch = Watch(study)
        watcher = threading.Thread(target=watch.run)
        watcher.start()
        busy, begun = read_cpu_seconds(worker_pid), time.monotonic()
        acks = log_for_a_while(stage, uids)
        seconds = time.monotonic() - begun
        busy = read_cpu_seconds(worker_pid) - busy
        lags = wait_for_lags(watch, acks)
        watch.stop()
        watcher.join()
    rate = f"{len(acks) / seconds:.0f} batches/s"
    print(f"  {len(acks)} batches, {rate}, {len(watch.seen)} fits", file=sys.stderr)
    what = f"200 runs logging at once ({rate}), commit to published fast fit"
    yield Row(f"{what}, p50", take_quantile(lags, 0.5), "s", 2)
    yield Row(f"{what}, p95", take_quantile(lags, 0.95), "s", 2)
    yield Row(f"{what}, p99", take_quantile(lags, 0.99), "s", 4)
    yield Row("the same, processors that the worker kept busy", busy / seconds, "cores", 1)


def prepare(stage: Stage) -> tuple[int, list[str]]:
    """Create the study and 200 ended runs of it, each with a writer that goes on."""
    client = stage.connect()
    wish = {"project": stage.project, "slug": "live", "name": "live"}
    wish |= {"selection": {"kind": "group", "group": GROUP}, "loss_metric": "loss.val"}
    study = json.loads(client.call("POST", "studies", wish))["id"]
    uids = []
    for size in SIZES:
        for place in range(LRS * SEEDS):
            uid = f"live-{size:.0f}-{place}"
            lr = 3e-4 * 2.0 ** (place % LRS)
            scale = {"n_params_non_embedding": int(size), "peak_lr": lr, "seed": place // LRS}
            client.open_run(stage.project, uid, group=GROUP, scale=scale)
            client.call("POST", f"runs/{uid}/metrics", make_body(uid, 1))
            client.call("POST", f"runs/{uid}/finish", {"state": "finished"})
            uids.append(uid)
    return study, uids


def make_body(uid: str, seq: int) -> dict[str, object]:
    """Return the batch of a run: a loss that its learning rate and size lead to, with noise."""
    _, size, place = uid.split("-")
    dice = random.Random(f"{uid}:{seq}")
    excess = 0.03 * (int(place) % LRS - 4) ** 2
    loss = 1.7 + 20 * float(size) ** -0.25 + excess + dice.gauss(0, 0.01)
    writer = str(uuid.uuid5(uuid.NAMESPACE_OID, uid))
    steps, metrics = [100 * seq], {"loss.val": [loss], "loss.train": [loss]}
    return {"writer": writer, "seq": seq, "steps": steps, "metrics": metrics}


def log_for_a_while(stage: Stage, uids: Sequence[str]) -> list[float]:
    """Let all runs log at once; returns when each batch was acknowledged."""
    acks: list[list[float]] = [[] for _ in range(THREADS)]

    def log(place: int) -> None:
        client, mine = stage.connect(), uids[place::THREADS]
        end, seq = time.monotonic() + SECONDS, 1
        while time.monotonic() < end:
            seq, due = seq + 1, time.monotonic() + EVERY_SECONDS
            for uid in mine:
                client.call("POST", f"runs/{uid}/metrics", make_body(uid, seq))
                acks[place].append(time.time())
            time.sleep(max(0.0, due - time.monotonic()))

    threads = [threading.Thread(target=log, args=(place,)) for place in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sorted(time for its in acks for time in its)


def wait_for_lags(watch: Watch, acks: Sequence[float]) -> list[float]:
    """Return the lag of every batch, once the last one is in a fit."""
    end = time.monotonic() + SETTLE_SECONDS
    while watch.find_lag(acks[-1]) is None:
        if time.monotonic() > end:
            raise RuntimeError(f"no fit within {SETTLE_SECONDS:.0f} s of the last batch")
        time.sleep(POLL_SECONDS)
    return sorted(lag for acked_at in acks if (lag := watch.find_lag(acked_at)) is not None)


def take_quantile(ordered: Sequence[float], share: float) -> float:
    """Return a quantile of ordered values."""
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def warm_up(study: int) -> None:
    """Wait until the worker has fitted what is there."""
    from fitting.models import Dirty, Fit, FitKind

    end = time.monotonic() + SETTLE_SECONDS
    waiting = Dirty.objects.filter(subject=study, kind=FitKind.FAST)
    while waiting.exists() or not Fit.objects.filter(study=study).exists():
        if time.monotonic() > end:
            raise RuntimeError("the worker does not fit; see its log in the stage's folder")
        time.sleep(0.1)


@contextlib.contextmanager
def _programs() -> Iterator[int]:
    """Run a worker and a sweeper on the databases of the stage; gives the worker's id."""
    from scaledash import programs
    from scaledash.processes import Child

    env = programs.inherit_environment({})
    folder = Path(os.environ["SCALEDASH_HOME"])
    children = [
        Child(programs.worker(env, folder, f"bench-{os.getpid()}@localhost")),
        Child(programs.sweeper(env, folder)),
    ]
    try:
        yield children[0].pid
    finally:
        for child in children:
            child.stop()


def read_cpu_seconds(pid: int) -> float:
    """Return what a process and its children, the ended ones too, used of the processors."""
    text = Path(f"/proc/{pid}/task/{pid}/children").read_text()
    ticks = 0
    for one in (pid, *map(int, text.split())):
        with contextlib.suppress(OSError):
            fields = Path(f"/proc/{one}/stat").read_text().rpartition(")")[2].split()
            ticks += sum(map(int, fields[11:15]))  # its own, and of children that it waited for
    return ticks / os.sysconf("SC_CLK_TCK")
