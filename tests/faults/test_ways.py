"""Real training jobs, a real server, and every kind of bad way between them, all at once."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from runs.models import Run, RunState
from teams.models import Project, Role, Scope
from tests.faults.training_script import OWN_STATUS
from tests.faults.way import Request, Rule, Way
from tests.fitting.waiting import wait_until
from tests.runs.factories import read_series
from tests.teams.factories import add_member, make_project, make_token, make_user

pytestmark = [pytest.mark.slow, pytest.mark.django_db]

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = Path(__file__).with_name("training_script.py")
OUTAGE_SECONDS = 60.0
N_STEPS = 1_000
PAUSE_SECONDS = 0.01  # a job of some ten seconds
FINISH_SECONDS = 300.0  # far more than it takes: eleven jobs share the machine
SHORT_SECONDS = 2.0


def every_second(verdict: int | str) -> Rule:
    return lambda request: verdict if request.number % 2 else None


def first(count: int, verdict: int | str) -> Rule:
    return lambda request: verdict if request.number <= count else None


def refuse_more_than(limit: int) -> Rule:
    def judge(request: Request) -> int | None:
        return 413 if len(request.body["steps"]) > limit else None

    return judge


WAYS: dict[str, tuple[Rule, str]] = {
    "401": (first(4, 401), ""),
    "413": (refuse_more_than(8), ""),  # a commit of the spool holds some 20 steps
    "429": (every_second(429), "0.3"),
    "500": (every_second(500), ""),
    "503": (every_second(503), "1"),
    "drop": (every_second("drop"), ""),
    "cut": (every_second("cut"), ""),
    "copies": (lambda request: "copies", ""),
}


@dataclass
class Jobs:
    """Starts training jobs in a folder."""

    folder: Path
    token: str
    started: list[subprocess.Popen[str]] = field(default_factory=list)

    def start(self, uid: str, url: str, steps: int, timeout: float) -> subprocess.Popen[str]:
        command = [sys.executable, str(SCRIPT), uid, str(steps), str(PAUSE_SECONDS), str(timeout)]
        job = subprocess.Popen(
            command, cwd=self.folder, env=self.environment(url), text=True,
            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        self.started.append(job)
        return job

    def stop(self) -> None:
        """Kill what a failed test has left running."""
        for job in self.started:
            job.kill()
            job.communicate()

    def sync(self, uid: str, url: str) -> int:
        (spool,) = (self.folder / "scaledash-runs").glob(f"*-{uid}")
        command = [sys.executable, "-m", "scaledash.client.cli", "sync", str(spool)]
        env = self.environment(url)
        return subprocess.run(command, env=env, check=False, capture_output=True).returncode

    def environment(self, url: str) -> dict[str, str]:
        own = {"PYTHONPATH": str(ROOT), "SCALEDASH_URL": url, "SCALEDASH_TOKEN": self.token}
        return {**os.environ, **own, "SCALEDASH_SILENT": "1", "SCALEDASH_DISABLE_GIT": "1"}


@pytest.fixture
def project(live_web: str) -> Project:
    return make_project("alpha")


@pytest.fixture
def jobs(project: Project, tmp_path: Path) -> Iterator[Jobs]:
    user = add_member(project, make_user(), Role.EDITOR)
    found = Jobs(tmp_path, make_token(user, Scope.WRITE, project))
    yield found
    found.stop()


@pytest.fixture
def open_way(live_web: str) -> Iterator[Callable[..., Way]]:
    with contextlib.ExitStack() as stack:

        def make(rule: Rule = lambda request: None, retry_after: str = "") -> Way:
            way = Way(live_web, rule, retry_after)
            stack.enter_context(way.open())
            return way

        yield make


def hold_exactly(run: Run, n_steps: int) -> bool:
    """Say whether every point is stored, once, at its step and with its value."""
    steps = list(range(n_steps))
    losses = read_series(run, "loss") == (steps, [1 / (step + 1) for step in steps])
    return losses and read_series(run, "step") == (steps, [float(step) for step in steps])


def end(job: subprocess.Popen[str]) -> dict[str, object]:
    printed, _ = job.communicate(timeout=900)
    assert job.returncode == OWN_STATUS
    return json.loads(printed)


def test_every_point_is_stored_once_whatever_the_way_does(
    project: Project, jobs: Jobs, live_web: str, open_way: Callable[..., Way]
) -> None:
    ways = {name: open_way(*rule) for name, rule in WAYS.items()}
    outage = Way(live_web, lambda request: None)
    with outage.open():
        long_steps = int((OUTAGE_SECONDS + 5) / PAUSE_SECONDS)
        staying = jobs.start("staying", outage.url, long_steps, FINISH_SECONDS)
        leaving = jobs.start("leaving", outage.url, N_STEPS, SHORT_SECONDS)
        begun = Run.objects.filter(project=project, last_step__gt=0)
        wait_until(lambda: begun.count() == 2, "first points of two jobs")
    away_since = time.monotonic()
    running = {
        name: jobs.start(f"way{name}", way.url, N_STEPS, FINISH_SECONDS)
        for name, way in ways.items()
    }
    assert end(leaving)["pending"] > 0  # it did not wait for the server, which is away
    for job in running.values():
        said = end(job)
        assert (said["pending"], said["dropped"]) == (0, 0)
    wait_until(
        lambda: time.monotonic() - away_since >= OUTAGE_SECONDS, "the outage", OUTAGE_SECONDS + 1
    )
    with outage.open():
        assert end(staying)["pending"] == 0
        wait_until(lambda: jobs.sync("leaving", outage.url) == 0, "delivery by scaledash sync")
    expected = {"staying": long_steps, "leaving": N_STEPS}
    expected |= {f"way{name}": N_STEPS for name in ways}
    stored = {run.uid: run for run in Run.objects.filter(project=project)}
    assert stored.keys() == expected.keys()
    assert [uid for uid, n in expected.items() if not hold_exactly(stored[uid], n)] == []
    assert {run.state for run in stored.values()} == {RunState.FINISHED}
    assert {(run.repeated, run.overwritten, run.dropped) for run in stored.values()} == {(0, 0, 0)}
    met = {name: way.counts.get(name, 0) for name, way in ways.items()}
    assert min(met.values()) >= 1, met
