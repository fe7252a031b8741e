"""kill -9 of the web server while clients write: what it acknowledged is there, once."""

from __future__ import annotations

import http.client
import itertools
import json
import threading
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from urllib.parse import urlsplit

import pytest
from django.db import connection

from fitting.models import Study, StudyRun
from teams.models import Membership, Role, Scope
from tests.faults.checker import check
from tests.faults.load import make_studies
from tests.faults.test_kills import ROUNDS, settle
from tests.faults.world import World
from tests.fitting.waiting import wait_until
from tests.teams.factories import make_token, make_user

TIMEOUT_SECONDS = 10
pytestmark = pytest.mark.slow
RETRY_SECONDS = 0.05


@dataclass
class Clients:
    """Threads that exclude and include runs over HTTP; `acks` holds each run's last answer."""

    url: str
    token: str
    study: Study
    n_clients: int = 4
    acks: dict[str, tuple[bool, str]] = field(default_factory=dict)
    statuses: Counter[int] = field(default_factory=Counter)
    _stop: threading.Event = field(default_factory=threading.Event)
    _threads: list[threading.Thread] = field(default_factory=list)

    def __enter__(self) -> Clients:
        uids = list(self.study.runs.values_list("uid", flat=True))
        for client in range(self.n_clients):
            mine = uids[client :: self.n_clients]
            self._threads.append(threading.Thread(target=self._write, args=(mine,)))
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    @property
    def n_acked(self) -> int:
        """Return the number of acknowledged writes."""
        return self.statuses[200]

    def _write(self, uids: list[str]) -> None:
        for number, uid in zip(itertools.count(1), itertools.cycle(uids), strict=False):
            if self._stop.is_set():
                return
            excluded = number // len(uids) % 2 == 0
            reason = f"write {number}" if excluded else ""
            self._send_until_acked({"run": uid, "excluded": excluded, "reason": reason})
            self.acks[uid] = (excluded, reason)

    def _send_until_acked(self, body: dict[str, object]) -> None:
        for status in self._send(body):
            self.statuses[status] += 1
            if status == 200:
                return
            threading.Event().wait(RETRY_SECONDS)

    def _send(self, body: dict[str, object]) -> Iterator[int]:
        """Yield the status of one attempt after another; 0 where there was no answer."""
        headers = {"Authorization": f"Bearer {self.token}", "Content-Type": "application/json"}
        path = f"/api/v1/studies/{self.study.pk}/exclusions"
        while True:
            link = http.client.HTTPConnection(urlsplit(self.url).netloc, timeout=TIMEOUT_SECONDS)
            try:
                link.request("POST", path, json.dumps(body), headers)
                yield link.getresponse().status
            except (OSError, http.client.HTTPException):
                yield 0
            finally:
                link.close()


@pytest.fixture
def study(world: World) -> Study:
    (study,) = make_studies(1)
    world.start_worker()
    world.start_sweeper()
    return study


@pytest.fixture
def token(study: Study) -> str:
    user = make_user()
    Membership.objects.create(project=study.project, user=user, role=Role.EDITOR)
    return make_token(user, Scope.WRITE)


def read_exclusions(study: Study) -> dict[str, tuple[bool, str]]:
    members = StudyRun.objects.filter(study=study)
    rows = members.values_list("run__uid", "excluded", "exclusion_reason")
    return {uid: (excluded, reason) for uid, excluded, reason in rows}


def wait_for_acks(clients: Clients, more: int = 20) -> None:
    target = clients.n_acked + more
    wait_until(lambda: clients.n_acked >= target, f"{more} more answers")


@pytest.mark.parametrize("rounds", ROUNDS)
def test_web_killed_during_writes(world: World, study: Study, token: str, rounds: int) -> None:
    port = urlsplit(world.start_web()).port
    with Clients(f"http://127.0.0.1:{port}", token, study) as clients:
        for _ in range(rounds):
            wait_for_acks(clients)
            world.kill("web")
            world.start_web(port)
        wait_for_acks(clients)
    settle([study])
    assert read_exclusions(study) == read_exclusions(study) | clients.acks
    assert set(clients.statuses) <= {0, 200}
    assert check([study], {}) == []


def test_web_answers_503_while_postgres_is_away(world: World, study: Study, token: str) -> None:
    with Clients(world.start_web(), token, study) as clients:
        wait_for_acks(clients)
        world.kill("postgres")
        connection.close()
        wait_until(lambda: clients.statuses[503] >= 5, "answers without a database")
        world.start_postgres()
        wait_for_acks(clients)
    settle([study])
    assert read_exclusions(study) == read_exclusions(study) | clients.acks
    assert set(clients.statuses) <= {0, 200, 503}
    assert check([study], {}) == []
