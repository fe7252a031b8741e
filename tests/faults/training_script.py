"""A training job for the fault tests: `training_script.py RUN STEPS PAUSE_SECONDS TIMEOUT_SECONDS`.

Prints what `finish` says and how long it took, and ends with the status 7, which is its own.
"""

from __future__ import annotations

import json
import sys
import time
from dataclasses import asdict

import scaledash

FAST = {"flush_seconds": 0.1, "backoff_seconds": 0.05, "backoff_cap_seconds": 1.0}
OWN_STATUS = 7


def main() -> int:
    uid, n_steps, pause, timeout = sys.argv[1], *map(float, sys.argv[2:])
    settings = scaledash.Settings(recheck_seconds=1.0, linger_seconds=5.0, **FAST)
    run = scaledash.init("alpha", id=uid, settings=settings, config={"lr": 0.1})
    for step in range(int(n_steps)):
        run.log({"loss": 1 / (step + 1), "step": float(step)}, step=step)
        time.sleep(pause)
    sys.stdout.write(json.dumps(asdict(run.finish(timeout=timeout))))
    return OWN_STATUS


if __name__ == "__main__":
    sys.exit(main())
