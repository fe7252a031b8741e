"""The first page: whose projects stand there, and how many."""

from __future__ import annotations

from collections.abc import Callable

from playwright.sync_api import Page, expect

from teams.models import Membership, Project, Role, User
from tests.browser.logger import Logger

OpenPage = Callable[..., Page]


def test_the_list_and_its_twin_name_no_project_of_others(
    open_page: OpenPage, project: Project
) -> None:
    Project.objects.create(slug="concealed", name="Concealed work")
    page = open_page("/")
    expect(page.locator("[data-table=projects] tbody tr")).to_have_count(1)
    twin = page.request.get("/projects.json")
    assert [item["slug"] for item in twin.json()["projects"]] == [project.slug]
    assert "oncealed" not in page.content() + twin.text()


def test_the_address_that_mlflow_prints_leads_to_the_run(
    open_page: OpenPage, logger: Logger
) -> None:
    uid = logger.start("from-mlflow").uid
    page = open_page(f"/#/experiments/1/runs/{uid}")
    expect(page.locator("h1")).to_have_text("from-mlflow")
    assert page.url.endswith(f"/p/tiny/r/{uid}")


def test_two_hundred_projects_are_counted_and_paged_by_fifty(
    open_page: OpenPage, ada: User
) -> None:
    made = Project.objects.bulk_create(
        Project(slug=f"p{place:03}", name=f"Project {place:03}") for place in range(200)
    )
    Membership.objects.bulk_create(
        Membership(project=project, user=ada, role=Role.VIEWER) for project in made
    )
    page = open_page("/")
    rows, foot = page.locator("[data-table=projects] tbody tr"), page.locator(".table-foot span")
    expect(rows).to_have_count(50)
    expect(foot).to_have_text("Page 1 of 4, 200 projects")
    page.click("[rel=next]")
    expect(rows.first).to_contain_text("Project 050")
    expect(foot).to_have_text("Page 2 of 4, 200 projects")
    page.wait_for_selector("[data-live-pill].live")
    Project.objects.filter(slug="p050").update(name="Renamed")
    expect(rows.first).to_contain_text("Renamed")
