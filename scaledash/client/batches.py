"""Cut rows into batches and write their bodies: pure functions of the spool and a plan."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace

from scaledash.client.control import Plan, Progress
from scaledash.client.nonfinite import write_value
from scaledash.client.records import Block
from scaledash.client.stream import Stream, read_int

MAX_POINTS = 10_000
MAX_BYTES = 1024 * 1024


@dataclass
class Columns:
    """The points of a batch by metric, with the index of the row each came from."""

    rows: list[int] = field(default_factory=list)
    steps: list[int] = field(default_factory=list)
    times: list[float] = field(default_factory=list)
    places: dict[str, list[int]] = field(default_factory=dict)
    values: dict[str, list[float]] = field(default_factory=dict)


def cut_batch(stream: Stream, progress: Progress, max_points: int = MAX_POINTS) -> Plan | None:
    """Return the boundary of the next batch, or None when there is no row to send.

    A batch ends before a marker (resume, rewind) and at `max_points`.
    """
    rows = _iterate_rows(stream, progress.acked_row)
    first = next(rows, None)
    if first is None:
        return None
    end, points = first[0] + 1, first[1]
    for index, width in rows:
        if index in stream.cuts or points + width > max_points:
            break
        end, points = index + 1, points + width
    cut = stream.cuts.get(first[0]) or _find_skipped_cut(stream, progress.acked_row, first[0])
    return Plan(stream.writer, progress.sent_as, progress.last_seq + 1, first[0], end, cut)


def halve(plan: Plan) -> Plan | None:
    """Return the first half of a batch under the same seq; None for a single row."""
    middle = (plan.first_row + plan.end_row) // 2
    return replace(plan, end_row=middle) if middle > plan.first_row else None


def encode_batch(stream: Stream, plan: Plan, base: int | None) -> tuple[bytes, int]:
    """Return the JSON body of a batch and its number of points.

    The same plan, spool and base give the same bytes, whenever and by whomever it is sent.
    """
    columns = collect_columns(stream, plan, base)
    body: dict[str, object] = {"writer": plan.sent_as, "seq": plan.seq, "steps": columns.steps}
    metrics: dict[str, object] = {}
    for name, values in columns.values.items():
        encoded = [write_value(value) for value in values]
        if len(values) == len(columns.steps):
            metrics[name] = encoded
        else:
            steps = [columns.steps[place] for place in columns.places[name]]
            metrics[name] = {"steps": steps, "values": encoded}
    body["metrics"] = metrics
    body["times"] = columns.times
    if plan.cut is not None and columns.steps:
        body.update(_describe_cut(plan.cut, columns.steps[0]))
    text = json.dumps(body, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return text.encode("utf-8"), sum(len(values) for values in columns.values.values())


def collect_columns(stream: Stream, plan: Plan, base: int | None) -> Columns:
    """Return the points of a batch by metric; a row with nothing left in it disappears."""
    columns = Columns()
    is_whole = plan.only is None and not plan.without
    for block in stream.blocks:
        low, high = max(plan.first_row, block.first_row), min(plan.end_row, block.end_row)
        if low >= high:
            continue
        if is_whole:
            _take_rows(columns, block, range(low, high), base or 0)
            continue
        for index in range(low, high):
            _take_points(columns, block, index, plan, base or 0)
    return columns


def _take_rows(columns: Columns, block: Block, rows: range, base: int) -> None:
    """Take whole rows, a column at a time."""
    first, end = rows.start - block.first_row, rows.stop - block.first_row
    shift = base if block.relative else 0
    places = range(len(columns.rows), len(columns.rows) + len(rows))
    columns.rows += rows
    columns.steps += [step + shift for step in block.steps[first:end]]
    columns.times += [round(at, 6) for at in block.times[first:end]]
    width = len(block.names)
    for column, name in enumerate(block.names):
        columns.places.setdefault(name, []).extend(places)
        values = block.values[first * width + column : end * width : width]
        columns.values.setdefault(name, []).extend(values)


def _take_points(columns: Columns, block: Block, index: int, plan: Plan, base: int) -> None:
    """Take what the plan leaves of one row."""
    kept = _keep_points(block.names, index, plan)
    if not kept:
        return
    offset = index - block.first_row
    place = len(columns.rows)
    columns.rows.append(index)
    columns.steps.append(block.steps[offset] + (base if block.relative else 0))
    columns.times.append(round(block.times[offset], 6))
    start = offset * len(block.names)
    for column, name in kept:
        columns.places.setdefault(name, []).append(place)
        columns.values.setdefault(name, []).append(block.values[start + column])


def find_refused(
    stream: Stream, plan: Plan, base: int | None, pointer: str | None
) -> tuple[str | None, int | None] | None:
    """Translate the JSON pointer of a refusal into (metric, row); None when it names neither."""
    parts = [part.replace("~1", "/").replace("~0", "~") for part in (pointer or "").split("/")[1:]]
    columns = collect_columns(stream, plan, base)
    if len(parts) >= 2 and parts[0] in ("steps", "times"):
        row = _pick(columns.rows, parts[1])
        return None if row is None else (None, row)
    if len(parts) < 2 or parts[0] != "metrics" or parts[1] not in columns.values:
        return None
    name = parts[1]
    rows = [columns.rows[place] for place in columns.places[name]]
    return (name, _pick(rows, parts[-1]) if len(parts) > 2 else None)


def _pick(rows: list[int], text: str) -> int | None:
    return rows[int(text)] if text.isdecimal() and int(text) < len(rows) else None


def _iterate_rows(stream: Stream, first: int) -> Iterator[tuple[int, int]]:
    """Yield (row index, number of points) of the rows at hand."""
    for block in stream.blocks:
        for index in range(max(first, block.first_row), block.end_row):
            yield index, len(block.names)


def _find_skipped_cut(stream: Stream, first: int, row: int) -> dict[str, object] | None:
    """Return the marker before rows that were lost with a damaged piece of the spool."""
    found = [stream.cuts[index] for index in sorted(stream.cuts) if first <= index < row]
    return found[-1] if found else None


def _keep_points(names: Iterable[str], row: int, plan: Plan) -> list[tuple[int, str]]:
    kept = enumerate(names)
    if plan.only is not None:
        return [pair for pair in kept if _covers(plan.only, pair[1], row)]
    if not plan.without:
        return list(kept)
    return [pair for pair in kept if not any(_covers(bad, pair[1], row) for bad in plan.without)]


def _covers(place: tuple[str | None, int | None], name: str, row: int) -> bool:
    return place[0] in (None, name) and place[1] in (None, row)


def _describe_cut(cut: dict[str, object], first_step: int) -> dict[str, object]:
    if cut["t"] == "rewind":
        return {"rewind": read_int(cut, "step")}
    return {"start_step": first_step}
