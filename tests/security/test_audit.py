"""Known vulnerabilities of the locked packages, and how their absence is told from not knowing."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT / "scripts"))

import audit  # noqa: E402

HOLE = {"id": "PYSEC-1", "fix_versions": ["2.1"], "aliases": [], "description": ""}
SAFE = {"name": "safe", "version": "1.0", "vulns": []}
HOLED = {"name": "holed", "version": "2.0", "vulns": [HOLE]}
SKIPPED = {"name": "odd", "version": "3.0", "skip_reason": "not found"}


@pytest.mark.parametrize(
    ("packages", "status"),
    [([SAFE], 0), ([SAFE, HOLED], 1), ([HOLED, SKIPPED], 1), ([SAFE, SKIPPED], 3), ([], 3)],
)
def test_package_that_could_not_be_looked_up_is_not_called_safe(
    packages: list[dict[str, object]], status: int
) -> None:
    assert audit.report(packages) == status


def test_hole_is_named_with_its_cure(capsys: pytest.CaptureFixture[str]) -> None:
    audit.report([HOLED])
    assert "holed 2.0: PYSEC-1, mended in 2.1" in capsys.readouterr().out


@pytest.mark.slow
def test_t35_no_locked_package_has_a_known_hole() -> None:
    command = [sys.executable, "scripts/audit.py"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode == audit.UNKNOWN:
        pytest.skip(f"no list of known vulnerabilities here: {done.stdout.strip()}")
    assert done.returncode == 0, done.stdout
