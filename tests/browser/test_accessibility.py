"""axe-core over every page in both themes: nothing serious, nothing critical.

It takes minutes, so it runs with `make test-slow`; names and overflow are in test_pages.py.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Page

from tests.browser.every_page import log_everything, walk
from tests.browser.logger import Logger

AXE = Path(__file__).resolve().parents[2] / "node_modules/axe-core/axe.min.js"
GRAVE = """async () => (await axe.run(document, { resultTypes: ["violations"] })).violations
  .filter(({ impact }) => ["serious", "critical"].includes(impact))
  .map(({ id, nodes }) => `${id}: ${nodes.map(({ target }) => target.join(" ")).join(", ")}`)"""


@pytest.mark.slow
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_axe_finds_nothing_serious_on_any_page(
    open_page: Callable[..., Page], logger: Logger, theme: str
) -> None:
    paths = log_everything(logger)
    page = open_page("/", theme)
    found = {}
    for path in walk(page, paths):
        page.evaluate(AXE.read_text())
        found[path] = page.evaluate(GRAVE)
    assert {path: grave for path, grave in found.items() if grave} == {}
