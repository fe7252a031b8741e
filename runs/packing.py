"""Points to the parameters of the store's one INSERT. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec
import numpy as np

from runs.blocks import Steps, Values, is_increasing
from runs.store import TIMES
from runs.validation import Columns

EARLIEST_SECONDS = 946_684_800.0  # 2000-01-01
DAY_SECONDS = 86_400.0
FIELDS = (
    *("metric", "n", "first_step", "end_step", "step_at", "value_at", "last_value"),
    *("min_value", "max_value", "sum_value", "n_nan", "n_posinf", "n_neginf"),
)
BYTES = 8  # of a step and of a value


class Packed:
    """The rows of a batch: a list a field, and the steps and values that the rows cut theirs from.

    `step_at` and `value_at` count bytes from 1, as SQL does.
    """

    def __init__(self) -> None:
        self.rows: dict[str, list[object]] = {name: [] for name in FIELDS}
        self.steps = bytearray()
        self.values = bytearray()

    def describe(self) -> dict[str, object]:
        """Return the parameters of the INSERT; text for arrays, which costs a tenth of lists."""
        arrays = {name: write_array(items) for name, items in self.rows.items()}
        return {**arrays, "steps": bytes(self.steps), "values": bytes(self.values)}


def write_array(items: Sequence[object]) -> str:
    """Return numbers and nulls as PostgreSQL writes an array.

    msgspec spells 17 digits in a tenth of the time of `repr`, but knows nothing that is not finite.
    """
    text = msgspec.json.encode(items).decode()
    if "null" in text:
        text = str(items).replace("None", "NULL")
    return "{" + text[1:-1] + "}"


def clamp_times(columns: Sequence[Columns], now: float) -> tuple[list[Columns], bool]:
    """Return the times as series of their own, between 2000 and a day from now.

    The flag says whether one lay outside: clocks of training machines may be off by years.
    """
    found, is_clamped = [], False
    for column in columns:
        if column.times is None or not column.steps.size:
            continue
        times, latest = column.times, now + DAY_SECONDS
        if times.min() < EARLIEST_SECONDS or times.max() > latest:
            times, is_clamped = np.clip(times, EARLIEST_SECONDS, latest), True
        found.append(Columns(("",), column.steps, times.reshape(1, -1)))
    return found, is_clamped


def pack_points(
    columns: Sequence[Columns], times: Sequence[Columns], metric_ids: Mapping[str, int]
) -> dict[str, object]:
    """Return the parameters of the INSERT: a row a metric, and one of their times."""
    packed = Packed()
    for column in columns:
        if column.names and column.steps.size:
            _pack(packed, column, [metric_ids[name] for name in column.names])
    if times:
        _pack(packed, _join(times), [TIMES])
    return packed.describe()


def _join(times: Sequence[Columns]) -> Columns:
    """Join the times of a batch: they are one series, shared by its metrics."""
    if len(times) == 1:
        return times[0]
    steps = np.concatenate([column.steps for column in times])
    return Columns(("",), steps, np.concatenate([c.values for c in times], axis=1))


def _pack(packed: Packed, columns: Columns, metric_ids: Sequence[int]) -> None:
    statistics = columns.statistics
    steps, rows, n_rows = columns.steps, packed.rows, len(metric_ids)
    first, size = len(packed.values) + 1, BYTES * statistics.n
    rows["metric"] += metric_ids
    rows["n"] += [statistics.n] * n_rows
    rows["first_step"] += [int(steps.min())] * n_rows
    rows["end_step"] += [int(steps.max())] * n_rows
    rows["step_at"] += [len(packed.steps) + 1] * n_rows
    rows["value_at"] += range(first, first + n_rows * size, size)
    packed.steps += steps.astype("<i8").tobytes()
    packed.values += columns.values.astype("<f8").tobytes()
    rows["last_value"] += take_last(steps, columns.values).tolist()
    has_finite = [count > 0 for count in statistics.count_finite()]
    for name, extremes in (("min_value", statistics.minimum), ("max_value", statistics.maximum)):
        pairs = zip(extremes.tolist(), has_finite, strict=True)
        rows[name] += [value if known else None for value, known in pairs]
    rows["sum_value"] += statistics.total.tolist()
    for name in ("n_nan", "n_posinf", "n_neginf"):
        rows[name] += getattr(statistics, name).tolist()


def take_last(steps: Steps, values: Values) -> Values:
    """Return the values at the highest step, the latest of several."""
    if is_increasing(steps):
        return values[:, -1]
    place = len(steps) - 1 - int(np.argmax(steps[::-1]))
    return values[:, place]
