"""Final losses that are read off the whole curve: by the worker, once, and stored with the fit."""

from __future__ import annotations

import numpy as np
import pytest

from fitting.models import Study
from fitting.queries import find_current_fit, view_study
from fitting.rows import read_rows
from fitting.services import add_runs
from runs.models import Chunk, Metric, Run
from tests.fitting.factories import log_loss, make_run, make_study, settle

pytest.importorskip("runs.store", reason="the metric store is not there yet")
pytestmark = pytest.mark.django_db(transaction=True)
STEPS = np.arange(0, 1001, 10, dtype="<i8")
CURVE = 5.0 - 3.0 * STEPS / 1000


@pytest.fixture
def study() -> Study:
    return make_study(estimator="tail_mean", tail_fraction=0.1)


def store_curve(run: Run, values: np.ndarray = CURVE, rev: int = 1) -> Run:
    """Store one chunk of a validation loss, as ingest does."""
    log_loss(run, float(values[-1]))
    metric = Metric.objects.get(project=run.project, name="loss.val")
    data = values.astype("<f8")
    Chunk.objects.create(
        run=run,
        metric=metric,
        rev=rev,
        rev_first=rev,
        attempt=0,
        n=len(data),
        first_step=STEPS[0],
        last_step=STEPS[-1],
        steps=STEPS.tobytes(),
        values=data.tobytes(),
        last_value=data[-1],
        min_value=data.min(),
        max_value=data.max(),
        sum_value=data.sum(),
    )
    return run


def test_the_tail_is_read_by_the_worker_and_shown_by_the_page(study: Study) -> None:
    add_runs(study, [store_curve(make_run(study.project, None))])
    (before,) = view_study(study).rows.rows
    assert (before.loss, before.is_provisional) == (2.0, True)
    settle()
    (after,) = view_study(study).rows.rows
    assert (after.loss, after.is_provisional) == (pytest.approx(2.15), False)


def test_a_curve_that_has_not_grown_is_not_read_again(study: Study) -> None:
    first = store_curve(make_run(study.project, None))
    add_runs(study, [first])
    settle()
    Chunk.objects.filter(run=first).delete()
    add_runs(study, [store_curve(make_run(study.project, None, peak_lr=1e-3))])
    settle()
    losses = find_current_fit(study).result["losses"]
    assert [loss for _, loss in losses.values()] == [pytest.approx(2.15)] * 2


def test_a_curve_that_has_grown_is_read_anew(study: Study) -> None:
    run = store_curve(make_run(study.project, None))
    add_runs(study, [run])
    settle()
    Chunk.objects.filter(run=run).delete()
    store_curve(run, CURVE + 1.0, rev=2)
    settle()
    assert find_current_fit(study).result["losses"][run.uid][1] == pytest.approx(3.15)


def test_rows_alone_never_read_a_curve(study: Study, django_assert_num_queries: object) -> None:
    add_runs(study, [store_curve(make_run(study.project, None))])
    with django_assert_num_queries(2):
        read_rows(study)
