"""Other trackers on the same workload in the same run: `make bench PEERS=1`.

The peers are installed by pip into one environment of their own, `.venv-peers`, or PEERS_VENV; a
peer that fails is named with its last line.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import uuid
import venv
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from benchmarks import log_peers, peer_workload
from benchmarks.stage import ROOT, Client, Stage
from benchmarks.table import write_number

PEERS_VENV = Path(os.environ.get("PEERS_VENV", ROOT / ".venv-peers"))
REQUIREMENTS = ROOT / "benchmarks" / "requirements-peers.txt"
PEERS = ("mlflow", "trackio")
LOOP_STEPS, RUN_SECONDS = 1_500, 1_800


class ScaleDash:
    """The workload's calls over HTTP, on one connection."""

    def __init__(self, stage: Stage) -> None:
        self._client: Client = stage.connect()
        self._project = stage.project
        self._seqs: dict[str, int] = {}
        self._writer = str(uuid.uuid4())

    def open_run(self, name: str, params: Mapping[str, float]) -> str:
        """Create a run with its config."""
        uid = f"peer-{name}"
        self._client.open_run(self._project, uid, name=name, config=dict(params))
        return uid

    def log(self, run: str, first_step: int, metrics: Mapping[str, Sequence[float]]) -> None:
        """Send one batch; the answer comes after COMMIT."""
        seq = self._seqs[run] = self._seqs.get(run, 0) + 1
        n = len(next(iter(metrics.values())))
        body = {"writer": self._writer, "seq": seq, "metrics": metrics}
        steps = list(range(first_step, first_step + n))
        times = [1.76e9 + 0.25 * step for step in steps]
        self._client.call("POST", f"runs/{run}/metrics", {**body, "steps": steps, "times": times})

    def finish(self, run: str) -> None:
        """End a run."""
        self._client.call("POST", f"runs/{run}/finish", {"state": "finished", "exit_code": 0})

    def count_listed(self) -> int:
        """List the runs, and count those with config and last values."""
        wish = "columns=name,config.group.key0,summary.m0/loss&limit=500"
        page = json.loads(self._client.call("GET", f"runs?project={self._project}&{wish}"))
        return sum(
            run.get("config.group.key0") is not None and run.get("summary.m0/loss") is not None
            for run in page["items"]
        )

    def count_points(self, runs: Sequence[str], metric: str) -> int:
        """Read the histories, one after the other."""
        paths = [f"runs/{run}/history?project={self._project}&metrics={metric}" for run in runs]
        found = [json.loads(self._client.call("GET", path))["series"] for path in paths]
        return sum(len(series[metric]["values"]) for series in found)


def measure(stage: Stage) -> None:
    """Print what a step of logging costs with every tracker, then the workload beside ours."""
    python = install_peers()
    log_peers.print_peers(LOOP_STEPS, python)
    print()
    figures = {"ScaleDash": peer_workload.measure(ScaleDash(stage))}
    for name in PEERS:
        print(f"  {name} ...", file=sys.stderr, flush=True)
        found = measure_peer(name, python)
        if isinstance(found, str):
            print(f"{name}: {found}")
        else:
            figures[name] = found
    for line in write_table(figures):
        print(line)


def install_peers() -> str:
    """Install what is missing; returns the interpreter that has the peers."""
    python = PEERS_VENV / "bin" / "python"
    if not python.exists():
        venv.create(PEERS_VENV, with_pip=True)
    install = [str(python), "-m", "pip", "install", "-q", "--disable-pip-version-check"]
    subprocess.run([*install, "-r", str(REQUIREMENTS)], check=True)
    return str(python)


def measure_peer(name: str, python: str) -> dict[str, float] | str:
    """Return what a peer's script measured, or the last line of what went wrong."""
    script = ROOT / "benchmarks" / f"peer_{name}.py"
    with tempfile.TemporaryDirectory(prefix="peer-", ignore_cleanup_errors=True) as scratch:
        output, problem = run([python, str(script)], Path(scratch), RUN_SECONDS)
    if problem:
        return problem
    figures: dict[str, float] = json.loads(output.strip().splitlines()[-1])
    return figures


def run(command: Sequence[str], folder: Path, seconds: float) -> tuple[str, str]:
    """Return output and problem; the problem is empty where the program ended well."""
    try:
        done = subprocess.run(
            command, cwd=folder, capture_output=True, text=True, timeout=seconds, check=False
        )
    except subprocess.TimeoutExpired:
        return "", f"took longer than {seconds:,.0f} s"
    if done.returncode:
        return "", (done.stderr.strip().splitlines() or [f"status {done.returncode}"])[-1][:200]
    return done.stdout, ""


def write_table(figures: Mapping[str, Mapping[str, float]]) -> Iterator[str]:
    """Yield the lines of a Markdown table."""
    names = list(figures)
    yield f"| quantity | {' | '.join(names)} | to the best peer |"
    yield "|---" * (len(names) + 2) + "|"
    for quantity, unit in peer_workload.UNITS.items():
        cells = [f"{write_number(figures[name][quantity])} {unit}" for name in names]
        own, *others = (figures[name][quantity] for name in names)
        ratio = "-"
        if others:
            is_rate = unit.endswith("/s")
            ratio = f"{own / max(others) if is_rate else min(others) / own:,.3g} x"
        yield f"| {quantity} | {' | '.join(cells)} | {ratio} |"
