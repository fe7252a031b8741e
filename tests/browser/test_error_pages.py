"""Errors in the browser: pages of the product, with what to do and never a trace."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
from django.db import connection, transaction
from playwright.sync_api import Page, Response, expect

from teams.models import Project

OpenPage = Callable[..., Page]
OVERFLOW = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
FORGET_CSRF = """() => {
  for (const field of document.querySelectorAll("[name=csrfmiddlewaretoken]")) field.remove();
}"""
TABLE = "runs_savedview"  # what /views reads


def execute(statement: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(statement)


@contextmanager
def broken_table() -> Iterator[None]:
    """Let a page of the running server meet what nobody has thought of."""
    execute(f"ALTER TABLE {TABLE} RENAME TO away")
    try:
        yield
    finally:
        execute(f"ALTER TABLE away RENAME TO {TABLE}")


@contextmanager
def locked_table() -> Iterator[None]:
    """Let a page wait for the database until it gives up."""
    with transaction.atomic():
        execute(f"LOCK TABLE {TABLE} IN ACCESS EXCLUSIVE MODE")
        yield


def check_page(page: Page, answer: Response | None, status: int, title: str) -> None:
    """Compare with what every error page is."""
    page.wait_for_selector("html[data-ready]")
    assert answer is not None
    assert answer.status == status
    expect(page.locator("h1")).to_have_text(title)
    expect(page.locator(".site-head .brand")).to_be_visible()
    assert len(page.inner_text("#request-id")) == 32
    assert "Traceback" not in page.content()
    assert page.evaluate(OVERFLOW) <= 0


@pytest.mark.parametrize(("theme", "width"), [("light", 1440), ("dark", 360)])
def test_each_error_is_a_page_of_the_product_with_a_request_id(
    open_page: OpenPage, project: Project, theme: str, width: int
) -> None:
    page = open_page("/settings/tokens", theme, width)
    page.fill("[name=name]", "cluster")
    page.evaluate(FORGET_CSRF)
    with page.expect_navigation() as sent:
        page.click("text=Create token")
    check_page(page, sent.value, 403, "Not allowed")
    expect(page.locator("main")).to_contain_text("reload the page and send it again")
    with broken_table():
        check_page(page, page.goto("/views"), 500, "Something broke on the server")
    with locked_table():
        answer = page.goto("/views")
    check_page(page, answer, 503, "Temporarily unavailable")
    expect(page.locator("main")).to_contain_text("try again in 2 seconds")
    assert answer is not None
    assert answer.header_value("Retry-After") == "2"
    page.click("a:has-text('Try again')")
    expect(page.locator("h1")).to_have_text("Saved views")


def test_absent_and_forbidden_projects_are_the_same_page(open_page: OpenPage) -> None:
    Project.objects.create(slug="hidden", name="Not hers")
    page, texts = open_page("/"), []
    for path in ("/p/hidden/runs", "/p/absent/runs"):
        check_page(page, page.goto(path), 404, "Not found")
        texts.append(page.inner_text("main").replace(page.inner_text("#request-id"), ""))
    assert texts[0] == texts[1]
