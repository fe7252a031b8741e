"""Every row of the threat model has a test that carries its number."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

TESTS = Path(__file__).resolve().parent.parent
ROWS = range(1, 36)
NAMES = re.compile(r"def (test_(?:t\d\d_)+\w+)")


@pytest.fixture(scope="module")
def numbers() -> set[int]:
    names = [name for path in TESTS.rglob("test_*.py") for name in NAMES.findall(path.read_text())]
    return {int(number) for name in names for number in re.findall(r"(?<=t)(\d\d)_", name)}


@pytest.mark.parametrize("row", ROWS)
def test_threat_has_a_test(numbers: set[int], row: int) -> None:
    assert row in numbers
