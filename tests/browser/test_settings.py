"""Tokens, members, thresholds and saved views, as their owners and others see them."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from urllib.error import HTTPError
from urllib.parse import urlsplit

import pytest
from django.utils import timezone
from playwright.sync_api import Page, expect

from runs.saved_views import ViewWish, save_view
from teams.models import Membership, Project, Role, Scope, User
from teams.services import create_token
from tests.browser.logger import Logger
from tests.fitting.factories import settle

OpenPage = Callable[..., Page]
LOGITS = "limits-attention_logits"
COMMENTING: dict[str, list[str]] = {}


def test_a_secret_is_on_one_page_once_and_dead_when_revoked(
    open_page: OpenPage, logger: Logger
) -> None:
    page = open_page("/settings/tokens")
    page.fill("[name=name]", "cluster")
    page.click("text=Create token")
    secret = page.inner_text("#new-token")
    page.reload()
    assert secret not in page.content()
    assert secret not in page.request.get("/settings/tokens.json").text()
    job = Logger(logger.base_url, secret, logger.project)
    run = job.start("first")
    run.log([1], train_loss=[2.0])
    page.click("[aria-label='Revoke cluster']")
    page.click("main button[type=submit]")
    expect(page.locator("tr[data-state=revoked] th")).to_have_text("cluster")
    with pytest.raises(HTTPError, match="401"):
        run.log([2], train_loss=[1.9])


def test_an_expired_token_is_greyed_with_its_date(open_page: OpenPage, ada: User) -> None:
    ended = timezone.now() - timedelta(days=2)
    create_token(ada, "old", Scope.WRITE, expires_at=ended)
    page = open_page("/settings/tokens")
    row = page.locator("tr[data-state=expired]")
    expect(row).to_have_class("muted")
    expect(row).to_contain_text(f"{ended:%Y-%m-%d}")


def test_the_last_admin_stays_with_a_sentence(open_page: OpenPage, project: Project) -> None:
    page = open_page("/p/tiny/settings")
    page.select_option("[aria-label='Role of ada']", "viewer")
    page.click("button:has-text('Change')")
    expect(page.locator("main [role=alert]")).to_contain_text("admin")
    assert project.memberships.get(role=Role.ADMIN).user.username == "ada"


def test_a_viewer_finds_nothing_to_change(open_page: OpenPage, logger: Logger) -> None:
    run = logger.start("one", study="sweep")
    run.log([1], train_loss=[2.0])
    project = Project.objects.get(slug="tiny")
    save_view(project, User.objects.get(), Role.ADMIN, ViewWish("runs", "Hers", "s=loss", True))
    other = User.objects.create_user("vi")
    Membership.objects.filter(project=project).update(user=other)
    Membership.objects.create(project=project, user=User.objects.get(username="ada"), role="viewer")
    page = open_page("/p/tiny/runs")
    changing = (
        "main form[method=post] button[type=submit]:visible",
        "main a[href*='/shares/new']",
        "main a[href$='/edit']",
    )
    pages = ("runs", "r/one", "s/sweep", "s/sweep?tab=runs", "studies", "activity", "explore")
    for path in (*pages, "settings/diagnostics"):
        page.goto(f"/p/tiny/{path}")
        page.wait_for_selector("html[data-ready]")
        assert page.locator("a[href='/p/tiny/settings']").count() == 0, path
        assert page.locator(", ".join(changing)).all_inner_texts() == COMMENTING.get(path, []), path
    forms = ("studies/new", "s/sweep/edit", "shares/new?kind=study&id=sweep")
    for path in ("settings", "settings.json", *forms):
        assert page.goto(f"/p/tiny/{path}").status == 404, path


def test_a_changed_threshold_judges_the_run_of_an_open_page_anew(
    open_page: OpenPage, logger: Logger
) -> None:
    steps = list(range(10, 1001, 10))
    run = logger.start("hot", config={"total_steps": 1000})
    logits = {"attn.max_logit.L0": [60.0 if step > 500 else 5.0 for step in steps]}
    run.log(steps, **logits)
    run.finish()
    settle()
    verdict = ".verdict:has-text('Attention-logit growth')"
    page = open_page("/p/tiny/r/hot")
    expect(page.locator(f"{verdict} .pill.watch")).to_have_count(0)
    rules = page.context.new_page()
    rules.goto("/p/tiny/settings/diagnostics")
    rules.click(f"#{LOGITS} > summary")
    rules.fill(f"#{LOGITS} [name=value-watch]", "50")
    rules.click(f"#{LOGITS} button:has-text('Save')")
    expect(rules.locator(f"#{LOGITS} [data-own]")).to_contain_text("set by ada")
    expect(rules.locator(".message")).to_be_in_viewport()  # though the page jumps below it
    settle()
    expect(page.locator(f"{verdict} .pill.watch")).to_be_visible()
    expect(page.locator(verdict)).to_contain_text("510")


def test_a_view_opens_the_address_it_was_saved_from_and_leaves_the_page_alone(
    open_page: OpenPage, logger: Logger
) -> None:
    logger.start("one", config={"lr": 0.1}).log([1], train_loss=[2.0])
    saved_from = "/p/tiny/runs?f=config.lr%20%3E%200.01&s=-loss&cols=name%2Closs"
    page = open_page(saved_from)
    page.click("[data-views=runs] > summary")
    page.fill("[data-views=runs] [name=name]", "Fast ones")
    page.click("text=Save view")
    page.wait_for_load_state()
    page.goto("/views")
    page.click("text=Fast ones")
    page.wait_for_selector("html[data-ready]")
    here = urlsplit(page.url)
    assert f"{here.path}?{here.query}" == saved_from
    page.goto("/views")
    page.click("summary:has-text('Change')")
    page.fill("[aria-label='New name of Fast ones']", "Slow ones")
    page.click("button:has-text('Rename')")
    expect(page.locator("[data-table=views] tbody th")).to_have_text("Slow ones")
    page.click("summary:has-text('Change')")
    page.click("button:has-text('Delete')")
    expect(page.locator(".undo")).to_contain_text("“Slow ones” is deleted.")
    page.goto(saved_from)
    expect(page.locator("[data-table=runs] tbody tr")).to_have_count(1)


def test_a_viewer_cannot_change_the_view_of_a_teammate(
    open_page: OpenPage, project: Project
) -> None:
    other = User.objects.create_user("grace")
    Membership.objects.filter(project=project).update(role=Role.VIEWER)
    Membership.objects.create(project=project, user=other, role=Role.ADMIN)
    save_view(project, other, Role.ADMIN, ViewWish("runs", "Grace's", "s=loss", True))
    page = open_page("/views")
    expect(page.locator("[data-table=views] tbody th")).to_have_text("Grace's")
    expect(page.locator(".view-actions")).to_have_count(0)
