"""A run with its first batches and its end, in one request and one transaction.

A batch in here is the same batch as one that comes alone: same rules, same key, and its digest is
that of its bytes as they stand in the request.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import msgspec
from django.db import IntegrityError, transaction

from runs.ingest import Answer, Storing, digest_body, store_batch
from runs.metric_names import find_ids
from runs.models import Run
from runs.services import RunWish, find_last_seq, finish_held, open_held
from runs.validation import Batch, read_batch
from teams.api.errors import ApiError, unprocessable
from teams.models import Project


class _Outline(msgspec.Struct):
    batches: list[msgspec.Raw] = []


_decoder = msgspec.json.Decoder(_Outline)


@dataclass(frozen=True)
class Part:
    """A batch of the request, and what tells it from another one under its key."""

    batch: Batch
    digest: bytes


@dataclass(frozen=True)
class Opened:
    """The run, whether it was created, and the answer to each batch."""

    run: Run
    is_new: bool
    answers: list[Answer]


def read_parts(body: bytes) -> list[Part]:
    """Return the batches of a body whose `batches` is a list, or raise ApiError."""
    parts: list[Part] = []
    seen = set()
    for place, raw in enumerate(_decoder.decode(body).batches):
        with _at(place):
            batch = read_batch(bytes(raw))
            if batch.writer is None:
                message = "A batch that comes with its run needs a key; send writer and seq."
                raise unprocessable("required", message, "/writer")
            if (batch.writer, batch.seq) in seen:
                message = f"The seq {batch.seq} of this writer stands twice in the request."
                raise unprocessable("invalid", message, "/seq")
        seen.add((batch.writer, batch.seq))
        parts.append(Part(batch, digest_body(bytes(raw))))
    return parts


def open_whole_run(
    project: Project,
    user_id: int | None,
    wish: RunWish,
    parts: Sequence[Part],
    ending: Mapping[str, object] | None,
) -> Opened:
    """Open a run, store batches in their order and end it: all of that, or nothing."""
    try:
        return _open_whole(project, user_id, wish, parts, ending)
    except IntegrityError:  # another request made the run meanwhile; now it is there
        return _open_whole(project, user_id, wish, parts, ending)


def _open_whole(
    project: Project,
    user_id: int | None,
    wish: RunWish,
    parts: Sequence[Part],
    ending: Mapping[str, object] | None,
) -> Opened:
    metric_ids: dict[str, int] = {}
    for place, part in enumerate(parts):
        with _at(place):  # a run may have so many names: those of the batches before count too
            metric_ids = find_ids(project.pk, None, [*metric_ids, *part.batch.names])
    with transaction.atomic():
        run, is_new = open_held(project, user_id, wish)
        answers, last_seqs = [], {}
        for place, part in enumerate(parts):
            with _at(place):
                answer = _store(run, is_new, part, metric_ids)
            last_seqs[str(part.batch.writer)] = answer["last_seq"] or 0
            answers.append(answer)
        if ending is not None:
            writer = ending.get("writer")
            known = last_seqs.get(str(writer))
            finish_held(run, ending, find_last_seq(run, writer) if known is None else known)
    return Opened(run, is_new, answers)


def _store(run: Run, is_new: bool, part: Part, metric_ids: Mapping[str, int]) -> Answer:
    if is_new:  # no key of it can be known yet
        return Storing(run, part.batch, metric_ids, part.digest).store()
    return store_batch(run, part.batch, metric_ids, part.digest)


@contextmanager
def _at(place: int) -> Iterator[None]:
    """Let the pointer of a refusal begin at the place of its batch."""
    try:
        yield
    except ApiError as error:
        raise error.under(f"/batches/{place}") from error
