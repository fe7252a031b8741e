"""Bodies that nobody should send: refused with a place, and not one row changed."""

from __future__ import annotations

import copy
import json
import random
import uuid

import pytest

from runs.models import Batch, Metric, Run
from tests.runs.factories import Job, count_rows, open_run
from tests.teams.factories import Api, error_of

KEY = {"writer": "6f0c1f6e-5f0b-4a38-9a39-0d9b1b0f7a11", "seq": 2}
GOOD = {**KEY, "steps": [10, 11], "metrics": {"loss": [1.0, 2.0]}, "times": [1.7e9, 1.7e9]}


@pytest.fixture
def run(api: Api) -> Run:
    run = open_run(api)
    Job(api, run).log([1, 2], loss=[3.0, 2.0])
    return run


def send(api: Api, run: Run, body: bytes | str) -> object:
    return api.call("POST", f"runs/{run.uid}/metrics", body)


def with_metrics(metrics: str) -> str:
    return json.dumps({**KEY, "steps": [10, 11]})[:-1] + f', "metrics": {metrics}}}'


CORPUS = [
    (b" ", 400, "malformed", None),
    (b"{", 400, "malformed", None),
    (b"[]", 422, "wrong_type", ""),
    (b"null", 422, "wrong_type", ""),
    (b"{}", 422, "required", "/metrics"),
    (b'{"metrics": 1}', 422, "wrong_type", "/metrics"),
    (b'{"x": 1}', 422, "unknown_field", "/x"),
    (b"\xff\xfe", 400, "malformed", None),
    (b"[" * 100_000, 400, "too_deep", None),
    (with_metrics('{"loss": [NaN, 1]}'), 400, "malformed", None),
    (with_metrics('{"loss": [Infinity, 1]}'), 400, "malformed", None),
    (with_metrics('{"loss": ["nan", 1]}'), 422, "wrong_type", "/metrics/loss/0"),
    (with_metrics('{"loss": [true, 1]}'), 422, "wrong_type", "/metrics/loss/0"),
    (with_metrics('{"loss": [1, "7"]}'), 422, "wrong_type", "/metrics/loss/1"),
    (with_metrics('{"loss": [1, [2]]}'), 422, "wrong_type", "/metrics/loss/1"),
    (with_metrics('{"loss": [1e400, 1]}'), 422, "out_of_range", None),
    (with_metrics('{"loss": [1]}'), 422, "wrong_length", "/metrics/loss"),
    (with_metrics('{"": [1, 2]}'), 422, "required", "/metrics/"),
    (with_metrics('{"a\\u0000": [1, 2]}'), 422, "bad_character", None),
    (with_metrics('{"a\\u202e": [1, 2]}'), 422, "bad_character", None),
    (with_metrics('{"a\\ud800": [1, 2]}'), 400, "malformed", None),
    (with_metrics('{"%s": [1, 2]}' % ("a" * 257)), 422, "too_long", None),
    (with_metrics('{"a": [1, 2], "a": [1, 2]}'), 400, "duplicate_key", None),
    (with_metrics('{"a/b~c": [1, "x"]}'), 422, "wrong_type", "/metrics/a~1b~0c/1"),
    (with_metrics('{"v": {"steps": [1], "values": [1, 2]}}'), 422, "wrong_length", None),
    (with_metrics('{"v": {"values": [1, 2]}}'), 422, "required", "/metrics/v/steps"),
    (with_metrics('{"v": {"steps": [1], "values": [1], "q": 1}}'), 422, "unknown_field", None),
    ('{"steps": [1.0], "metrics": {"a": [1]}}', 422, "wrong_type", "/steps/0"),
    ('{"steps": [true], "metrics": {"a": [1]}}', 422, "wrong_type", "/steps/0"),
    ('{"steps": [-1], "metrics": {"a": [1]}}', 422, "out_of_range", "/steps/0"),
    ('{"steps": [9007199254740992], "metrics": {"a": [1]}}', 422, "out_of_range", "/steps/0"),
    ('{"steps": ["1"], "metrics": {"a": [1]}}', 422, "wrong_type", "/steps/0"),
    ('{"steps": 1, "metrics": {"a": [1]}}', 422, "wrong_type", "/steps"),
    ('{"seq": 1, "steps": [1], "metrics": {"a": [1]}}', 422, "required", "/writer"),
    (json.dumps({**GOOD, "seq": 0}), 422, "out_of_range", "/seq"),
    (json.dumps({**GOOD, "seq": True}), 422, "wrong_type", "/seq"),
    (json.dumps({**GOOD, "seq": 2.0}), 422, "wrong_type", "/seq"),
    (json.dumps({**GOOD, "writer": 7}), 422, "wrong_type", "/writer"),
    (json.dumps({**GOOD, "start_step": 1, "rewind": 1}), 422, "invalid", "/rewind"),
    (json.dumps({**GOOD, "times": [1.7e9]}), 422, "wrong_length", "/times"),
    (json.dumps({**GOOD, "times": [1.7e9, "x"]}), 422, "wrong_type", "/times/1"),
    ('{"points": []} x', 400, "malformed", None),
    ('{"points": [1]}', 422, "wrong_type", "/points/0"),
    ('{"points": [{"loss": 1}]}', 422, "required", "/points/0/step"),
    ('{"points": [{"step": 1, "loss": true}]}', 422, "wrong_type", "/points/0/loss"),
]


@pytest.mark.parametrize(("body", "status", "code", "field"), CORPUS)
def test_body_is_refused_where_it_is_wrong(
    api: Api, run: Run, body: bytes | str, status: int, code: str, field: str | None
) -> None:
    before = (count_rows(run), Batch.objects.count(), Metric.objects.count())
    found = error_of(send(api, run, body))
    assert found[:2] == (status, code)
    assert field is None or found[2] == field
    assert (count_rows(run), Batch.objects.count(), Metric.objects.count()) == before


ODD = [
    *(None, True, -1, 1.5, 2**53, 2**70, 1e308, "", "7", "NaN", "nan", "\x00", "\u202e", "é" * 300),
    *([], {}, [[]], {"steps": [1]}, {"steps": [1], "values": [1]}, "1e999", [1] * 3, 0),
]


def mutate(dice: random.Random) -> bytes:
    """Return a good batch with one to three wounds, of its document or of its bytes."""
    document = copy.deepcopy(GOOD)
    if dice.random() < 0.3:
        document = {"points": [{"step": 10, "loss": 1.0}, {"step": 11, "loss": 2.0}]}
    for _ in range(dice.randint(0, 2)):
        _wound(document, dice)
    raw = bytearray(json.dumps(document, allow_nan=True).encode())
    for _ in range(dice.randint(0, 2)):
        place = dice.randrange(len(raw) + 1)
        raw[place : place + dice.randint(0, 3)] = dice.choice(
            [b"", b'"', b"{", b"]", b"\xff", b"\\u0000", b"1e999", b"NaN", b",", b"-", b"00", b"["]
        )
    return bytes(raw)


def _wound(node: object, dice: random.Random) -> None:
    while isinstance(node, dict | list) and node:
        keys = list(node) if isinstance(node, dict) else list(range(len(node)))
        key = dice.choice(keys)
        if isinstance(node[key], dict | list) and node[key] and dice.random() < 0.6:
            node = node[key]
            continue
        if isinstance(node, dict) and dice.random() < 0.3:
            node[dice.choice(["steps", "", "x", "\x00", "constructor", "rewind"])] = node.pop(key)
        else:
            node[key] = copy.deepcopy(dice.choice(ODD))
        return


def check_mutants(api: Api, run: Run, seed: int, n: int) -> int:
    """Send mutants; returns how many were refused. None may break the server or half-succeed."""
    dice = random.Random(seed)
    refused = 0
    before = count_rows(run)
    for _ in range(n):
        body = mutate(dice)
        answer = send(api, run, body)
        assert answer.status_code < 500, body
        if answer.status_code == 200:
            before = count_rows(run)
            continue
        refused += 1
        assert answer.json()["error"]["message"], body
        assert count_rows(run) == before, body
    return refused


def test_mutants_are_refused_or_read_and_never_break_anything(api: Api, run: Run) -> None:
    assert check_mutants(api, run, 1, 500) > 300


def test_mutants_inside_a_whole_run_leave_nothing_behind(api: Api) -> None:
    dice, refused = random.Random(3), 0
    before = (Run.objects.count(), Batch.objects.count())
    for number in range(300):
        fields = {"id": f"w{number}", "request_id": str(uuid.uuid4()), "project": api.project.slug}
        head = json.dumps({**fields, "finish": {"state": "finished"}})[:-1].encode()
        body = head + b', "batches": [' + mutate(dice) + b"]}"
        answer = api.call("POST", "runs", body)
        assert answer.status_code < 500, body
        if answer.status_code == 201:
            before = (Run.objects.count(), Batch.objects.count())
            continue
        refused += 1
        assert answer.json()["error"]["message"], body
        assert (Run.objects.count(), Batch.objects.count()) == before, body
    assert refused > 150


@pytest.mark.slow
def test_10000_mutants_are_refused_or_read_and_never_break_anything(api: Api, run: Run) -> None:
    assert check_mutants(api, run, 2, 10_000) > 6_000
