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


def test_two_hundred_projects_are_listed_and_those_beyond_are_counted(
    open_page: OpenPage, ada: User
) -> None:
    made = Project.objects.bulk_create(
        Project(slug=f"p{place:03}", name=f"Project {place:03}") for place in range(220)
    )
    Membership.objects.bulk_create(
        Membership(project=project, user=ada, role=Role.VIEWER) for project in made
    )
    page = open_page("/")
    expect(page.locator("[data-table=projects] tbody tr")).to_have_count(200)
    expect(page.locator("#projects .table-foot")).to_have_text("Showing 200 of 220 projects.")
