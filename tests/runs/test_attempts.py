"""Resume and rewind: what is hidden, kept, counted and brought back."""

from __future__ import annotations

import uuid

import numpy as np
import pytest

from runs.attempts import NEVER, Choice, Start, Wish, choose_attempt, compute_limits
from runs.models import Attempt, Run
from tests.runs.factories import Job, open_run, read_history, read_series, settle
from tests.teams.factories import Api


def test_limits_are_the_least_start_of_any_later_attempt() -> None:
    assert compute_limits({1: 50, 2: 80, 3: 60}, 3).tolist() == [50, 60, 60, NEVER]


def test_point_at_the_start_of_a_later_attempt_is_hidden() -> None:
    limits = compute_limits({1: 50}, 1)
    assert (np.array([49, 50, 51]) < limits[0]).tolist() == [True, False, False]


@pytest.mark.parametrize(
    ("wish", "expected"),
    [
        (Wish(own=None), Choice(2)),
        (Wish(own=1), Choice(1)),
        (Wish(own=None, start_step=101), Choice(2)),
        (Wish(own=None, start_step=100), Choice(3, 100, opens=True)),
        (Wish(own=2, rewind=500), Choice(3, 500, opens=True)),
        (Wish(own=None, start_step=60), Choice(2)),
        (Wish(own=2, start_step=60), Choice(3, 60, opens=True)),
        (Wish(own=None, start_step=40, attempt_key="k"), Choice(1, 40, lowers=True)),
        (Wish(own=None, start_step=55, attempt_key="k"), Choice(1, 50)),
    ],
)
def test_attempt_is_kept_joined_or_opened(wish: Wish, expected: Choice) -> None:
    starts = [Start(1, 50, "k"), Start(2, 60)]
    assert choose_attempt(wish, 2, 100, starts) == expected


@pytest.fixture
def run(api: Api) -> Run:
    """A run with ten points, whose process has died."""
    run = open_run(api)
    Job(api, run).log(range(10), loss=[10.0 - step for step in range(10)])
    return run


def test_restart_below_the_last_step_replaces_what_follows(api: Api, run: Run) -> None:
    open_run(api, run.uid, resume="allow")
    Job(api, run).log([6, 7], loss=[60.0, 70.0], start_step=6)
    run = settle(run)
    assert read_series(run, "loss") == (
        [0, 1, 2, 3, 4, 5, 6, 7], [10.0, 9.0, 8.0, 7.0, 6.0, 5.0, 60.0, 70.0],
    )  # fmt: skip
    entry = run.summary["loss"]
    assert (entry["count"], entry["last"], entry["last_step"]) == (8, 70.0, 7)
    assert (run.attempt, run.last_step, run.overwritten) == (1, 7, 0)


def test_restart_above_the_last_step_goes_on_in_the_same_attempt(api: Api, run: Run) -> None:
    Job(api, run).log([10], loss=[0.5], start_step=10)
    run.refresh_from_db()
    assert (run.attempt, run.last_step) == (0, 10)


def test_hidden_points_are_read_on_request_with_their_attempt(api: Api, run: Run) -> None:
    Job(api, run).log([9], loss=[90.0], start_step=9)
    found = read_history(api, run, "attempts=all")["loss"]
    assert found["steps"][-2:] == [9, 9]
    assert found["values"][-2:] == [1.0, 90.0]
    assert found["attempts"] == [0] * 10 + [1]


def test_replay_of_the_batch_that_opened_an_attempt_opens_none(api: Api, run: Run) -> None:
    job = Job(api, run)
    body = job.batch([6], loss=[60.0], start_step=6)
    job.send(body)
    assert job.send(body).json()["duplicates"] == 1
    assert Attempt.objects.filter(run=run).count() == 1


def test_rewind_in_a_batch_opens_an_attempt_even_above_the_last_step(api: Api, run: Run) -> None:
    Job(api, run).log([20], loss=[1.0], rewind=15)
    run = settle(run)
    assert (run.attempt, run.last_step) == (1, 20)
    assert read_series(run, "loss")[0] == [*range(10), 20]


def test_rewind_without_a_batch_hides_at_once_and_happens_once(api: Api, run: Run) -> None:
    body = {"id": str(uuid.uuid4()), "step": 4}
    for _ in range(2):
        answer = api.post(f"runs/{run.uid}/rewind", body)
        assert (answer.json()["last_step"], answer.json()["attempt"]) == (3, 1)
    assert read_series(run, "loss")[0] == [0, 1, 2, 3]


def test_rewind_below_everything_leaves_no_visible_point(api: Api, run: Run) -> None:
    api.post(f"runs/{run.uid}/rewind", {"id": str(uuid.uuid4()), "step": 0})
    run = settle(run)
    assert (read_series(run, "loss"), run.summary, run.last_step) == (([], []), {}, None)


def test_late_data_of_the_old_process_never_covers_the_new_one(api: Api) -> None:
    run = open_run(api)
    old = Job(api, run)
    old.log([1, 2], loss=[1.0, 2.0])
    Job(api, run).log([2, 3], loss=[20.0, 30.0], start_step=2)
    old.log([0, 3, 4], loss=[0.0, 3.0, 4.0])
    run = settle(run)
    assert read_series(run, "loss") == ([0, 1, 2, 3], [0.0, 1.0, 20.0, 30.0])
    assert run.last_step == 3


def test_ranks_with_one_key_share_an_attempt_from_its_smallest_step(api: Api, run: Run) -> None:
    for first in (7, 6, 8):
        Job(api, run).log([first], loss=[100.0 + first], start_step=first, attempt_key="job7.1")
    run = settle(run)
    assert [a.start_step for a in Attempt.objects.filter(run=run)] == [6]
    assert read_series(run, "loss") == (
        [0, 1, 2, 3, 4, 5, 6, 7, 8], [10.0, 9.0, 8.0, 7.0, 6.0, 5.0, 106.0, 107.0, 108.0],
    )  # fmt: skip


def test_ranks_without_a_key_join_the_attempt_of_their_step(api: Api, run: Run) -> None:
    for rank in range(3):
        Job(api, run).log([6], metrics={f"loss.{rank}": [1.0]}, start_step=6)
    run.refresh_from_db()
    assert run.attempt == 1


def test_going_back_inside_a_process_is_only_out_of_order(api: Api) -> None:
    run = open_run(api)
    job = Job(api, run)
    job.log([5], loss=[5.0])
    job.log([3], loss=[3.0])
    run = settle(run)
    assert (run.attempt, read_series(run, "loss")[0]) == (0, [3, 5])


def test_divergence_that_a_rewind_hides_is_taken_back(api: Api) -> None:
    run = open_run(api)
    job = Job(api, run)
    job.log([1, 2], loss=[3.0, "NaN"])
    job.log([2], loss=[2.5], rewind=2)
    run = settle(run)
    assert (run.outcome, run.outcome_evidence) == ("unknown", {})
