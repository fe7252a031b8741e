"""The bell and its list, webhooks and their log, and the versions of a fit, in a browser."""

from __future__ import annotations

from collections.abc import Callable

from playwright.sync_api import Page, expect

from fitting.alerts.deliveries import deliver
from fitting.models import Webhook
from tests.browser.logger import LRS, Logger, log_cell, log_sweep
from tests.fitting.factories import settle

OpenPage = Callable[..., Page]
LOOK_AGAIN = "document.dispatchEvent(new Event('visibilitychange'))"  # as a tab that comes back
UNREAD = ".alert-row.is-unread"


def fail_run(logger: Logger, uid: str) -> None:
    run = logger.start(uid, name=f"run {uid}")
    run.log([1, 2], train_loss=[3.0, 2.0])
    run.finish("failed")


def test_the_bell_rings_leads_to_the_evidence_and_is_muted(
    open_page: OpenPage, logger: Logger
) -> None:
    page = open_page("/p/tiny/runs")
    count = page.locator("[data-bell-count]")
    expect(count).to_be_hidden()
    for uid in ("a", "b", "c"):
        fail_run(logger, uid)
    page.evaluate(LOOK_AGAIN)
    expect(count).to_have_text("3")
    page.click("[data-bell]")
    expect(page.locator(UNREAD)).to_have_count(3)
    page.click("[data-alert] button[aria-label='Mute run run c']")
    expect(page.locator("[data-table=mutes] th[scope=row]")).to_have_text("run c")
    expect(count).to_have_text("2")
    page.locator(UNREAD).filter(has_text="run b").locator("text=Mark as read").click()
    expect(count).to_have_text("1")
    page.locator(UNREAD).locator("[data-evidence]").click()
    page.wait_for_url("**/p/tiny/r/a*")
    page.goto("/alerts")
    expect(page.locator("[data-alert]")).to_have_count(3)
    expect(page.locator(UNREAD)).to_have_count(0)
    page.click("button[aria-label='Hear of run c again']")
    expect(page.locator(UNREAD)).to_have_count(1)
    page.click("text=Mark all as read")
    expect(page.locator("[data-bell-count]")).to_be_hidden()


def test_a_webhook_is_added_tested_and_removed(open_page: OpenPage, logger: Logger) -> None:
    page = open_page("/p/tiny/settings/webhooks")
    page.fill("[name=name]", "our chat")
    page.fill("[name=url]", "https://127.0.0.1/hook")
    page.click("text=Add webhook")
    expect(page.locator(".field-error")).to_contain_text("not a public address")
    assert page.input_value("[name=name]") == "our chat"
    assert page.input_value("[name=url]") == "https://127.0.0.1/hook"
    page.fill("[name=url]", "https://localhost/hook/very-secret")
    page.click("text=Add webhook")
    secret = page.inner_text("#hook-secret")
    assert "very-secret" not in page.content()
    page.click("text=Send test")
    expect(page.locator("[data-table=deliveries] tbody tr")).to_have_attribute(
        "data-state", "pending"
    )
    assert secret not in page.content()
    deliver(Webhook.objects.get().pk)
    row = page.locator("[data-table=deliveries] tbody tr[data-state=failed]")
    expect(row).to_contain_text("127.0.0.1, which is not a public address")
    remove = page.locator("summary[aria-label='Remove our chat']")
    remove.click()
    page.click("text=Yes, remove")
    expect(page.locator("#hooks h2 >> nth=1")).to_have_text("No webhook yet")


def test_the_history_leads_to_an_earlier_version_and_back(
    open_page: OpenPage, logger: Logger
) -> None:
    log_sweep(logger)
    settle()
    for lr in LRS:
        log_cell(logger, 640_000, lr, True, "lr-sweep")
    settle()
    page = open_page("/p/tiny/s/lr-sweep?tab=history")
    table = page.locator("[data-table=history-lr_sweep]")
    oldest = table.locator("tbody tr").last
    newest = table.locator("tbody tr").first
    versions = [row.get_attribute("data-key") for row in (oldest, newest)]
    assert versions[0] != versions[1]
    expect(newest).to_contain_text("35")
    oldest.locator("a").click()
    expect(page.locator("#pinned")).to_contain_text(f"Version {versions[0]} of {versions[1]}")
    page.wait_for_selector("#figure-lr_loss[data-state=ready][data-drawn='30']")
    page.click("#pinned >> text=Show the current one")
    page.wait_for_selector("#figure-lr_loss[data-state=ready][data-drawn='35']")
    expect(page.locator("#pinned")).to_have_count(0)
