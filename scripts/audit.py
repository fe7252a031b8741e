"""Look the locked packages up in the public list of known vulnerabilities: `make audit`.

pip-audit works in an environment of its own, so that its packages are none of the product's.
Status 0: none is known; 1: some are, named; 3: it could not be found out, and why.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import venv
from datetime import UTC, datetime
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
AUDITOR = "pip-audit==2.10.1"
HOME = ROOT / ".venv" / "audit"
UNKNOWN = 3
DEADLINE_SECONDS = 300
LOCK = ROOT / "requirements-dev.lock"  # holds what requirements.lock holds, and more
OPTIONS = ("--disable-pip", "--require-hashes", "--progress-spinner", "off", "--format", "json")


def main() -> int:
    """Audit the lock; gives the exit status."""
    python = HOME / "bin" / "python"
    if not python.exists():
        venv.create(HOME, with_pip=True)
    if run([str(python), "-m", "pip", "install", "--quiet", "--no-input", AUDITOR]).returncode:
        print(f"{AUDITOR} could not be installed; is the package index reachable?")
        return UNKNOWN
    done = run([str(python), "-m", "pip_audit", *OPTIONS, "--requirement", str(LOCK)])
    try:
        packages = json.loads(done.stdout)["dependencies"]
    except ValueError:
        last = (done.stderr.strip() or "no answer in time").splitlines()[-1]
        print(f"The list of known vulnerabilities could not be read: {last}")
        return UNKNOWN
    return report(packages)


def report(packages: list[dict[str, object]]) -> int:
    """Say what was found; a package that the list does not know is not taken for a safe one."""
    found = [(package, hole) for package in packages for hole in package.get("vulns", ())]
    for package, hole in found:
        mended = ", ".join(hole["fix_versions"]) or "no version yet"
        print(f"{package['name']} {package['version']}: {hole['id']}, mended in {mended}")
    skipped = [package["name"] for package in packages if "skip_reason" in package]
    total, day = len(packages), f"{datetime.now(UTC):%Y-%m-%d}"
    print(
        f"{total - len(skipped)} of {total} packages looked up on {day}: {len(found)} holes known."
    )
    if found:
        return 1
    return UNKNOWN if skipped or not packages else 0


def run(command: list[str]) -> subprocess.CompletedProcess[str]:
    """Run a command within its deadline."""
    environment = {**os.environ, "PIP_DISABLE_PIP_VERSION_CHECK": "1"}
    try:
        return subprocess.run(
            command,
            env=environment,
            capture_output=True,
            text=True,
            timeout=DEADLINE_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return subprocess.CompletedProcess(command, 1, "", "")


if __name__ == "__main__":
    sys.exit(main())
