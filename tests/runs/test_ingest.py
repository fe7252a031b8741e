"""Batches through HTTP: exactly once, whole or not at all, last write wins, everything counted."""

from __future__ import annotations

import gzip
import json
import math
import threading
import uuid

import pytest
import zstandard
from django.conf import settings
from django.db import connection

from runs.models import Batch, Chunk, Metric, Outcome, Run, RunState, Writer
from scaledash.lib.jsonsafe import decode_float
from teams.models import Scope
from tests.runs.factories import (
    Job,
    count_rows,
    make_api,
    open_run,
    read_history,
    read_series,
    settle,
)
from tests.teams.factories import Api, error_of, make_project


@pytest.fixture
def run(api: Api) -> Run:
    return open_run(api)


@pytest.fixture
def job(api: Api, run: Run) -> Job:
    return Job(api, run)


def test_values_survive_bit_for_bit(api: Api, run: Run, job: Job) -> None:
    values = [0.1, -0.0, 5e-324, 1.7976931348623157e308, 2.0**53 + 1, 1 / 3]
    job.log(range(6), x=values)
    stored = read_series(run, "x")[1]
    assert [value.hex() for value in stored] == [value.hex() for value in values]
    assert math.copysign(1, read_history(api, run)["x"]["values"][1]) == -1


def test_non_finite_values_stay_three_distinct_values(api: Api, run: Run, job: Job) -> None:
    job.log(range(5), x=["NaN", "Infinity", "-Infinity", None, 1.0])
    assert read_history(api, run)["x"]["values"] == ["NaN", "Infinity", "-Infinity", "NaN", 1.0]
    run.refresh_from_db()
    entry = run.summary["x"]
    assert entry["nonfinite"] == {"NaN": 2, "Infinity": 1, "-Infinity": 1}
    assert (entry["first_nonfinite_step"], entry["min"], entry["max"]) == (0, 1.0, 1.0)


def test_metric_may_bring_its_own_steps(run: Run, job: Job) -> None:
    metrics = {"loss": [3.0, 2.0], "loss.val": {"steps": [20], "values": [2.5]}}
    answer = job.log([10, 20], metrics=metrics)
    assert answer == {"accepted": 3, "duplicates": 0, "overwritten": 0, "last_seq": 1}
    assert read_series(run, "loss.val") == ([20], [2.5])


def test_points_form_counts_once_a_request(api: Api, run: Run, job: Job) -> None:
    body = {"points": [{"step": 1, "loss": 2.3}, {"step": 2, "loss": 2.1, "lr": 0.1}]}
    for _ in range(2):
        answer = job.send(body).json()
        assert (answer["accepted"], answer["last_seq"]) == (3, None)
    run = settle(run)
    assert read_series(run, "loss") == ([1, 2], [2.3, 2.1])
    assert (run.rev, run.repeated) == (2, 3)


@pytest.mark.parametrize(
    ("encoding", "pack"), [("gzip", gzip.compress), ("zstd", zstandard.compress)]
)
def test_compressed_body_is_the_same_batch(
    api: Api, run: Run, job: Job, encoding: str, pack: object
) -> None:
    body = json.dumps(job.batch([1, 2], loss=[3.0, 2.0])).encode()
    plain = api.call("POST", f"runs/{run.uid}/metrics", body)
    packed = api.call(
        "POST", f"runs/{run.uid}/metrics", pack(body), **{"Content-Encoding": encoding}
    )
    assert plain.json()["accepted"] == 2
    assert packed.json() == {"accepted": 0, "duplicates": 2, "overwritten": 0, "last_seq": 1}


def test_batch_of_2000_metrics_is_stored(api: Api, run: Run, job: Job) -> None:
    metrics = {f"layer.{number}.norm": [float(number)] for number in range(2_000)}
    assert job.log([5], metrics=metrics)["accepted"] == 2_000
    assert count_rows(run) == (2_000, 2_000, 1)
    assert len(run.summary) == 2_000
    assert read_series(run, "layer.1999.norm") == ([5], [1999.0])


def test_metric_2001_is_refused_and_named_as_quota(run: Run, job: Job) -> None:
    metrics = {f"m{number}": [0.0] for number in range(2_000)}
    job.log([5], metrics=metrics)
    before = count_rows(run)
    answer = job.send(job.batch([6], one_more=[1.0]))
    assert error_of(answer) == (422, "quota", "/metrics")
    assert "2,000 metrics per run; this would make 2,001" in answer.json()["error"]["message"]
    assert count_rows(run) == before


def test_empty_batch_is_accepted_and_counts_as_a_sign_of_life(run: Run, job: Job) -> None:
    Run.objects.filter(pk=run.pk).update(heartbeat_at=None)
    assert job.log([])["accepted"] == 0
    run.refresh_from_db()
    assert run.heartbeat_at is not None


def test_replayed_batch_changes_nothing(run: Run, job: Job) -> None:
    body = job.batch([1, 2], loss=[3.0, 2.0])
    job.send(body)
    before = (count_rows(run), run.summary, Batch.objects.count())
    assert job.send(body).json() == {
        "accepted": 0, "duplicates": 2, "overwritten": 0, "last_seq": 1,
    }  # fmt: skip
    assert (count_rows(run), run.summary, Batch.objects.count()) == before


def test_same_seq_with_other_content_is_409_and_changes_nothing(run: Run, job: Job) -> None:
    body = job.batch([1, 2], loss=[3.0, 2.0])
    job.send(body)
    before = count_rows(run)
    answer = job.send({**body, "metrics": {"loss": [3.0, 9.0]}})
    assert error_of(answer) == (409, "seq_reuse", "/seq")
    assert count_rows(run) == before
    assert read_series(run, "loss") == ([1, 2], [3.0, 2.0])


def test_same_seq_of_another_writer_is_another_batch(api: Api, run: Run, job: Job) -> None:
    job.log([1], loss=[3.0])
    assert Job(api, run).log([2], loss=[2.0])["accepted"] == 1


def test_batches_may_arrive_in_any_order(run: Run, job: Job) -> None:
    bodies = [job.batch([number], loss=[float(number)]) for number in range(1, 6)]
    answers = [job.send(bodies[place]).json()["last_seq"] for place in (2, 0, 4, 3, 1)]
    assert answers == [0, 1, 1, 1, 5]
    settle(run)
    assert read_series(run, "loss") == ([1, 2, 3, 4, 5], [1.0, 2.0, 3.0, 4.0, 5.0])


def test_replay_of_a_key_that_was_pruned_is_a_duplicate(run: Run, job: Job) -> None:
    first = job.batch([1], loss=[3.0])
    job.send(first)
    job.log([2], loss=[2.0])
    Batch.objects.filter(run=run, seq=1).delete()
    before = count_rows(run)
    assert job.send(first).json()["duplicates"] == 1
    assert count_rows(run) == before


@pytest.mark.django_db(transaction=True)
def test_batch_sent_by_eight_at_once_is_stored_once() -> None:
    api = make_api()
    run = open_run(api)
    job = Job(api, run)
    bodies = [job.batch([number], loss=[1.0]) for number in range(20)]
    accepted: list[int] = []

    def send_all() -> None:
        for body in bodies:
            accepted.append(job.send(body).json()["accepted"])
        connection.close()

    threads = [threading.Thread(target=send_all) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (sum(accepted), len(accepted)) == (20, 160)
    assert count_rows(run) == (20, 20, 20)
    assert Writer.objects.get(run=run).last_seq == 20


def test_last_batch_wins_and_losers_are_counted_once(run: Run, job: Job) -> None:
    job.log([1, 2, 3], loss=[3.0, 2.0, 1.0])
    assert job.log([2, 3], loss=[9.0, 1.0])["overwritten"] is None
    run = settle(run)
    assert read_series(run, "loss") == ([1, 2, 3], [3.0, 9.0, 1.0])
    assert (run.overwritten, run.repeated) == (1, 1)
    run = settle(run)
    assert (run.overwritten, run.repeated) == (1, 1)


def test_inside_one_batch_the_later_place_wins(run: Run, job: Job) -> None:
    answer = job.log([1, 1, 2], loss=[3.0, 4.0, 5.0])
    assert answer["overwritten"] == 1
    assert read_series(run, "loss") == ([1, 2], [4.0, 5.0])


def test_nan_over_nan_is_a_repetition(run: Run, job: Job) -> None:
    job.log([1, 1], loss=["NaN", None])
    run.refresh_from_db()
    assert (run.repeated, run.overwritten) == (1, 0)


def test_late_evaluation_point_is_kept_and_leaves_the_last_value_alone(
    api: Api, run: Run, job: Job
) -> None:
    job.log([100, 200], metrics={"loss": [3.0, 2.0], "loss.val": [3.1, 2.1]})
    job.log([150], metrics={"loss.val": [2.6]})
    run = settle(run)
    assert read_series(run, "loss.val") == ([100, 150, 200], [3.1, 2.6, 2.1])
    entry = run.summary["loss.val"]
    assert (entry["last"], entry["last_step"], entry["count"]) == (2.1, 200, 3)
    assert (run.last_step, run.overwritten) == (200, 0)


def test_late_point_of_a_series_that_had_none_yet_needs_no_settling(run: Run, job: Job) -> None:
    job.log([100], loss=[3.0])
    assert job.log([50], metrics={"loss.val": [3.3]})["overwritten"] == 0
    run.refresh_from_db()
    assert (run.settle_at, run.last_step) == (None, 100)


def test_summary_equals_a_recompute_of_all_points(run: Run, job: Job) -> None:
    for first in range(0, 60, 10):
        values = [math.sin(first + step) for step in range(10)]
        values[3] = "NaN" if first == 20 else values[3]
        job.log(range(first, first + 10), loss=values)
    run.refresh_from_db()
    values = read_series(run, "loss")[1]
    finite = [value for value in values if math.isfinite(value)]
    entry = run.summary["loss"]
    assert (entry["count"], entry["last_step"]) == (60, 59)
    assert (entry["min"], entry["max"]) == (min(finite), max(finite))
    assert decode_float(entry["last"]) == values[-1]
    assert (entry["first_nonfinite_step"], entry["nonfinite"]) == (23, {"NaN": 1})


def test_loss_that_is_not_finite_marks_the_run_as_diverged(run: Run, job: Job) -> None:
    job.log([1, 2, 3], metrics={"train/loss": [3.0, "Infinity", "NaN"], "aux": ["NaN"] * 3})
    run.refresh_from_db()
    assert run.outcome == Outcome.DIVERGED
    assert run.outcome_evidence == {"metric": "train/loss", "step": 2, "value": "Infinity"}


def test_metric_that_is_no_loss_does_not_mark_it(run: Run, job: Job) -> None:
    job.log([1], aux=["NaN"])
    run.refresh_from_db()
    assert run.outcome == Outcome.UNKNOWN


def test_tokens_and_flops_follow_with_the_batch(run: Run, job: Job) -> None:
    job.log([1, 2], metrics={"tokens": [1e6, 2e6], "flops": [1e15, 2e15]})
    run.refresh_from_db()
    assert (run.n_tokens, run.flops) == (2e6, 2e15)
    assert run.facts["n_tokens"][0]["source"] == "logged"


def test_tokens_are_derived_from_the_step_where_nobody_logs_them(api: Api) -> None:
    run = open_run(api, scale={"tokens_per_step": 1000, "n_params": "10M"})
    Job(api, run).log([500], loss=[2.0])
    run.refresh_from_db()
    assert (run.n_tokens, run.flops) == (5e5, 6 * 1e7 * 5e5)


def test_run_ends_when_the_batches_that_its_end_names_have_arrived(
    api: Api, run: Run, job: Job
) -> None:
    first, second = job.batch([1], loss=[2.0]), job.batch([2], loss=[1.0])
    job.send(second)
    end = {"state": "finished", "exit_code": 0, "writer": job.writer, "last_seq": 2}
    assert api.post(f"runs/{run.uid}/finish", end).json() == {"state": "running"}
    job.send(first)
    run.refresh_from_db()
    assert (run.state, run.exit_code) == (RunState.FINISHED, 0)


def test_late_batch_of_a_known_writer_is_stored_after_the_end(api: Api, run: Run, job: Job) -> None:
    job.log([1], loss=[2.0])
    api.post(f"runs/{run.uid}/finish", {"state": "failed", "exit_code": 1})
    assert job.log([2], loss=[1.0])["accepted"] == 1
    run.refresh_from_db()
    assert run.state == RunState.FAILED


def test_new_writer_on_an_ended_run_needs_resume(api: Api, run: Run, job: Job) -> None:
    api.post(f"runs/{run.uid}/finish", {"state": "finished"})
    assert error_of(job.send(job.batch([1], loss=[2.0])))[:2] == (409, "run_finished")
    open_run(api, run.uid, resume="allow")
    assert job.send(job.batch([1], loss=[2.0])).status_code == 200


def test_batch_for_a_deleted_run_is_404(api: Api, run: Run, job: Job) -> None:
    api.delete(f"runs/{run.uid}")
    assert job.send(job.batch([1], loss=[2.0])).status_code == 404


def test_body_beyond_the_limit_is_413_and_one_at_it_is_read(run: Run, job: Job) -> None:
    batch = job.batch([1], loss=[2.0])
    text = json.dumps(batch)
    padded = text + " " * (settings.MAX_BODY_BYTES - len(text))
    path = f"runs/{run.uid}/metrics"
    assert job.api.call("POST", path, padded + " ").status_code == 413
    assert count_rows(run) == (0, 0, 0)
    assert job.api.call("POST", path, padded).status_code == 200


def test_inflated_body_beyond_the_limit_is_413(run: Run, job: Job) -> None:
    text = json.dumps(job.batch([1], loss=[2.0]))
    padded = gzip.compress((text + " " * settings.MAX_INFLATED_BYTES).encode())
    answer = job.api.call("POST", f"runs/{run.uid}/metrics", padded, **{"Content-Encoding": "gzip"})
    assert error_of(answer)[:2] == (413, "too_large")


def test_same_id_in_two_projects_is_two_runs(api: Api, run: Run, job: Job) -> None:
    other = make_api()
    twin = open_run(other, run.uid)
    Job(other, twin).log([1], loss=[9.0])
    job.log([1], loss=[3.0])
    assert (read_series(run, "loss")[1], read_series(twin, "loss")[1]) == ([3.0], [9.0])
    assert Metric.objects.filter(name="loss").count() == 2


def test_token_of_another_project_cannot_write(run: Run) -> None:
    stranger = Job(make_api(make_project(), Scope.WRITE), run)
    assert stranger.send(stranger.batch([1], loss=[2.0])).status_code == 404
    assert not Chunk.objects.filter(run=run).exists()


def test_clock_of_another_century_is_clamped_with_a_flag(run: Run, job: Job, api: Api) -> None:
    job.log([1, 2], loss=[3.0, 2.0], times=[5.0, 1.9e9 * 100])
    run.refresh_from_db()
    assert run.clock_clamped
    times = read_history(api, run, "times=1")["loss"]["times"]
    assert times[0] == 946_684_800.0
    assert times[1] < 2e10


@pytest.mark.django_db(transaction=True)
def test_writers_of_many_runs_hold_no_row_in_common() -> None:
    """One transaction holds a run's batch open while another run of its project is written."""
    api = make_api()
    jobs = [Job(api, open_run(api)) for _ in range(2)]
    for job in jobs:
        job.log([1], loss=[3.0])
    from django.db import transaction

    from runs.ingest import accept_batch

    done = threading.Event()

    def write_other() -> None:
        accept_batch(jobs[1].run, json.dumps(jobs[1].batch([2], loss=[2.0])).encode())
        connection.close()
        done.set()

    with transaction.atomic():
        accept_batch(jobs[0].run, json.dumps(jobs[0].batch([2], loss=[2.0])).encode())
        thread = threading.Thread(target=write_other)
        thread.start()
        assert done.wait(30), "a writer of another run waits for this one"
    thread.join()


def test_writer_that_is_no_uuid_is_refused(job: Job) -> None:
    body = {**job.batch([1], loss=[2.0]), "writer": "rank-0"}
    assert error_of(job.send(body)) == (422, "invalid", "/writer")
    assert str(uuid.UUID(job.writer)) == job.writer
