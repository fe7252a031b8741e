"""Fixtures that start a whole ScaleDash and leave nothing of it."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.platform.installation import Installation
from tests.ports import find_free_port
from tests.scratch import make_scratch_folder


@pytest.fixture
def folder() -> Iterator[Path]:
    """A short folder that every user can enter."""
    made = make_scratch_folder()
    made.chmod(0o755)
    yield made
    shutil.rmtree(made, ignore_errors=True)


@pytest.fixture
def installation(folder: Path) -> Iterator[Installation]:
    """An installation that is stopped after the test."""
    made = Installation(folder / "home", find_free_port())
    yield made
    made.down()


@pytest.fixture
def running(installation: Installation) -> Installation:
    """An installation that is up."""
    installation.up()
    return installation
