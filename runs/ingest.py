"""Take in one batch of points: whole or not at all, and exactly once.

Before the transaction: read the body strictly, map metric names to ids. Inside it, locks always in
the order batch key, writer, run; then attempts, points, and what listeners of `batch_stored` add.
The answer is given after COMMIT.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

import msgspec
from django.db import transaction
from django.utils import timezone

from runs import store
from runs.attempts import Choice, Start, Wish, choose_attempt, compute_limits
from runs.blocks import find_distinct
from runs.facts import Resolved, apply_logged, resolve
from runs.held import LockedRun, LoggedRun, WriterState
from runs.metric_names import check_quota, find_ids
from runs.models import Outcome, Run, RunState
from runs.packing import clamp_times, pack_points
from runs.signals import batch_stored, run_ended
from runs.summaries import Arrival, Entry, make_entries, merge_entry
from runs.validation import NO_WRITER, Batch, read_batch
from scaledash.lib.names import FLOPS, LOSSES, TOKENS, canonical_metric
from teams.api.errors import ApiError, not_found
from teams.store import together

ENDED = (RunState.FINISHED, RunState.FAILED, RunState.INTERRUPTED)
ENDED_FIELDS = ("state", "ended_at", "ending", "exit_code", "finish_reason")
ENDING = ("project", "uid", "state", "dropped", "attempt", "last_step")  # what an end looks at
FACT_METRICS = (TOKENS, FLOPS)
Answer = dict[str, int | None]


class Known(Exception):
    """The key of the batch is known already: nothing of this transaction may stay."""


@dataclass
class Change:
    """What a batch changes of its run, collected before it is written at once."""

    summary: dict[str, Entry] = field(default_factory=dict)
    is_settled: bool = True
    repeated: int = 0
    overwritten: int = 0
    last_step: int | None = None


def accept_batch(run: Run | LoggedRun, body: bytes) -> Answer:
    """Store a batch and return {"accepted", "duplicates", "overwritten", "last_seq"}.

    `body` is the decompressed request.
    """
    batch = read_batch(body)
    metric_ids = find_ids(run.project_id, run.pk, batch.names)
    return store_batch(run, batch, metric_ids, digest_body(body))


def digest_body(body: bytes) -> bytes:
    """Return what tells a batch from another one under the same key."""
    return hashlib.sha256(body).digest()


def store_batch(
    run: Run | LoggedRun, batch: Batch, metric_ids: Mapping[str, int], digest: bytes
) -> Answer:
    """Store a batch that was read; a key that was there before changes nothing."""
    try:
        with transaction.atomic():
            return Storing(run, batch, metric_ids, digest).store()
    except Known:
        return _answer_known(run, batch, digest)


def _answer_known(run: Run | LoggedRun, batch: Batch, digest: bytes) -> Answer:
    """Answer for a key that was there before: the same body is a replay, another one an error."""
    stored, last_seq = store.find_digest(_key_of(run, batch))
    if stored not in (None, digest):
        message = f"seq {batch.seq} of this writer carried another body; use a new writer id."
        raise ApiError(409, "seq_reuse", message, "/seq")
    return {
        "accepted": 0,
        "duplicates": batch.n_points,
        "overwritten": 0,
        "last_seq": last_seq,
    }


def _key_of(run: Run | LoggedRun, batch: Batch) -> dict[str, object]:
    return {"run": run.pk, "writer": batch.writer, "seq": batch.seq}


class Storing:
    """One batch on its way in; the methods are the steps of the transaction."""

    def __init__(
        self, run: Run | LoggedRun, batch: Batch, metric_ids: Mapping[str, int], digest: bytes
    ) -> None:
        self.run = run
        self.batch = batch
        self.metric_ids = metric_ids
        self.digest = digest

    def store(self) -> Answer:
        """Run the transaction's steps in their order."""
        self.writer, self.held = self._claim()
        self._check_run()
        self._revise()
        choice = self._choose_attempt()
        change = self._merge(choice)
        if choice.hides:
            self._write_attempt(choice)
        with together():
            self._write(choice, change)
            batch_stored.send(sender=Run, run_id=self.run.pk, metrics=self.batch.names)
        self._end_if_due()
        return {
            "accepted": self.batch.n_points,
            "duplicates": 0,
            "overwritten": change.overwritten if change.is_settled else None,
            "last_seq": self.writer.last_seq if self.writer else None,
        }

    def _claim(self) -> tuple[WriterState | None, LockedRun]:
        if self.batch.writer is None:
            return None, store.lock_run(self.run.pk, self.batch.names)
        key = {**_key_of(self.run, self.batch), "names": self.batch.names}
        values = {**key, "digest": self.digest, "n_points": self.batch.n_points}
        found = store.claim_batch(values)
        if found is None:
            raise Known
        writer, held = found
        if writer.max_seq > writer.last_seq:
            last_seq = store.advance_writer(self.run.pk, self.batch.writer)
            writer = replace(writer, last_seq=last_seq)
        return writer, held

    def _check_run(self) -> None:
        if self.held.deleted_at is not None:
            raise not_found(f"run {self.run.uid!r}")
        is_known = self.writer is not None and not self.writer.is_new
        if self.held.state in ENDED and not is_known:
            message = f"The run is {self.held.state}; resume it before another process logs."
            raise ApiError(409, "run_finished", message)
        if len(self.held.summary) < len(self.batch.names):
            check_quota(self.run.pk if self.held.rev else None, self.batch.names)

    def _revise(self) -> None:
        """Let a protocol change the batch by what it finds in the locked run."""

    def _choose_attempt(self) -> Choice:
        batch, writer = self.batch, self.writer
        wish = Wish(
            own=None if writer is None or writer.is_new else writer.attempt,
            start_step=batch.start_step,
            rewind=batch.rewind,
            attempt_key=batch.attempt_key,
        )
        starts = []
        if wish.step is not None:
            starts = [Start(*row[:3]) for row in store.find_attempts(self.run.pk)]
        return choose_attempt(wish, self.held.attempt, self.held.last_step, starts)

    def _write_attempt(self, choice: Choice) -> None:
        write_attempt(self.run.pk, self.held.rev + 1, choice, self._describe_start())

    def _describe_start(self) -> dict[str, object]:
        reason = "resume" if self.batch.rewind is None else "rewind"
        return {"reason": reason, "attempt_key": self.batch.attempt_key, "request_id": None}

    def _merge(self, choice: Choice) -> Change:
        """Merge the batch into the entries of its series, and find how far the run has come."""
        change = Change(last_step=self.held.last_step)
        newest = max(self.held.attempt, choice.no)
        is_late = choice.no < newest
        reached = None
        for columns in self.batch.columns:
            if not columns.names or not columns.steps.size:
                continue
            points = find_distinct(columns.steps, columns.values)
            arrival = Arrival(
                first_step=int(points.steps[0]),
                is_late=is_late,
                hides_from=choice.start_step if choice.hides else None,
            )
            is_whole = points.values is columns.values
            entries = make_entries(points, columns.statistics if is_whole else None)
            for name, entry in zip(columns.names, entries, strict=True):
                merged = merge_entry(self.held.summary.get(name), entry, arrival)
                change.summary[name] = merged.entry
                change.is_settled = change.is_settled and merged.is_settled
                change.repeated += merged.repeated
                change.overwritten += merged.overwritten
            reached = max(reached or 0, int(points.steps[-1]))
        change.last_step = self._find_last_step(choice, reached, is_late)
        return change

    def _find_last_step(self, choice: Choice, reached: int | None, is_late: bool) -> int | None:
        before = self.held.last_step
        if choice.hides and choice.start_step is not None:
            if reached is not None and reached >= choice.start_step:
                return reached
            below = find_visible_end(self.run.pk, self.held.attempt, choice)
            return max((s for s in (below, reached) if s is not None), default=None)
        if is_late or reached is None:
            return before
        return reached if before is None else max(before, reached)

    def _write(self, choice: Choice, change: Change) -> None:
        times, is_clamped = clamp_times(self.batch.columns, time.time())
        values: dict[str, object] = {
            **_key_of(self.run, self.batch),
            **pack_points(self.batch.columns, times, self.metric_ids),
            **self._describe_facts(change),
            **self._judge(change),
            "digest": self.digest,
            "n_points": self.batch.n_points,
            "rev": self.held.rev + 1,
            "summary": msgspec.json.encode(change.summary).decode(),
            "attempt": max(self.held.attempt, choice.no),
            "attempt_of_points": choice.no,
            "last_step": change.last_step,
            "state": RunState.RUNNING if self.held.state == RunState.CRASHED else self.held.state,
            "repeated": change.repeated,
            "overwritten": change.overwritten,
            "clock_clamped": self.held.clock_clamped or is_clamped,
            "is_settled": change.is_settled,
        }
        if self.batch.writer is None:
            store.STORE_UNCLAIMED.execute({**values, "writer": NO_WRITER})
        else:
            store.STORE_CLAIMED.execute(values)
        if self.writer is not None and (self.writer.is_new or self.writer.attempt != choice.no):
            self._move_writer(choice)
        for name in ("state", "attempt", "last_step"):
            setattr(self.run, name, values[name])

    def _move_writer(self, choice: Choice) -> None:
        if choice.no == 0:  # where a new writer stands anyway
            return
        values = {
            "run": self.run.pk,
            "writer": self.batch.writer,
            "no": choice.no,
            "attempt_key": self.batch.attempt_key,
            "resumed": self.batch.start_step is not None,
        }
        store.execute(store.MOVE_WRITER, values)

    def _describe_facts(self, change: Change) -> dict[str, object]:
        """Return what the facts of the run become, nulls where they stay."""
        counted = {
            name: entry
            for name, entry in change.summary.items()
            if canonical_metric(name) in FACT_METRICS
        }
        has_moved = change.last_step != self.held.last_step and self.held.facts
        if not counted and not has_moved:
            return dict.fromkeys(("facts", "n_tokens", "flops", "flop_convention"))
        at = timezone.now().isoformat(timespec="seconds")
        found = resolve(apply_logged(self.held.facts, counted, at), change.last_step, at)
        return describe_columns(found)

    def _judge(self, change: Change) -> dict[str, object]:
        """Return the outcome: a loss that is not finite diverged, unless a person decided."""
        evidence = None
        if self.held.outcome != Outcome.DIVERGED and not self.held.is_overridden:
            evidence = find_divergence(change.summary)
        outcome = Outcome.DIVERGED if evidence else self.held.outcome
        return {"outcome": outcome, "evidence": json.dumps(evidence) if evidence else None}

    def _end_if_due(self) -> None:
        """End the run if its finish record waited for this batch."""
        ending = self.held.ending
        if not ending or self.writer is None or ending["writer"] != str(self.batch.writer):
            return
        if self.writer.last_seq >= int(ending["last_seq"]):
            end_run(Run.objects.only(*ENDING).get(pk=self.run.pk), ending)


def describe_columns(found: Resolved) -> dict[str, object]:
    """Return the columns that follow from logged and derived facts."""
    return {
        "facts": json.dumps(found.facts, allow_nan=False),
        "n_tokens": found.columns["n_tokens"],
        "flops": found.columns["flops"],
        "flop_convention": found.flop_convention,
    }


def find_divergence(summary: Mapping[str, Mapping[str, object]]) -> dict[str, object] | None:
    """Return the first loss that is not finite: {metric, step, value}; None where all are."""
    found = [
        (entry["first_nonfinite_step"], name, entry["first_nonfinite"])
        for name, entry in summary.items()
        if "first_nonfinite_step" in entry and canonical_metric(name) in LOSSES
    ]
    if not found:
        return None
    step, metric, value = min(found)
    return {"metric": metric, "step": step, "value": value}


def write_attempt(run_id: int, rev: int, choice: Choice, start: Mapping[str, object]) -> None:
    """Open an attempt or lower its start; the series whose points it hides wait to be settled."""
    values = {"run": run_id, "no": choice.no, "start_step": choice.start_step, "rev": rev, **start}
    store.execute(store.ADD_ATTEMPT if choice.opens else store.LOWER_ATTEMPT, values)
    store.execute(store.FLAG_HIDDEN, {"run": run_id, "step": choice.start_step})


def find_visible_end(run_id: int, newest: int, choice: Choice) -> int | None:
    """Return the last visible step of what is stored, with a choice of attempt in force."""
    starts = {row[0]: row[1] for row in store.find_attempts(run_id)}
    if choice.start_step is not None:
        starts[choice.no] = choice.start_step
    limits = compute_limits(starts, max(newest, choice.no))
    return store.find_last_step(run_id, limits.tolist())


def end_run(run: Run, ending: Mapping[str, object]) -> None:
    """Let a run, of which the fields of `ENDING` are enough, end as its finish record says."""
    run.changed_at = timezone.now()
    at = ending.get("ended_at")
    run.ended_at = run.changed_at if at is None else datetime.fromtimestamp(float(at), UTC)
    run.state, run.ending = str(ending["state"]), None
    exit_code = ending.get("exit_code")
    run.exit_code = None if exit_code is None else int(exit_code)
    run.finish_reason = str(ending.get("reason") or "")
    values = {
        "run": run.pk,
        "state": run.state,
        "exit_code": run.exit_code,
        "reason": run.finish_reason,
        "ended_at": run.ended_at,
        "changed_at": run.changed_at,
    }
    with together():
        store.END_RUN.execute(values)
        run_ended.send(sender=Run, run=run)
