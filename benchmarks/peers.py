"""Other trackers on the same workload in the same run: `make bench PEERS=1`.

The peers are installed by pip into environments of their own, `.venv-peers` and `.venv-aim` (or
PEERS_VENV and AIM_VENV). Each has a bounded time; what it has not measured by then is left out of
the table, and a line below says why.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
import uuid
import venv
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks import log_peers, peer_workload
from benchmarks.bounded import run_bounded
from benchmarks.stage import ROOT, Client, Stage
from benchmarks.table import write_number

LOOP_STEPS = 1_500
INSTALL_SECONDS, RUN_SECONDS = 900.0, 240.0  # of an environment; of a peer and its workload


@dataclass(frozen=True)
class Peer:
    """A tracker: the script that measures it, the environment it runs in."""

    name: str
    script: str
    venv: Path
    requirements: Path


_SHARED = (
    Path(os.environ.get("PEERS_VENV", ROOT / ".venv-peers")),
    ROOT / "benchmarks" / "requirements-peers.txt",
)
_AIM = (Path(os.environ.get("AIM_VENV", ROOT / ".venv-aim")), ROOT / "tests/requirements-aim.txt")
PEERS = (
    Peer("MLflow", "peer_mlflow.py", *_SHARED),
    Peer("Trackio", "peer_trackio.py", *_SHARED),
    Peer("TensorBoard", "peer_tensorboard.py", *_SHARED),
    Peer("Aim", "peer_aim.py", *_AIM),
)


class ScaleDash(peer_workload.Tracker):
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

    def store_run(
        self, name: str, params: Mapping[str, float], metrics: Mapping[str, Sequence[float]]
    ) -> None:
        """Send config, points and end in one request."""
        uid, steps = f"peer-{name}", list(range(len(next(iter(metrics.values())))))
        batch = {"writer": self._writer, "seq": 1, "steps": steps, "metrics": metrics}
        batch["times"] = [1.76e9 + 0.25 * step for step in steps]
        ending = {"state": "finished", "exit_code": 0, "writer": self._writer, "last_seq": 1}
        fields = {"name": name, "config": dict(params), "batches": [batch], "finish": ending}
        self._client.open_run(self._project, uid, **fields)

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
    problems = {peer.venv: install(peer) for peer in {p.venv: p for p in PEERS}.values()}
    log_peers.print_peers(LOOP_STEPS, str(_SHARED[0] / "bin" / "python"))
    print(flush=True)
    figures = {"ScaleDash": dict(peer_workload.measure(ScaleDash(stage)))}
    notes = []
    for peer in PEERS:
        print(f"  {peer.name} ...", file=sys.stderr, flush=True)
        found, problem = ({}, problems[peer.venv]) if problems[peer.venv] else measure_peer(peer)
        figures[peer.name] = found
        if len(found) < len(peer_workload.UNITS):
            notes.append(f"{peer.name}: left out where there is no figure: {problem}.")
    for line in (*write_table(figures), "", *notes):
        print(line)


def install(peer: Peer) -> str:
    """Install what is missing of a peer's environment; returns what went wrong."""
    python = peer.venv / "bin" / "python"
    if not python.exists():
        venv.create(peer.venv, with_pip=True)
    command = [str(python), "-m", "pip", "install", "-q", "--disable-pip-version-check"]
    done = run_bounded([*command, "-r", str(peer.requirements)], str(ROOT), INSTALL_SECONDS)
    return done.problem and f"{peer.requirements.name} cannot be installed: {done.problem}"


def measure_peer(peer: Peer) -> tuple[dict[str, float], str]:
    """Return what a peer's script has measured, and why it ended before the last quantity."""
    command = [str(peer.venv / "bin" / "python"), str(ROOT / "benchmarks" / peer.script)]
    with tempfile.TemporaryDirectory(prefix="peer-", ignore_cleanup_errors=True) as scratch:
        done = run_bounded(command, scratch, RUN_SECONDS)
    figures: dict[str, float] = {}
    for line in done.output.splitlines():
        figures |= json.loads(line) if line.startswith('{"') else {}
    return figures, done.problem


def write_table(figures: Mapping[str, Mapping[str, float]]) -> Iterator[str]:
    """Yield the lines of a Markdown table; a peer without a figure has "left out" in its cell."""
    names = list(figures)
    yield f"| quantity | {' | '.join(names)} | to the best peer |"
    yield "|---" * (len(names) + 2) + "|"
    for quantity, unit in peer_workload.UNITS.items():
        measured = [figures[name].get(quantity) for name in names]
        cells = ["left out" if f is None else f"{write_number(f)} {unit}" for f in measured]
        own, *others = measured
        known = [figure for figure in others if figure is not None]
        ratio = "-"
        if own is not None and known:
            is_rate = unit.endswith("/s")
            ratio = f"{own / max(known) if is_rate else min(known) / own:,.3g} x"
        yield f"| {quantity} | {' | '.join(cells)} | {ratio} |"
