"""Send rows as batches: boundary on disk first, then the request, then the acknowledgement."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from scaledash.client.batches import (
    MAX_BYTES,
    MAX_POINTS,
    cut_batch,
    encode_batch,
    find_refused,
    halve,
)
from scaledash.client.control import Plan, Progress, plan_to_record
from scaledash.client.link import Link, Paused, make_id
from scaledash.client.stream import Stream
from scaledash.client.transport import Reply
from scaledash.client.verdicts import Verdict


class Uploader:
    """Deliver the rows of a run.

    Parameters
    ----------
    link : Link
        Connection and control log.
    directory : Path
        Named in warnings.
    reopen : callable
        Continues a run that has ended; False when its caller did not allow that.
    """

    def __init__(self, link: Link, directory: Path, reopen: Callable[[], bool]) -> None:
        self._link = link
        self._control = link.control
        self._directory = directory
        self._reopen = reopen
        self._max_points = MAX_POINTS
        self._encoded: tuple[Plan, tuple[bytes, int]] | None = None  # not to do it twice

    def send_rows(self, stream: Stream, path: str, final: bool) -> None:
        """Send all rows at hand of one writer, one batch after the other.

        Parameters
        ----------
        stream : Stream
            The writer's rows.
        path : str
            Where batches go.
        final : bool
            No row will appear any more, so a boundary behind the last one marks lost rows.

        Raises
        ------
        Paused
            The server does not take them now.
        """
        progress = self._control.state.writer(stream.writer)
        while (plan := progress.plan or self._cut(stream, progress)) is not None:
            if plan.end_row > stream.end_row and not final:
                return  # cut by an earlier sender; its rows are not visible from here yet
            self._send_batch(stream, plan, path)
            stream.forget(progress.acked_row)

    def _cut(self, stream: Stream, progress: Progress) -> Plan | None:
        plan = cut_batch(stream, progress, self._max_points)
        if plan is None:
            return None
        self._find_base(stream, progress)
        encoded = encode_batch(stream, plan, progress.base)
        while len(encoded[0]) > MAX_BYTES and (smaller := halve(plan)) is not None:
            plan = smaller
            encoded = encode_batch(stream, plan, progress.base)
        self._keep(plan)
        self._encoded = (plan, encoded)
        return plan

    def _encode(self, stream: Stream, plan: Plan, base: int | None) -> tuple[bytes, int]:
        if self._encoded is not None and self._encoded[0] is plan:
            return self._encoded[1]
        return encode_batch(stream, plan, base)

    def _find_base(self, stream: Stream, progress: Progress) -> None:
        """Relative steps continue behind the last step that the server had at first contact."""
        if progress.base is not None or not any(block.relative for block in stream.blocks):
            return
        last = (self._control.state.created or {}).get("last_step")
        base = last + 1 if isinstance(last, int) else 0
        self._control.append({"t": "base", "writer": stream.writer, "base": base}, durable=True)

    def _keep(self, plan: Plan) -> None:
        self._control.append(plan_to_record(plan), durable=True)

    def _send_batch(self, stream: Stream, plan: Plan, path: str) -> None:
        progress = self._control.state.writer(stream.writer)
        body, points = self._encode(stream, plan, progress.base)
        if points == 0:
            self._acknowledge(plan, progress.last_seq)
            return
        reply, verdict = self._link.request("POST", path, body)
        if verdict is Verdict.STORED:
            if not isinstance((reply.read_json() or {}).get("last_seq"), int):
                raise Paused(Reply(0, problem="the answer names no seq"), Verdict.RETRY)
            self._acknowledge(plan, plan.seq)
        elif verdict is Verdict.SEQ_REUSE:
            self._change_writer(plan, reply)
        elif verdict is Verdict.RUN_ENDED:
            self._handle_ended(plan, points, reply)
        else:
            self._recut(stream, plan, reply, verdict)

    def _acknowledge(self, plan: Plan, seq: int) -> None:
        record = {"t": "ack", "writer": plan.writer, "seq": seq, "end": plan.end_row}
        self._control.append(record)

    def _change_writer(self, plan: Plan, reply: Reply) -> None:
        self._control.append(
            {"t": "rewriter", "writer": plan.writer, "as": str(uuid.uuid4())}, durable=True
        )
        self._link.warn(
            "seq_reuse",
            f"{reply.read_error()[1]}: another sender has used this spool; the remaining rows are"
            " sent under a new writer id.",
        )

    def _handle_ended(self, plan: Plan, points: int, reply: Reply) -> None:
        if self._reopen():
            return
        self._bury(plan, None, None, points, reply)
        self._acknowledge(plan, plan.seq - 1)

    def _recut(self, stream: Stream, plan: Plan, reply: Reply, verdict: Verdict) -> None:
        """Refused content stored nothing: send less of it under the same seq."""
        base = self._control.state.writer(stream.writer).base
        bad = None
        if verdict is Verdict.REFUSED:
            bad = find_refused(stream, plan, base, reply.read_error()[2])
        else:
            self._max_points = max(1, encode_batch(stream, plan, base)[1] // 2)
        if bad is None and (smaller := halve(plan)) is not None:
            self._keep(smaller)
            return
        name, row = bad or (None, plan.first_row)
        before = encode_batch(stream, plan, base)[1]
        reduced = replace(plan, without=(*plan.without, (name, row)))
        after = encode_batch(stream, reduced, base)[1]
        self._bury(plan, name, row, before - after, reply)
        self._keep(reduced)

    def _bury(
        self, plan: Plan, name: str | None, row: int | None, count: int, reply: Reply
    ) -> None:
        code, message, _ = reply.read_error()
        reason = f"{message} ({code or reply.status})"
        self._control.append(
            {
                "t": "dead",
                "id": make_id(),
                "writer": plan.writer,
                "rows": [plan.first_row, plan.end_row],
                "metric": name,
                "row": row,
                "count": count,
                "reason": reason,
            },
            durable=True,
        )
        what = f"metric {name!r}" if name else "a row"
        text = f"the server refused {count} points of {what}: {reason}. They are kept; see"
        self._link.warn(f"dead:{code}", f"{text} `scaledash status --dead {self._directory}`.")
