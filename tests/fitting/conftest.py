"""What several modules of fitting tests share."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest
from django.core.management import call_command
from pytest_django.plugin import DjangoDbBlocker

if TYPE_CHECKING:
    from fitting.models import Study


@pytest.fixture(scope="module")
def kept_isoflops(django_db_setup: None, django_db_blocker: DjangoDbBlocker) -> Iterator[Study]:
    """A study of budgets, fitted once for the tests of a module that read it only.

    They ask for `db` besides, which rolls back what they write.
    """
    from tests.fitting.factories import make_isoflops, make_study, settle

    with django_db_blocker.unblock():
        study = make_study()
        make_isoflops(study)
        settle()
    yield study
    with django_db_blocker.unblock():
        call_command("flush", verbosity=0, interactive=False)
