"""Charts of curves as files for paper, and what a change of theme leaves as it is."""

from __future__ import annotations

import math
import re
import struct
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Page

from tests.browser.logger import Logger

CHART = "figure[data-metric='train/loss']"
READY = f"{CHART}[data-state=ready]"
PIXELS = f'document.querySelector("{CHART} canvas").toDataURL()'


@pytest.fixture
def two_runs(logger: Logger) -> None:
    """Two level curves; one of them has logged a NaN."""
    for uid, height in {"low": 1.0, "high": 3.0}.items():
        values = [height] * 50
        values[20] = math.nan if uid == "low" else height
        run = logger.start(uid, name=uid, config={"lr": height})
        run.log(list(range(50)), train_loss=values)
        run.finish()


def save(page: Page, kind: str, folder: Path) -> bytes:
    page.click(f"{CHART} summary[title=Export]")
    with page.expect_download() as download:
        page.click(f"{CHART} [data-export-curves={kind}]")
    path = folder / kind
    download.value.save_as(path)
    return path.read_bytes()


@pytest.mark.usefixtures("two_runs")
def test_files_are_light_and_show_what_the_screen_shows(
    open_page: Callable[..., Page], tmp_path: Path
) -> None:
    page = open_page("/p/tiny/explore?m=train/loss&sm=0.5", "dark")
    page.wait_for_selector(READY)
    picture = save(page, "svg", tmp_path).decode()
    assert '<rect width="100%" height="100%" fill="#ffffff"/>' in picture
    # Raw behind smooth; what diverged lies under the others, and paler.
    assert re.findall(r'stroke-opacity="([^"]+)"', picture) == ["0.07", "0.2", "0.35", "1"]
    assert picture.count('stroke="#b42318"') == 1  # the cross of the NaN
    for text in (">low<", ">high<", ">step<", ">train/loss<"):
        assert text in picture
    width, height = struct.unpack(">II", save(page, "png", tmp_path)[16:24])
    assert (width, height) == (2400, 1260)


@pytest.mark.usefixtures("two_runs")
def test_a_file_has_the_areas_of_averages(open_page: Callable[..., Page], tmp_path: Path) -> None:
    page = open_page("/p/tiny/explore?m=train/loss&agg=mean&area=minmax&color=-")
    page.wait_for_selector(READY)
    assert save(page, "svg", tmp_path).count(b'fill-opacity="0.16"') == 1


@pytest.mark.usefixtures("two_runs")
def test_a_theme_repaints_the_same_chart(open_page: Callable[..., Page]) -> None:
    page = open_page("/p/tiny/explore?m=train/loss")
    page.wait_for_selector(READY)
    page.evaluate(f'window.canvas = document.querySelector("{CHART} canvas")')
    light = page.evaluate(PIXELS)
    page.click("[data-theme-switch]")
    page.wait_for_function(f"light => {PIXELS} !== light", arg=light)
    assert page.evaluate(f'window.canvas === document.querySelector("{CHART} canvas")')
    page.click("[data-theme-switch]")
    page.wait_for_function(f"light => {PIXELS} === light", arg=light)
