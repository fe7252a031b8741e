"""The status page while a worker stops."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from playwright.sync_api import Page

from scaledash import programs
from teams.models import User
from tests.conftest import run_until_ready

OVERFLOW = "document.documentElement.scrollWidth - document.documentElement.clientWidth"


@pytest.fixture
def administrator(ada: User) -> User:
    ada.is_superuser = True
    ada.save(update_fields=["is_superuser"])
    return ada


@pytest.mark.usefixtures("administrator")
def test_a_worker_that_stops_is_named_without_a_reload(
    open_page: Callable[..., Page],
    live_sweeper: Path,
    process_environment: dict[str, str],
    tmp_path: Path,
) -> None:
    name = f"status-{os.getpid()}@localhost"
    command = replace(
        programs.worker(process_environment, tmp_path, name), stop_signal=signal.SIGQUIT
    )
    log = command.log_path
    with run_until_ready(command, lambda: log.exists() and " ready." in log.read_text()):
        page = open_page("/status")
        page.wait_for_selector("tr[data-key=workers]:has-text('1 worker answers')")
    page.wait_for_selector("[data-sentence]:has-text('No worker answers')")


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.usefixtures("administrator")
def test_the_page_fits_a_telephone(open_page: Callable[..., Page], theme: str) -> None:
    page = open_page("/status", theme, 360)
    page.wait_for_selector("[data-sentence]")
    assert page.evaluate(OVERFLOW) <= 0
