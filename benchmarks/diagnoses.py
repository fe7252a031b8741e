"""How long a run of a million points takes to be judged, and the next batch of it after that.

The points come over HTTP; what is timed is what a worker does: claim, read the points out of the
database, judge, publish.
"""

from __future__ import annotations

import json
import random
import uuid
from collections.abc import Iterator

from benchmarks.stage import Client, Stage
from benchmarks.table import Row, time_once

METRICS = ("loss.train", "optim.grad_norm", "attn.max_logit.L0", "attn.entropy.L0")
STEPS = 250_000  # of each: a million points
STEPS_A_BATCH = 2_500
UID = "million"


def measure(stage: Stage) -> Iterator[Row]:
    """Yield the seconds of the first diagnosis, of all points, and of one that adds a batch."""
    client, writer, dice = stage.connect(), str(uuid.uuid4()), random.Random(0)
    config = {"total_steps": STEPS, "seq_len": 1024, "clip": 1.0, "loss_at_init": 5.8}
    client.open_run(stage.project, UID, config=config)
    for seq in range(1, STEPS // STEPS_A_BATCH + 1):
        send(client, make_body(writer, seq, dice))
    what = f"a run of {STEPS * len(METRICS):,} points in {len(METRICS)} metrics"
    yield Row(f"diagnosis of {what}, points read out of the database", time_once(judge), "s", 10)
    check(is_rebuilt=True)
    send(client, make_body(writer, STEPS // STEPS_A_BATCH + 1, dice))
    more = f"{STEPS_A_BATCH * len(METRICS):,} points more"
    yield Row(f"the same run with {more}, from its stored state", time_once(judge), "s", 1)
    check(is_rebuilt=False)


def make_body(writer: str, seq: int, dice: random.Random) -> bytes:
    """Return the next batch of a healthy run."""
    first = (seq - 1) * STEPS_A_BATCH + 1
    steps = list(range(first, first + STEPS_A_BATCH))
    metrics = {
        "loss.train": [2.0 + 4.0 * step**-0.3 + dice.gauss(0, 0.01) for step in steps],
        "optim.grad_norm": [abs(0.5 + dice.gauss(0, 0.05)) for _ in steps],
        "attn.max_logit.L0": [8.0 + abs(dice.gauss(0, 0.5)) for _ in steps],
        "attn.entropy.L0": [3.0 + dice.gauss(0, 0.05) for _ in steps],
    }
    return json.dumps({"writer": writer, "seq": seq, "steps": steps, "metrics": metrics}).encode()


def send(client: Client, body: bytes) -> None:
    """Log a batch."""
    client.call("POST", f"runs/{UID}/metrics", body)


def judge() -> None:
    """Do the work on the run as a worker does."""
    from fitting import outbox, refit
    from fitting.models import FitKind, FitState

    FitState.objects.filter(kind=FitKind.RUN_DIAG).update(not_before=None)
    held = outbox.claim([FitKind.RUN_DIAG], 1)
    if held is None or not refit.run_claim(held):
        raise RuntimeError("the run was not diagnosed")


def check(is_rebuilt: bool) -> None:
    """Fail unless the diagnosis is of this run and read what it should have read."""
    from fitting.models import RunDiagnosis

    found = RunDiagnosis.objects.get(run__uid=UID)
    if found.is_rebuilt != is_rebuilt:
        raise RuntimeError(f"the diagnosis is rebuilt: {found.is_rebuilt}, not {is_rebuilt}")
