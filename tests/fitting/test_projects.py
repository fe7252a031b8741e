"""The first page: what it counts of each project."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.test import Client
from django.utils import timezone

from fitting.projects import ACTIVITY_DAYS
from fitting.templatetags.sparklines import sparkline
from runs.models import Run
from teams.models import User
from tests.fitting.factories import make_run
from tests.teams.factories import make_project

pytestmark = pytest.mark.django_db


def test_activity_counts_runs_by_the_day_of_their_last_change(client: Client) -> None:
    project = make_project(ada="viewer")
    for days in (0, 0, 3, ACTIVITY_DAYS + 2):
        run = make_run(project, None)
        Run.objects.filter(pk=run.pk).update(changed_at=timezone.now() - timedelta(days=days))
    client.force_login(User.objects.get(username="ada"))
    (item,) = client.get("/projects.json").json()["projects"]
    assert item["activity"] == [0] * (ACTIVITY_DAYS - 4) + [1, 0, 0, 2]
    assert 'class="sparkline"' in client.get("/").content.decode()


def test_a_sparkline_touches_the_top_at_its_largest_count() -> None:
    assert sparkline([0, 5, 10]) == "1,15.0 3,8.0 5,1.0"
    assert sparkline([0, 0]) == "1,15.0 3,15.0"
