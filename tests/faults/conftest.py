"""One installation for all fault tests of a session, at rest between them.

Imports stand inside the fixtures: this file is read before Django's settings are.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.faults.world import World


@pytest.fixture(scope="session")
def _world(django_db_setup: None, django_db_blocker: object) -> Iterator[World]:
    from tests.faults.world import run_world

    with django_db_blocker.unblock(), run_world() as world:
        yield world


@pytest.fixture
def world(_world: World, django_db_blocker: object) -> Iterator[World]:
    """The installation with both databases up and none of our programs running."""
    with django_db_blocker.unblock():
        yield _world
        _world.stop_programs()
        _world.start_missing_servers()
        _world.empty()
