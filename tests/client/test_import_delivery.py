"""`scaledash import` against the real server: complete, once, resumable, and what it says."""

from __future__ import annotations

import contextlib
import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from scaledash.client import cli
from scaledash.client.discovery import Server
from scaledash.client.importers import delivery as sending
from scaledash.client.importers.delivery import Delivery
from scaledash.client.importers.model import Part, Point, Rewind, SourceRun, Tally, make_uid
from scaledash.client.transport import Reply, Transport
from tests.client.sources import DATA, event, scalar, write_events

FIRST = "events.out.tfevents.1700000000.host.1.0"


@dataclass
class World:
    """A project on a real server, and what it holds."""

    url: str
    token: str
    project: Any

    def run(self, name: str) -> Any:
        from runs.models import Run

        return Run.objects.get(project=self.project, name=name)

    def settle(self, name: str) -> Any:
        """Return a run whose summary is recomputed, as the sweeper does after a rewind."""
        from runs.settling import settle_run

        settle_run(self.run(name).pk)
        return self.run(name)

    def points(self, name: str, metric: str) -> list[tuple[int, float]]:
        from runs import store

        steps, values = store.read_series(self.run(name).pk, metric)
        return list(zip(steps.tolist(), values.tolist(), strict=True))


@pytest.fixture
def world(live_web: str, monkeypatch: pytest.MonkeyPatch) -> World:
    from teams.models import Role, Scope
    from tests.teams.factories import add_member, make_project, make_token, make_user

    project = make_project("imported")
    token = make_token(add_member(project, make_user(), Role.ADMIN), Scope.ADMIN, project)
    monkeypatch.setenv("SCALEDASH_URL", live_web)
    monkeypatch.setenv("SCALEDASH_TOKEN", token)
    return World(live_web, token, project)


Import = Callable[..., tuple[int, dict[str, Any]]]


@pytest.fixture
def bring(capsys: pytest.CaptureFixture[str]) -> Import:
    """Run `scaledash import ... --json`; returns its status and its document."""

    def run(kind: str, source: Path | str, *options: str) -> tuple[int, dict[str, Any]]:
        capsys.readouterr()
        arguments = ["import", kind, str(source), "--project", "imported", "--json", *options]
        status = cli.main(arguments)
        return status, json.loads(capsys.readouterr().out)

    return run


@pytest.mark.parametrize(("kind", "name"), [("tensorboard", "run"), ("wandb", "offline"),
                                            ("mlflow", "first")])  # fmt: skip
def test_real_sources_are_imported_completely_and_once(
    world: World, bring: Import, kind: str, name: str
) -> None:
    source = DATA / {"mlflow": "mlruns"}.get(kind, kind)
    status, first = bring(kind, source)
    assert (status, first["errors"]) == (0, [])
    assert [(run["name"], run["new"]) for run in first["runs"]] == [(name, True)]
    run = world.settle(name)
    before = (run.rev, run.repeated, run.overwritten, run.attempt)
    status, second = bring(kind, source)
    assert [(r["points"], r["new"]) for r in second["runs"]] == [(0, False)]
    run.refresh_from_db()
    assert (run.rev, run.repeated, run.overwritten, run.attempt) == before
    assert first["runs"][0]["points"] == sum(e["count"] for e in run.summary.values()) + (
        3 if kind == "tensorboard" else 0  # what the later attempt hides: steps 4, 5 and 5
    )
    assert run.state == "finished"


def test_a_restart_hides_what_it_replaces(world: World, bring: Import) -> None:
    bring("tensorboard", DATA / "tensorboard")
    found = world.points("run", "train/loss")
    assert [step for step, _ in found] == list(range(8))
    assert [value for _, value in found[4:]] == [9.0] * 4
    assert world.run("run").attempt == 1


def test_a_source_that_grows_is_continued(world: World, bring: Import, tmp_path: Path) -> None:
    events = [event(step, scalar("loss", float(step))) for step in range(50)]
    write_events(tmp_path / "run" / FIRST, events[:20])
    assert bring("tensorboard", tmp_path)[1]["runs"][0]["points"] == 20
    write_events(tmp_path / "run" / FIRST, events)
    answer = bring("tensorboard", tmp_path)[1]["runs"][0]
    assert (answer["points"], answer["new"]) == (30, False)
    run = world.run("run")
    assert (run.repeated, run.state) == (0, "finished")
    assert world.points("run", "loss") == [(step, float(step)) for step in range(50)]


def test_a_source_that_was_rewritten_is_read_again(
    world: World, bring: Import, tmp_path: Path
) -> None:
    path = tmp_path / "a.csv"
    path.write_text("step,loss\n0,3\n1,2\n")
    bring("csv", path)
    path.write_text("step,loss\n0,3\n1,1\n2,0.5\n")
    answer = bring("csv", path)[1]["runs"][0]
    assert answer["reread"]
    assert world.points("a", "loss") == [(0, 3.0), (1, 1.0), (2, 0.5)]


def test_times_state_and_provenance_are_kept(world: World, bring: Import, tmp_path: Path) -> None:
    path = tmp_path / "study.csv"
    path.write_text("name,N,tokens,steps,final_loss\nA,125M,2.5B,1000,3.2\n")
    bring("csv", path)
    run = world.run("A")
    assert (run.n_params, run.n_tokens) == (125e6, 2.5e9)
    assert run.facts["n_params"][0]["source"] == "imported"
    bring("mlflow", DATA / "mlruns")
    first = world.run("first")
    assert first.started_at.timestamp() == pytest.approx(1795701466, abs=2)
    assert first.ended_at.timestamp() == pytest.approx(1795701466, abs=2)
    assert first.host["import"]["kind"] == "mlflow"


def test_facts_come_by_map_and_out_of_names(world: World, bring: Import, tmp_path: Path) -> None:
    path = tmp_path / "N=350M-d7B.csv"
    path.write_text("step,loss,size\n0,3,1\n")
    pattern = r"N=(?P<n_params>[0-9.]+[MB])-d(?P<n_tokens>[0-9.]+[MB])"
    bring("csv", path, "--name-regex", pattern, "--map", "seed=size")
    run = world.run("N=350M-d7B")
    assert (run.n_params, run.n_tokens, run.seed) == (350e6, 7e9, 1.0)


def test_new_runs_join_a_study(world: World, bring: Import) -> None:
    from fitting.models import Study

    bring("mlflow", DATA / "mlruns", "--study", "ladder")
    study = Study.objects.get(project=world.project, slug="ladder")
    assert study.runs.count() == 1


def test_a_dry_run_needs_no_server_and_writes_nothing(
    bring: Import, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SCALEDASH_URL", raising=False)
    status, document = bring("wandb", DATA / "wandb", "--dry-run")
    (run,) = document["runs"]
    assert status == 0
    assert run["metrics"]["train/loss"] == 6
    assert run["facts"] == {"n_params": "125M", "peak_lr": 3e-4}


def test_one_bad_run_stops_no_other_and_the_exit_is_1(
    world: World, bring: Import, tmp_path: Path
) -> None:
    shutil.copytree(DATA / "wandb", tmp_path / "wandb")
    (tmp_path / "wandb/broken.wandb").write_bytes(b"no")
    status, document = bring("wandb", tmp_path)
    assert status == 1
    assert len(document["errors"]) == 1
    assert [run["name"] for run in document["runs"]] == ["offline"]


def test_a_limit_stops_early(world: World, bring: Import, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("name,N,final_loss\nA,1e6,3\nB,2e6,2\n")
    assert len(bring("csv", tmp_path / "a.csv", "--limit", "1")[1]["runs"]) == 1


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        (("--map", "n_params"), "fact=key"),
        (("--name-regex", "("), "name-regex"),
        (("--name-regex", "x"), "names no group"),
    ],
)
def test_options_that_make_no_sense_are_named(
    options: tuple[str, ...], reason: str, capsys: pytest.CaptureFixture[str]
) -> None:
    status = cli.main(["import", "wandb", str(DATA / "wandb"), "--project", "p", "--dry-run",
                       *options])  # fmt: skip
    assert status == 2
    assert reason in capsys.readouterr().err


@pytest.mark.parametrize(
    ("kind", "source", "said"),
    [
        ("mlflow", "http://127.0.0.1:1", "experiments/search: 127.0.0.1:1: "),
        ("tensorboard", ".", "holds no run that `import tensorboard` can read"),
    ],
)
def test_a_source_without_runs_says_why(
    kind: str, source: str, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["import", kind, source, "--project", "p", "--dry-run"]) == 1
    assert said in capsys.readouterr().err


def test_an_absent_source_is_a_mistake_of_usage(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["import", "csv", "nowhere.csv", "--project", "p"]) == 2
    assert "nothing at nowhere.csv" in capsys.readouterr().err


def test_a_server_of_mlflow_s_protocol_is_a_source(
    world: World, bring: Import, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The protocol that this server speaks serves as MLflow's own."""
    from teams.models import Role, Scope
    from tests.runs.mlflow_calls import Mlflow
    from tests.teams.factories import add_member, make_project, make_token, make_user

    project = make_project("elsewhere")
    user = add_member(project, make_user(), Role.ADMIN)
    other = Mlflow(make_token(user, Scope.ADMIN, project), project, user)
    run_id = other.start(run_name="remote")
    points = [
        {"key": "loss", "value": float(step), "step": step, "timestamp": 1_700_000_000_000}
        for step in range(30)
    ]
    other.post("runs/log-batch", run_id=run_id, metrics=points)
    other.log(run_id, "odd", "NaN", 3)
    other.post("runs/update", run_id=run_id, status="KILLED")
    monkeypatch.setenv("MLFLOW_TRACKING_TOKEN", other.token)
    status, document = bring("mlflow", world.url, "--limit", "1")
    assert (status, document["errors"]) == (0, [])
    found = world.run("remote")
    assert (found.state, found.summary["odd"]["last"]) == ("interrupted", "NaN")
    assert world.points("remote", "loss") == [(step, float(step)) for step in range(30)]


class Stopping(Transport):
    """A connection that is cut: the next request is not sent, or its answer is lost."""

    def __init__(self, world: World, requests: int, is_sent: bool) -> None:
        super().__init__(Server(world.url, world.token, "argument"))
        self.left = requests
        self.is_sent = is_sent

    def send(self, method: str, path: str, body: bytes | None = None) -> Reply:
        self.left -= 1
        if self.left < 0:
            if self.is_sent:
                super().send(method, path, body)
            raise ConnectionAbortedError
        return super().send(method, path, body)


def make_run(n_points: int) -> SourceRun:
    entries: list[Point | Rewind] = [Point("loss", step, float(step)) for step in range(n_points)]
    entries[30:30] = [Rewind(20), *(Point("loss", step, -1.0) for step in range(20, 30))]
    return SourceRun("key", "cut", [Part("a", lambda: entries)], state="finished")


@pytest.mark.parametrize("is_sent", [True, False])
def test_an_import_that_dies_anywhere_goes_on_and_stores_every_point_once(
    world: World, monkeypatch: pytest.MonkeyPatch, is_sent: bool
) -> None:
    monkeypatch.setattr(sending, "MAX_POINTS", 10)
    reached = 0
    for requests in range(1, 40):
        # The source grows between the tries, so that batches could be cut elsewhere.
        transport = Stopping(world, requests, is_sent)
        delivery = Delivery(transport, "imported", "test")
        with contextlib.closing(transport), contextlib.suppress(ConnectionAbortedError):
            delivery.deliver(make_run(45 + requests), {}, Tally(), lambda n: None)
            reached = 45 + requests
            break
    run = world.run("cut")
    assert reached
    assert run.uid == make_uid("test", "key")
    found = world.points("cut", "loss")
    replaced = [(step, -1.0) for step in range(20, 30)]
    whole = [(step, float(step)) for step in range(reached)]
    assert found == whole[:20] + replaced + whole[30:]
    assert (run.repeated, run.overwritten, run.attempt) == (0, 0, 1)


def test_a_fork_gets_its_parent_where_the_server_has_it(world: World) -> None:
    def deliver(key: str, parent: str | None = None) -> Any:
        points = [Point("loss", step, 1.0) for step in range(4)]
        fork = (parent, 2) if parent else None
        run = SourceRun(key, key, [Part("a", lambda: points)], state="finished", fork=fork)
        with contextlib.closing(Transport(Server(world.url, world.token, "argument"))) as transport:
            Delivery(transport, "imported", "test").deliver(run, {}, Tally(), lambda n: None)
        return world.run(key)

    parent = deliver("parent")
    child, orphan = deliver("child", "parent"), deliver("orphan", "elsewhere")
    assert (child.parent_id, child.fork_step) == (parent.pk, 2)
    assert (orphan.parent_id, orphan.fork_step) == (None, None)
    note = f"{make_uid('test', 'elsewhere')}?_step=2"
    assert orphan.host["import"]["fork_from"] == note


def test_a_limit_of_the_server_is_waited_for() -> None:
    waits: list[float] = []
    replies = [Reply(429, headers={"retry-after": "7"}), Reply(503), Reply(200, b'{"ok": true}')]

    class Busy(Transport):
        def send(self, method: str, path: str, body: bytes | None = None) -> Reply:
            return replies.pop(0)

    delivery = Delivery(Busy(Server("http://x", "t", "argument")), "p", "test", (), waits.append)
    assert delivery.request("GET", "/x") == {"ok": True}
    assert waits == [7.0, 1.0]
