"""A client that retries refused content for ever must be caught: mutant 6 of RELIABILITY.

The spool is sent to the real API, in this process; what stands in for the network refuses one value
with 422 whatever is asked of it, as a server would that has found it invalid.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import pytest

import scaledash
from runs.models import Run
from scaledash.client import link
from scaledash.client.settings import Pace
from scaledash.client.sync import find_spools, sync_spool
from scaledash.client.transport import Reply
from scaledash.client.verdicts import Verdict, judge
from tests.runs.factories import make_api, read_series
from tests.teams.factories import Api

pytestmark = pytest.mark.django_db
REFUSED, N_ROWS = 666.0, 20
REFUSAL = b'{"error": {"code": "invalid", "message": "no", "field": null}}'
PACE = Pace(backoff_seconds=0.0, backoff_cap_seconds=0.0, recheck_seconds=0.0)


@dataclass
class Network:
    """The way to the server."""

    api: Api
    n_refused: int = 0
    paths: list[str] = field(default_factory=list)

    def send(self, method: str, path: str, body: bytes | None = None) -> Reply:
        self.paths.append(path)
        takes_points = "/metrics" in path or b'"batches"' in (body or b"")
        if takes_points and str(REFUSED).encode() in body:
            self.n_refused += 1
            return Reply(422, REFUSAL)
        answer = self.api.call(method, path.removeprefix("/api/v1/"), body)
        return Reply(answer.status_code, answer.content)

    def close(self) -> None:
        pass


@pytest.fixture
def spool(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A run of twenty rows, one of which the server will never take."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("SCALEDASH_DIR", str(tmp_path / "spools"))
    monkeypatch.setenv("SCALEDASH_SILENT", "1")
    with scaledash.init(mode="offline", id="refused", name="refused") as run:
        for step in range(N_ROWS):
            run.log({"loss": REFUSED if step == 7 else float(step)}, step=step)
    (directory,) = find_spools([tmp_path / "spools"])
    return directory


def judge_delivery(spool: Path) -> list[str]:
    """Return what is violated once the client has given up or is done: I1 of RELIABILITY."""
    api = make_api()
    network = Network(api)
    state = sync_spool(spool, lambda: network, PACE, lambda text: None)
    found = [] if state.state == "sent" else [f"the spool is {state.state}: {state.reason}"]
    found += [f"{state.pending} rows are not stored"] if state.pending else []
    run = Run.objects.filter(uid="refused").first()
    steps = read_series(run, "loss")[0] if run and run.summary else []
    wanted = [step for step in range(N_ROWS) if step != 7]
    found += [] if steps == wanted else [f"{len(steps)} of {len(wanted)} good points are stored"]
    if network.n_refused > N_ROWS:
        found.append(f"the same content was sent {network.n_refused} times")
    return found


def test_refused_content_is_set_aside_and_everything_else_is_stored(spool: Path) -> None:
    assert judge_delivery(spool) == []


def test_mutant_that_retries_422_for_ever_is_caught(
    spool: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def hope(reply: Reply) -> Verdict:
        return Verdict.RETRY if reply.status == 422 else judge(reply)

    monkeypatch.setattr(link, "judge", hope)
    found = judge_delivery(spool)
    assert any("the spool is pending" in line for line in found)
    assert any("good points are stored" in line for line in found)
