"""What most tests of runs begin with.

Imports stand inside the fixtures: this file is read before Django's settings are.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from django.test import Client

    from tests.teams.factories import Api


@pytest.fixture
def api(db: None) -> Api:
    """Return a caller that may log into a project of its own."""
    from tests.runs.factories import make_api

    return make_api()


@pytest.fixture
def reader(api: Api) -> Client:
    """Return a browser of the admin of that project."""
    from teams.models import Membership
    from tests.teams.factories import sign_in

    return sign_in(Membership.objects.get(project=api.project).user)
