"""A series of a million points, logged and read through HTTP."""

from __future__ import annotations

import numpy as np
import pytest

from runs.series import Grid
from tests.runs.factories import Job, make_api, open_run
from tests.teams.factories import Api

N, PER_BATCH, BUCKETS = 1_000_000, 50_000, 500
ODD = {654_321: 42.0, 123_456: "NaN", 876_543: "Infinity"}

pytestmark = [pytest.mark.django_db, pytest.mark.slow]


def log_a_million() -> tuple[Api, str]:
    """A falling loss with a spike of one step, one NaN and one infinity; the path of its curve."""
    api = make_api()
    run = open_run(api)
    job = Job(api, run)
    for first in range(1, N + 1, PER_BATCH):
        steps = range(first, first + PER_BATCH)
        values = (3.0 + 2.0 * np.arange(first, first + PER_BATCH) ** -0.3).tolist()
        job.log(steps, loss=[ODD.get(step, values[step - first]) for step in steps])
    return api, f"series?project={api.project.slug}&metric=loss&runs={run.uid}&px={BUCKETS}"


def test_spike_nan_and_infinity_of_a_million_points_are_answered() -> None:
    api, path = log_a_million()
    for scale in ("lin", "log"):
        check_answer(api.get(f"{path}&xs={scale}").json(), scale)


def check_answer(found: dict[str, object], scale: str) -> None:
    assert (found["method"], found["buckets"], found["points_total"]) == ("m4", BUCKETS, N)
    (series,) = found["series"].values()
    grid = Grid(found["lo"], found["hi"], BUCKETS, scale == "log")
    spike, nan, inf = grid.place(np.array([float(step) for step in ODD])).tolist()
    assert 42.0 in series["y"][4 * spike : 4 * spike + 4]
    assert [mark[:3] for mark in series["marks"]] == sorted([[nan, "NaN", 1], [inf, "Infinity", 1]])
