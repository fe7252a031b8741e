"""Share links in two browsers: the owner makes and revokes, a stranger only reads."""

from __future__ import annotations

import struct
from collections.abc import Callable

import pytest
from playwright.sync_api import Browser, Page

from tests.browser.logger import Logger, log_sweep
from tests.browser.watch import Watch

PNG_OF_SHARE = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + struct.pack(">II", 1200, 630)


@pytest.mark.parametrize("mode", ["live", "frozen"])
@pytest.mark.parametrize("path", ["/p/tiny/s/lr-sweep", "/p/tiny/r/walk"])
def test_t05_owner_shares_and_revokes_stranger_reads_and_then_does_not(
    open_page: Callable[..., Page], browser: Browser, logger: Logger, mode: str, path: str
) -> None:
    log_sweep(logger)
    run = logger.start("walk")
    run.log(list(range(50)), train_loss=[5 / (step + 1) ** 0.3 for step in range(50)])
    owner = open_page(path)
    owner.click("text=Share")
    owner.wait_for_selector("#share-title")
    owner.select_option("[name=mode]", mode)
    owner.click("text=Make link")
    address = owner.inner_text("#share-address")
    owner.wait_for_selector("[data-preview][data-state=kept]", state="attached")
    watch = Watch(logger.base_url)
    context = browser.new_context(viewport={"width": 1440, "height": 900})
    stranger = context.new_page()
    watch.follow(stranger)
    stranger.goto(address)
    ready = "figure[data-plot='lr_loss']" if "/s/" in path else "figure[data-metric='train/loss']"
    stranger.wait_for_selector(f"[data-share={mode}]")
    stranger.wait_for_selector(f"{ready}:not([data-state=loading])")
    picture = stranger.get_attribute("meta[property='og:image']", "content")
    assert context.request.get(picture).body().startswith(PNG_OF_SHARE)
    token = address.rsplit("/s/", 1)[1]
    inward = [
        r.url for r in watch.requests if f"/s/{token}" not in r.url and "/static/" not in r.url
    ]
    assert inward == []
    run.log([50, 51], train_loss=[1.2, 1.1])
    if "/r/" in path:
        points = {"live": 52, "frozen": 50}[mode]
        stranger.wait_for_selector(f"{ready}[data-n='{points}']")
    owner.goto("/p/tiny/settings#shares")
    owner.click("table[data-table=shares] button")
    owner.wait_for_selector("text=is revoked")
    assert stranger.goto(address).status == 404
    context.close()
    assert watch.complaints == []
