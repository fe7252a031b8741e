"""Members under concurrency: a project never loses its last admin."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
from django.db import connections, transaction

from teams import services
from teams.models import Membership, Role
from tests.teams.factories import get_user, make_project, wait_until_blocked


@pytest.mark.django_db(transaction=True)
def test_two_admins_who_leave_at_the_same_moment_leave_one() -> None:
    project = make_project("alpha", ann="admin", bob="admin")

    def leave() -> str:
        try:
            services.remove_member(project, get_user("bob"))
        except services.Refused as refusal:
            return refusal.code
        finally:
            connections.close_all()
        return "left"

    with ThreadPoolExecutor(1) as pool:
        with transaction.atomic():
            services.set_member(project, get_user("ann"), Role.VIEWER)
            second = pool.submit(leave)
            wait_until_blocked()
        assert second.result() == "last_admin"
    assert Membership.objects.get(role=Role.ADMIN).user.username == "bob"
