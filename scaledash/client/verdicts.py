"""What each reply of the server means for the data: the one table of statuses."""

from __future__ import annotations

import enum

from scaledash.client.transport import Reply


class Verdict(enum.Enum):
    """What the sender does next."""

    STORED = "stored"
    RETRY = "retry"  # as it is, later
    STOP = "stop"  # wrong token, scope, address or version: says nothing about the data
    REFUSED = "refused"  # this content is never accepted
    TOO_LARGE = "too large"
    SEQ_REUSE = "seq reuse"
    RUN_ENDED = "run ended"
    CONFLICT = "conflict"


STOPPING = frozenset({401, 403, 404, 405, 410, 415, 501})
WAITING = frozenset({408, 425, 429})


def judge(reply: Reply) -> Verdict:
    """Sort a reply; an unreadable 2xx has an unknown outcome and is sent again."""
    status = reply.status
    if 200 <= status < 300:
        return Verdict.STORED if reply.read_json() is not None else Verdict.RETRY
    if status in STOPPING:
        return Verdict.STOP
    if status == 409:
        return _judge_conflict(reply.read_error()[0])
    if status == 413:
        return Verdict.TOO_LARGE
    if status in WAITING or not 400 <= status < 500:
        return Verdict.RETRY
    return Verdict.REFUSED


def _judge_conflict(code: str) -> Verdict:
    return {"seq_reuse": Verdict.SEQ_REUSE, "run_finished": Verdict.RUN_ENDED}.get(
        code, Verdict.CONFLICT
    )
