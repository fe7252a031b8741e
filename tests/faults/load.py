"""Writers that log losses into studies and note what was acknowledged."""

from __future__ import annotations

import random
import threading
from dataclasses import dataclass, field

from django.db import InterfaceError, OperationalError, connection

from fitting.models import Study
from runs.models import Run
from tests.fitting.factories import log_loss, make_study, make_sweep
from tests.teams.factories import make_project

RETRY_SECONDS = 0.05


def make_studies(n: int) -> list[Study]:
    """Create studies with a sweep each, two to a project."""
    studies = []
    for place in range(n):
        project = studies[-1].project if place % 2 else make_project()
        studies.append(make_study(project))
        make_sweep(studies[-1])
    return studies


@dataclass
class Load:
    """Threads that each own some runs; `acks` holds each run's last acknowledged loss."""

    studies: list[Study]
    n_writers: int = 4
    pause_seconds: float = 0.02
    seed: int = 0
    acks: dict[str, float] = field(default_factory=dict)
    n_acked: int = 0
    _stop: threading.Event = field(default_factory=threading.Event)
    _threads: list[threading.Thread] = field(default_factory=list)

    def __enter__(self) -> Load:
        runs = [run for study in self.studies for run in study.runs.select_related("project")]
        for writer in range(self.n_writers):
            mine = runs[writer :: self.n_writers]
            thread = threading.Thread(target=self._write, args=(writer, mine))
            self._threads.append(thread)
            thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def _write(self, writer: int, runs: list[Run]) -> None:
        dice = random.Random(f"{self.seed}:{writer}")
        while not self._stop.wait(self.pause_seconds):
            run = dice.choice(runs)
            self._log_until_acked(run, round(dice.uniform(2.0, 3.5), 4))
        connection.close()

    def _log_until_acked(self, run: Run, loss: float) -> None:
        while True:
            try:
                log_loss(run, loss)
            except (OperationalError, InterfaceError):
                connection.close()
                if self._stop.wait(RETRY_SECONDS):
                    self._stop.set()
            else:
                self.acks[run.uid] = loss
                self.n_acked += 1
                return
