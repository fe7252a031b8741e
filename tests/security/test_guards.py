"""The list of guards that `scripts/prove_guards.py` takes away fits the code of today."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT / "scripts"))

from guards import GUARDS, Guard  # noqa: E402


@pytest.mark.parametrize("guard", GUARDS, ids=lambda guard: guard.threat)
def test_guard_stands_where_the_list_says(guard: Guard) -> None:
    assert (ROOT / guard.path).read_text().count(guard.before) == 1
    assert guard.before not in guard.after
    assert (ROOT / guard.tests[0]).is_file()


def test_every_threat_has_a_guard_that_is_proved() -> None:
    named = {guard.threat.partition(":")[0] for guard in GUARDS}
    assert {f"T{row}" for row in range(1, 36)} - named == set()
