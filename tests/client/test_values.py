"""What `log` takes, and what becomes of it."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable
from decimal import Decimal
from fractions import Fraction
from typing import Any

import numpy as np
import pytest

import scaledash

Start = Callable[..., scaledash.Run]
Sync = Callable[..., int]


class DeviceScalar:
    """What a scalar of an array library looks like from outside."""

    def __init__(self, value: float, size: int = 1) -> None:
        self.value, self._size = value, size

    def numel(self) -> int:
        return self._size

    def size(self) -> tuple[int, ...]:
        return (self._size,)

    def item(self) -> float:
        return self.value


def deliver(start_offline: Start, sync: Sync, *calls: tuple[dict[str, Any], Any]) -> scaledash.Run:
    with start_offline() as run:
        for data, step in calls:
            run.log(data, step=step)
    sync()
    return run


@pytest.mark.parametrize(
    ("value", "stored"),
    [
        (np.float32(0.1), float(np.float32(0.1))),
        (np.float16("nan"), math.nan),
        (np.array([2.5]), 2.5),
        (np.int64(7), 7.0),
        (np.bool_(True), 1.0),
        (Decimal("0.1"), 0.1),
        (Fraction(1, 4), 0.25),
        (DeviceScalar(1.5), 1.5),
        (2**60 + 1, float(2**60)),
    ],
)
def test_number_of_any_library_is_stored(
    start_offline: Start, sync: Sync, peer: Any, value: Any, stored: float
) -> None:
    deliver(start_offline, sync, ({"x": value}, 0))
    assert peer.run.points["x"] == [(0, pytest.approx(stored, rel=0, abs=0, nan_ok=True))]


@pytest.mark.parametrize(
    "value",
    [
        "0.1",
        b"1",
        [1.0],
        np.zeros(3),
        DeviceScalar(1.0, size=2),
        1j,
        object(),
        10**400,
        np.datetime64("2020-01-01"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_other_values_are_counted_and_the_rest_of_the_row_stored(
    start_offline: Start, sync: Sync, peer: Any, value: Any
) -> None:
    deliver(start_offline, sync, ({"x": value, "loss": 1.0}, 0))
    assert dict(peer.run.points) == {"loss": [(0, 1.0)]}
    assert peer.run.finish["dropped"] == 1


def test_value_is_read_at_the_time_of_the_call(start_offline: Start, sync: Sync, peer: Any) -> None:
    tensor, row = np.array([1.0]), {"y": 1.0}
    with start_offline() as run:
        run.log({"x": tensor})
        run.log(row)
        tensor[0] = row["y"] = 2.0
    sync()
    assert peer.run.points["x"] == [(0, 1.0)]
    assert peer.run.points["y"] == [(1, 1.0)]


def test_nested_dicts_are_joined_with_dots(start_offline: Start, sync: Sync, peer: Any) -> None:
    data = {"loss": {"train": 1, "val": {"a": 2.0}}, "lr": 0.1, "none": None}
    deliver(start_offline, sync, (data, 3))
    assert dict(peer.run.points) == {
        "loss.train": [(3, 1.0)],
        "loss.val.a": [(3, 2.0)],
        "lr": [(3, 0.1)],
    }


def test_dicts_nested_too_deep_are_counted(start_offline: Start) -> None:
    run = start_offline()
    run.log({"a": {"b": {"c": {"d": {"e": 1.0}}}}})
    assert run.finish().dropped == 1


def test_a_call_logs_as_many_numbers_as_a_run_may_have_metrics(
    start_offline: Start, sync: Sync, peer: Any
) -> None:
    run = deliver(start_offline, sync, ({f"m{number}": 1.0 for number in range(2_044)}, 0))
    assert len(peer.run.points) == 2_000
    assert run.finish().dropped == 44


def test_a_run_has_at_most_2000_metrics(start_offline: Start, sync: Sync, peer: Any) -> None:
    calls = [({f"m{block}/{number}": 1.0 for number in range(250)}, block) for block in range(9)]
    deliver(start_offline, sync, *calls)
    assert len(peer.run.points) == 2_000
    assert peer.run.finish["dropped"] == 250


@pytest.mark.parametrize(
    ("name", "stored"),
    [
        ("a\x00b", "a_b"),
        ("e\u0301", "é"),
        ("x\u202ey", "x_y"),
        ("\ud800", "_"),
        (7, "7"),
        ("Ω", "Ω"),
    ],
)
def test_names_are_cleaned(
    start_offline: Start, sync: Sync, peer: Any, name: Any, stored: str
) -> None:
    deliver(start_offline, sync, ({name: 1.0}, 0))
    assert list(peer.run.points) == [stored]


@pytest.mark.parametrize("name", ["", "x" * 257, "_step", "_timestamp"])
def test_impossible_names_are_counted(start_offline: Start, name: str) -> None:
    run = start_offline()
    run.log({name: 1.0})
    assert run.finish().dropped == 1


@pytest.mark.parametrize("step", [-1, 1.0, True, "3", 2**53, math.nan])
def test_step_that_is_no_step_is_refused_and_counted(
    start_offline: Start, sync: Sync, peer: Any, step: Any
) -> None:
    deliver(start_offline, sync, ({"x": 1.0}, step), ({"x": 2.0}, 5))
    assert peer.run.points["x"] == [(5, 2.0)]
    assert peer.run.finish["dropped"] == 1


def test_integer_step_of_an_array_library_is_taken(
    start_offline: Start, sync: Sync, peer: Any
) -> None:
    deliver(start_offline, sync, ({"x": 1.0}, np.int64(5)))
    assert peer.run.points["x"] == [(5, 1.0)]


def test_steps_without_a_number_follow_the_counter(
    start_offline: Start, sync: Sync, peer: Any
) -> None:
    with start_offline() as run:
        run.log({"x": 1.0})
        run.log({"x": 2.0}, commit=False)
        run.log({"y": 3.0})
        run.log({"x": 4.0}, step=10)
        run.log({"y": 5.0})
        run.log({"x": 6.0}, step=4)
        run.log({"x": 7.0})
        run.log({"x": 8.0}, step=20, commit=True)
        assert run.step == 21
    sync()
    assert peer.run.points["x"] == [(0, 1.0), (1, 2.0), (10, 4.0), (4, 6.0), (11, 7.0), (20, 8.0)]
    assert peer.run.points["y"] == [(1, 3.0), (10, 5.0)]


def test_given_time_is_kept(start_offline: Start, sync: Sync, peer: Any) -> None:
    with start_offline() as run:
        run.log({"x": 1.0}, timestamp=1_700_000_000.25)
    sync()
    assert peer.run.times == [1_700_000_000.25]


def test_tokens_and_flops_are_metrics_of_the_row(
    start_offline: Start, sync: Sync, peer: Any
) -> None:
    with start_offline() as run:
        run.log_metrics({"loss": 1.0}, 4, tokens=1e6, flops=1e12)
    sync()
    assert peer.run.points["tokens"] == [(4, 1e6)]
    assert peer.run.points["flops"] == [(4, 1e12)]


@pytest.mark.parametrize("call", [{"data": {"x": "text"}}, {"data": [1]}, {"data": {}, "step": -1}])
def test_strict_run_raises_on_misuse(start_offline: Start, call: dict[str, Any]) -> None:
    run = start_offline(strict=True)
    with pytest.raises(scaledash.UsageError):
        run.log(**call)


def test_no_array_library_is_imported(start_offline: Start) -> None:
    import subprocess

    code = (
        "import scaledash, sys; run = scaledash.init('p', mode='offline', config={'a': 1});"
        "run.log({'x': 1.0}); run.finish();"
        "print(sorted({'numpy', 'torch', 'django', 'http', 'ssl'} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        env={"PYTHONPATH": str(scaledash.__path__[0] + "/..")},
    )
    assert done.stdout.strip() == "[]"
