"""Curves of a run's page: its x axes, what attempts hide, and where events stand."""

from __future__ import annotations

from urllib.parse import urlencode

import pytest
from django.test import Client

from tests.runs.factories import Job, make_api, open_run
from tests.teams.factories import Role, add_member, make_user, sign_in

pytestmark = pytest.mark.django_db


@pytest.fixture
def job() -> Job:
    """A run of 100 tokens a step that goes back from step 40 to step 20."""
    api = make_api()
    found = Job(api, open_run(api, "one", config={"tokens_per_step": 100}))
    loss, tokens = [4.0, 3.0, 9.0, "NaN"], [1000, 2000, 3000, 4000]
    found.log([10, 20, 30, 40], metrics={"loss": loss, "tokens": tokens}, times=[0, 5, 9, 12])
    again = Job(api, found.run)
    again.log([20, 30], metrics={"loss": [3.1, 2.5], "tokens": [2000, 3000]}, start_step=20)
    return found


def browse(job: Job) -> Client:
    return sign_in(add_member(job.run.project, make_user(), Role.VIEWER))


def read(job: Job, **query: str) -> dict[str, object]:
    here = f"/p/{job.run.project.slug}/r/one/curves.json"
    answer = browse(job).get(f"{here}?{urlencode({'m': 'loss', **query})}")
    assert answer.status_code == 200
    return answer.json()["charts"][0]


def test_a_curve_over_tokens_stands_where_its_steps_were_counted(job: Job) -> None:
    chart = read(job, x="tokens", at="10,20,999")
    assert (chart["x_axis"], chart["x"]) == ("tokens", [1000, 2000, 3000])
    assert chart["at"] == {"10": 1000.0, "20": 2000.0, "999": 3000.0}
    assert read(job, at="10")["at"] == {"10": 10.0}


def test_curves_are_compressed_and_not_sent_twice(job: Job) -> None:
    job.log(list(range(50, 550)), loss=[float(n) for n in range(500)])
    here = f"/p/{job.run.project.slug}/r/one/curves.json?m=loss"
    reader, gzip = browse(job), {"Accept-Encoding": "gzip"}
    answer = reader.get(here, headers=gzip)
    assert answer["Content-Encoding"] == "gzip"
    again = reader.get(here, headers={**gzip, "If-None-Match": answer["ETag"]})
    assert again.status_code == 304


def test_an_axis_that_the_run_lacks_draws_nothing_and_says_which(job: Job) -> None:
    chart = read(job, x="flops")
    assert (chart["series"], chart["points_total"], chart["x_axis"]) == ({}, 0, "flops")
    page = browse(job).get(f"/p/{job.run.project.slug}/r/one").content.decode()
    assert '<option value="tokens">tokens</option>' in page
    assert '<option value="flops">' not in page


def test_hidden_points_are_drawn_only_where_they_are_asked_for(job: Job) -> None:
    plain, both = read(job), read(job, old="1")
    assert list(plain["series"]) == ["one"]
    assert plain["series"]["one"]["superseded"] == 3
    assert list(both["series"]) == ["one", "one/attempt 0"]
    assert both["series"]["one"]["y"] == [4.0, 3.1, 2.5, None]
    assert both["series"]["one/attempt 0"]["y"][:3] == [None, 3.0, 9.0]


def test_unreadable_wishes_are_the_default(job: Job) -> None:
    assert read(job, x="volume", old="yes", at="1e3,-5,x") == read(job)


def test_events_stand_in_the_order_of_steps_with_the_attempts_on_the_curves(job: Job) -> None:
    Job(job.api, job.run).log([50], loss=["Infinity"])
    slug = job.run.project.slug
    events = browse(job).get(f"/p/{slug}/r/one.json").json()["events"]
    drawn = [(event["step"], event["tone"]) for event in events if event["is_drawn"]]
    assert drawn == [(20, "resumed")]
    assert [event["step"] for event in events] == sorted(event["step"] for event in events)
    texts = " ".join(event["text"] for event in events)
    assert "resumed at step 20: attempt 2" in texts
    assert "loss is" in texts
    page = browse(job).get(f"/p/{slug}/r/one").content.decode()
    assert "data-marks=" in page
    assert "show superseded" in page
