"""What the curves of a run must never hide: a spike of one step, an older branch, a zero."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Page, expect

from teams.models import Membership, Role, User
from tests.browser.logger import LoggedRun, Logger
from tests.runs.test_million import ODD, log_a_million

OpenPage = Callable[..., Page]
CHART = "figure[data-metric='train/loss']"


def test_a_rewind_takes_the_old_branch_from_the_curve_and_counts_it(
    open_page: OpenPage, logger: Logger
) -> None:
    run = logger.start("again")
    run.log(list(range(1, 101)), train_loss=[5.0] * 100)
    page = open_page("/p/tiny/r/again")
    page.wait_for_selector(f"{CHART}[data-state=ready][data-n='100']")
    body = {"id": str(uuid.uuid4()), "step": 41}
    logger.post("runs/again/rewind?project=tiny", body)
    page.wait_for_selector(f"{CHART}[data-n='40']")
    resumed = LoggedRun(logger, "again")
    resumed.log(list(range(41, 61)), train_loss=[4.0] * 20)
    page.wait_for_selector(f"{CHART}[data-n='60']")
    expect(page.locator(f"{CHART} .foot")).to_contain_text("60 superseded")
    page.reload()
    with page.expect_response(lambda answer: "old=1" in answer.url) as answered:
        page.click("text=show superseded")
    assert "old=1" in page.url
    now, before = answered.value.json()["charts"][0]["series"].values()
    assert now["superseded"] == 60
    assert [value for value in before["y"] if value is not None] == [5.0] * 60


@pytest.mark.slow
def test_a_spike_of_one_step_in_a_million_is_drawn(open_page: OpenPage, ada: User) -> None:
    api, path = log_a_million()
    Membership.objects.create(project=api.project, user=ada, role=Role.VIEWER)
    uid = dict(part.split("=") for part in urlsplit(path).query.split("&"))["runs"]
    page = open_page("/")
    with page.expect_response(lambda answer: "/curves.json" in answer.url) as answered:
        page.goto(f"/p/{api.project.slug}/r/{uid}")
    (series,) = answered.value.json()["charts"][0]["series"].values()
    assert max(value for value in series["y"] if value is not None) == max(
        value for value in ODD.values() if isinstance(value, float)
    )
    loss = "figure[data-metric=loss]"
    page.wait_for_selector(f"{loss}[data-state=ready][data-n='1000000']")
    badges = page.locator(f"{loss} .foot .badge").all_inner_texts()
    assert [text.split()[-1] for text in badges] == ["NaN", "Infinity"]
    top = page.evaluate(
        f"""() => {{
          const canvas = document.querySelector("{loss} canvas");
          const {{ width, height }} = canvas;
          const dots = canvas.getContext("2d").getImageData(0, 0, width, height / 2).data;
          return dots.filter((value, place) => place % 4 === 3 && value > 200).length;
        }}"""
    )
    assert top > height_of_a_spike(page, loss)


def height_of_a_spike(page: Page, chart: str) -> float:
    """Return how many dots a line through the upper half of a chart has at least."""
    return page.locator(f"{chart} canvas").bounding_box()["height"] / 4
