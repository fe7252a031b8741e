"""A short run that lies whole in its spool: description, rows and end in one request."""

from __future__ import annotations

from collections.abc import Mapping

from scaledash.client import description
from scaledash.client.batches import MAX_BYTES, MAX_POINTS, cut_batch, encode_batch
from scaledash.client.control import Control, Plan, plan_to_record
from scaledash.client.link import API, Link
from scaledash.client.stream import SpoolReader, Stream
from scaledash.client.transport import Reply, encode_json
from scaledash.client.verdicts import Verdict

SIMPLE = frozenset({"init", "patch", "host", "finish"})
Event = Mapping[str, object]


def send_whole(link: Link, main: Stream, plan: Plan, ending: Event) -> Reply | None:
    """Send all of a run; None where the server wants it piece by piece, which says what is wrong.

    The boundary of the batch is on disk first, so that the pieces would be the same bytes.

    Raises
    ------
    Paused
        The server does not take it now; the same request later stores it once.
    """
    state = link.control.state
    rows, _ = encode_batch(main, plan, None)
    if state.writer(main.writer).plan is None:
        link.control.append(plan_to_record(plan), durable=True)
    host = next((event for event in main.events if event.get("t") == "host"), None)
    create = description.build_create(main.events[0], host)
    patches = [event for event in main.events if event.get("t") == "patch"]
    body = description.build_change([{"t": "patch", "body": create}, *patches])
    body["finish"] = description.build_finish(ending, state.dead_rows, plan.sent_as, plan.seq)
    raw = encode_json(body)[:-1] + b',"batches":[' + rows + b"]}"
    reply, verdict = link.request("POST", API, raw)
    if verdict is not Verdict.STORED or not _names_seq(reply, plan.seq):
        return None
    run = reply.read_json() or {}
    link.control.append({"t": "created", "run": run, "host": host is not None}, durable=True)
    link.control.append({"t": "event", "n": len(main.events)})
    acked = {"t": "ack", "writer": plan.writer, "seq": plan.seq, "end": plan.end_row}
    link.control.append(acked)
    return reply


def plan_whole(state: Control, reader: SpoolReader, main: Stream) -> Plan | None:
    """Return the one batch of a run that nothing was sent of, None where it takes more than that.

    All of the spool must have been read, and no row may come any more.
    """
    simple = all(event.get("t") in SIMPLE for event in main.events)
    is_plain = simple and not main.cuts and not any(block.relative for block in main.blocks)
    is_alone = len(reader.streams) == 1 and not main.events[0].get("member")
    if state.created is not None or state.stripped or not (is_plain and is_alone):
        return None
    progress = state.writer(main.writer)
    plan = progress.plan or cut_batch(main, progress, MAX_POINTS)
    if plan is None or plan.end_row < main.end_row or main.first_row > 0 or plan.first_row > 0:
        return None
    rows, n_points = encode_batch(main, plan, None)
    return plan if n_points and len(rows) <= MAX_BYTES else None


def _names_seq(reply: Reply, seq: int) -> bool:
    """Say whether the answer tells of the batch: a server that knows no batches here does not."""
    answers = (reply.read_json() or {}).get("batches")
    return isinstance(answers, list) and [item.get("last_seq") for item in answers] == [seq]
