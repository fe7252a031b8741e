"""Numbers as PostgreSQL reads them in an array: to the last bit, absent and non-finite ones too."""

from __future__ import annotations

import struct

import pytest
from django.db import connection

from runs.packing import write_array

FINITE = [0.1 + 0.2, -0.0, 5e-324, 1.7976931348623157e308, 1e16, 3.2123456001281738, -7.0]


@pytest.mark.django_db
@pytest.mark.parametrize(
    "numbers",
    [FINITE, [*FINITE, float("nan"), float("inf"), float("-inf"), None], [None, 1.5], []],
    ids=["finite", "with others", "absent", "empty"],
)
def test_an_array_arrives_bit_by_bit(numbers: list[float | None]) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT %s::float8[]", [write_array(numbers)])
        found = cursor.fetchone()[0]
    assert [pack(value) for value in found] == [pack(value) for value in numbers]


@pytest.mark.django_db
def test_whole_numbers_stay_whole() -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT %s::bigint[]", [write_array([0, 2**53 - 1, 2**62])])
        assert cursor.fetchone()[0] == [0, 2**53 - 1, 2**62]


def pack(value: float | None) -> bytes | None:
    return None if value is None else struct.pack("<d", value)
