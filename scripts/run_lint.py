"""Every static check; all of them run, and any failure fails the whole."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PROGRAMS = Path(sys.executable).parent
CHECKS = {
    "format": [PROGRAMS / "ruff", "format", "--check", "."],
    "style": [PROGRAMS / "ruff", "check", "."],
    "security": [
        *(PROGRAMS / "bandit", "-q", "-c", "pyproject.toml", "-r", "--severity-level", "medium"),
        *("--confidence-level", "medium", "scaledash", "teams", "runs", "fitting", "scripts"),
    ],
    "types": [PROGRAMS / "mypy"],
    "import contracts": [PROGRAMS / "lint-imports", "--no-cache"],
    # -W: without a database Django warns that it cannot compare with the applied migrations
    "migrations": [
        *(sys.executable, "-W", "ignore::RuntimeWarning"),
        *("manage.py", "makemigrations", "--check", "--dry-run"),
    ],
}


def main() -> int:
    """Run the checks in turn; gives 1 if any failed."""
    environment = {**os.environ, "SCALEDASH_SECRET_KEY": "only-for-checks-" + "0" * 50}
    failed = []
    for name, command in CHECKS.items():
        print(f"--- {name}", flush=True)
        if subprocess.run(command, cwd=ROOT, env=environment, check=False).returncode:
            failed.append(name)
    print(f"--- failed: {', '.join(failed)}" if failed else "--- all checks passed", flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
