"""A run with its batches and its end in one request: whole or not at all, and exactly once."""

from __future__ import annotations

import gzip
import json
import threading
import uuid

import pytest
from django.db import connection

from fitting.models import Dirty
from runs.models import Batch, Chunk, Run, RunState, Writer
from teams.models import Scope
from tests.runs.factories import Job, make_api, open_run, read_history
from tests.teams.factories import Api, error_of

WRITER = "6f0c0000-0000-4000-8000-000000000001"


def make_batch(seq: int = 1, **fields: object) -> dict[str, object]:
    metrics = {"loss": [3.5, 3.25], "lr": [0.1, "NaN"]}
    first = 10 * seq
    return {"writer": WRITER, "seq": seq, "steps": [first, first + 1], "metrics": metrics, **fields}


def make_whole(api: Api, **fields: object) -> dict[str, object]:
    finish = {"state": "finished", "exit_code": 0, "writer": WRITER, "last_seq": 2}
    return {
        "id": "whole",
        "request_id": str(uuid.uuid4()),
        "project": api.project.slug,
        "config": {"lr": 0.1},
        "scale": {"n_params": "10M"},
        "batches": [make_batch(1), make_batch(2)],
        "finish": finish,
        **fields,
    }


def count_everything() -> tuple[int, ...]:
    return tuple(model.objects.count() for model in (Run, Batch, Writer, Chunk, Dirty))


def test_one_request_makes_logs_and_ends_a_run(api: Api) -> None:
    answer = api.post("runs", make_whole(api))
    assert answer.status_code == 201, answer.content
    found = answer.json()
    assert [batch["accepted"] for batch in found["batches"]] == [4, 4]
    assert (found["state"], found["last_step"], found["created"]) == ("finished", 21, True)
    run = Run.objects.get(uid="whole")
    assert read_history(api, run)["lr"]["values"] == [0.1, "NaN", 0.1, "NaN"]
    assert (run.state, run.exit_code, run.rev, run.last_step) == ("finished", 0, 2, 21)
    assert (run.n_params, run.summary["loss"]["count"], run.ended_at is None) == (1e7, 4, False)


def test_it_is_the_same_run_as_one_of_three_requests(api: Api) -> None:
    api.post("runs", make_whole(api))
    other = open_run(api, "parts", config={"lr": 0.1}, scale={"n_params": "10M"})
    job = Job(api, other)
    for seq in (1, 2):
        assert job.send(make_batch(seq)).status_code == 200
    api.post("runs/parts/finish", make_whole(api)["finish"])
    names = ("config", "summary", "state", "rev", "last_step", "n_params", "exit_code", "outcome")
    one, three = (Run.objects.filter(uid=uid).values(*names).get() for uid in ("whole", "parts"))
    assert one == three
    assert read_chunks("whole") == read_chunks("parts")


def read_chunks(uid: str) -> list[tuple]:
    chunks = Chunk.objects.filter(run__uid=uid).order_by("rev", "metric_id")
    return [(c.metric_id, c.rev, c.n, c.n_nan, bytes(c.steps), bytes(c.values)) for c in chunks]


def test_replay_is_a_duplicate_in_every_part(api: Api) -> None:
    body = make_whole(api)
    assert api.post("runs", body).status_code == 201
    before = count_everything()[:4]
    answer = api.post("runs", body)
    assert answer.status_code == 200
    assert [batch["duplicates"] for batch in answer.json()["batches"]] == [4, 4]
    assert answer.json()["state"] == "finished"
    assert count_everything()[:4] == before


def test_batch_that_came_with_its_run_is_known_when_it_comes_alone(api: Api) -> None:
    whole, batch = make_whole(api), json.dumps(make_batch(1), indent=2)
    raw = json.dumps({**whole, "batches": ["HERE"]}).replace('"HERE"', batch)
    assert api.post("runs", raw).status_code == 201
    alone = api.post("runs/whole/metrics", batch)
    assert (alone.status_code, alone.json()["duplicates"]) == (200, 4)
    other = api.post("runs/whole/metrics", make_batch(1, steps=[1, 2]))
    assert error_of(other)[:2] == (409, "seq_reuse")


def test_the_end_waits_for_the_batches_that_it_names(api: Api) -> None:
    whole = make_whole(api, batches=[make_batch(1)])
    assert api.post("runs", whole).json()["state"] == "running"
    assert Job(api, Run.objects.get()).send(make_batch(2)).status_code == 200
    assert Run.objects.get().state == RunState.FINISHED


def test_compressed_request_is_read(api: Api) -> None:
    raw = gzip.compress(json.dumps(make_whole(api)).encode())
    answer = api.call("POST", "runs", raw, **{"Content-Encoding": "gzip"})
    assert answer.status_code == 201


def test_run_is_opened_again_with_batches(api: Api) -> None:
    api.post("runs", make_whole(api))
    batch = make_batch(1, writer=str(uuid.uuid4()), start_step=11, steps=[11, 12])
    body = make_whole(api, resume="allow", batches=[batch], finish={"state": "failed"})
    answer = api.post("runs", body)
    assert answer.status_code == 200
    assert (answer.json()["attempt"], answer.json()["last_step"]) == (1, 12)
    assert read_history(api, Run.objects.get())["loss"]["steps"] == [10, 11, 12]
    assert Run.objects.get().state == RunState.FAILED


BAD = [
    ({"batches": {}}, 422, "wrong_type", "/batches"),
    ({"batches": [1]}, 422, "wrong_type", "/batches/0"),
    ({"batches": [make_batch(1), {"steps": [1], "metrics": {}}]}, 422, "required",
     "/batches/1/writer"),
    ({"batches": [make_batch(1), make_batch(2, steps=[1, -2])]}, 422, "out_of_range",
     "/batches/1/steps/1"),
    ({"batches": [make_batch(1, metrics={"a/b": [1, "x"]})]}, 422, "wrong_type",
     "/batches/0/metrics/a~1b/1"),
    ({"batches": [make_batch(1), make_batch(1)]}, 422, "invalid", "/batches/1/seq"),
    ({"batches": [make_batch(n) for n in range(1, 102)]}, 422, "too_long", "/batches"),
    ({"batches": [make_batch(1, metrics={f"m{n}": [1, 2] for n in range(2001)})]}, 422, "quota",
     "/batches/0/metrics"),
    ({"finish": {"state": "gone"}}, 422, "unknown_value", "/finish/state"),
    ({"finish": {"state": "finished", "x": 1}}, 422, "unknown_field", "/finish/x"),
    ({"finish": []}, 422, "wrong_type", "/finish"),
    ({"config": 7}, 422, "wrong_type", "/config"),
]  # fmt: skip


@pytest.mark.parametrize(("fields", "status", "code", "field"), BAD)
def test_what_is_wrong_is_named_and_nothing_stays(
    api: Api, fields: dict[str, object], status: int, code: str, field: str
) -> None:
    before = count_everything()
    found = error_of(api.post("runs", make_whole(api, **fields)))
    assert found[:3] == (status, code, field)
    assert count_everything() == before


def test_refused_batch_takes_the_change_of_a_known_run_back(api: Api) -> None:
    run = open_run(api, "whole", config={"lr": 1.0})
    Job(api, run).send(make_batch(1))
    body = make_whole(api, resume="allow", batches=[make_batch(2), make_batch(1, steps=[5, 6])])
    assert error_of(api.post("runs", body))[:3] == (409, "seq_reuse", "/batches/1/seq")
    run.refresh_from_db()
    assert (run.config, run.rev, run.state) == ({"lr": 1.0}, 1, RunState.RUNNING)


def test_token_that_may_only_read_makes_nothing(api: Api) -> None:
    reader = make_api(api.project, Scope.READ)
    assert error_of(reader.post("runs", make_whole(api)))[:2] == (403, "scope")
    assert Run.objects.count() == 0


@pytest.mark.django_db(transaction=True)
def test_request_sent_by_eight_at_once_makes_one_run() -> None:
    api = make_api()
    body, statuses = make_whole(api), []

    def send() -> None:
        try:
            statuses.append(api.post("runs", body).status_code)
        finally:
            connection.close()

    threads = [threading.Thread(target=send) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(statuses) == [200] * 7 + [201]
    assert (Run.objects.get().rev, Batch.objects.count(), Chunk.objects.count()) == (2, 2, 4)
