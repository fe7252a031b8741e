"""Every page there is, by the name of its route, in a project with something to show on each."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from urllib.parse import urlsplit

from django.urls import reverse
from django.utils import timezone
from playwright.sync_api import Page

from tests.browser.logger import Logger, log_sweep
from tests.fitting.factories import settle

RUN, OTHER = "n10000-lr0p01-on", "n10000-lr0p01-off"
SETTLED = "() => !document.querySelector('main figure[data-seen=true][data-state=loading]')"
TABS = ("isoflop", "parametric", "frontier", "compare", "instab", "forecasts", "runs")
OF_ALL = (
    *("projects", "views", "alerts", "tokens", "login", "forgot", "password"),
    *("devices", "people", "server-audit", "status", "law-docs"),
)
OF_PROJECT = (
    *("runs", "explore", "studies", "study-new", "activity"),
    *("project-settings", "diagnosis-rules", "hooks", "audit", "trash"),
)
STATES = (
    "/p/tiny/runs?f=lr+%3E+10",
    "/p/tiny/runs?f=lr+%3E%3E+1",
    "/p/tiny/runs?by=config.qk_norm",
    *(f"/p/tiny/s/lr-sweep?tab={tab}" for tab in TABS),
    "/p/empty/runs",
    "/p/empty/studies",
    "/nothing-here",
    "/s/nothing-here/",
)


def log_everything(logger: Logger) -> dict[str, str]:
    """Fill the project; return the address of each page by its route, states by themselves."""
    from teams.models import Membership, Role, User
    from teams.services import create_project

    ada = User.objects.get(username="ada")
    User.objects.filter(pk=ada.pk).update(is_superuser=True, is_staff=True)
    log_sweep(logger)
    settle(limit=500)
    project = create_project(ada, "empty", "Nothing yet")
    assert project.pk
    reader = User.objects.create_user("vi")
    Membership.objects.create(project=ada.projects.get(slug="tiny"), user=reader, role=Role.VIEWER)
    return {
        **{name: reverse(name) for name in OF_ALL},
        "quickstart": reverse("quickstart"),
        **{name: reverse(name, args=["tiny"]) for name in OF_PROJECT},
        "compare": f"/p/tiny/compare?sel={RUN},{OTHER}",
        "run": reverse("run", args=["tiny", RUN]),
        "study": reverse("study", args=["tiny", "lr-sweep"]),
        "study-edit": reverse("study-edit", args=["tiny", "lr-sweep"]),
        "share-new": "/p/tiny/shares/new?kind=study&id=lr-sweep",
        "member-remove": reverse("member-remove", args=["tiny", "vi"]),
        **make_links(logger, ada),
        **{path: path for path in STATES},
    }


def make_links(logger: Logger, ada: object) -> dict[str, str]:
    """Return the pages of what has a key of its own: links, tokens, comments."""
    from teams.accounts import create_reset_link
    from teams.invitations import create_invitation
    from teams.models import ApiToken, Comment, Project, Role, User

    project = Project.objects.get(slug="tiny")
    shared = logger.post("projects/tiny/shares", {"kind": "study", "id": "lr-sweep"})
    remark = {"kind": "study", "id": "lr-sweep", "body": "A *remark*, see `loss`."}
    logger.post("projects/tiny/comments", remark)
    in_a_week = timezone.now() + timedelta(days=7)
    secret = create_invitation(project, ada, Role.VIEWER, in_a_week)[1]
    return {
        "share": urlsplit(str(shared["url"])).path,
        "comment-edit": reverse("comment-edit", args=["tiny", Comment.objects.get().pk]),
        "token-revoke": reverse("token-revoke", args=[ApiToken.objects.first().key]),
        "invitation": reverse("invitation", args=[secret]),
        "reset": reverse("reset", args=[create_reset_link(User.objects.get(username="vi"))]),
    }


def walk(page: Page, paths: dict[str, str]) -> Iterator[str]:
    """Open one page after the other, each at rest, and give its name."""
    for name, path in paths.items():
        page.goto(path)
        page.wait_for_selector("html[data-ready]")
        page.wait_for_function(SETTLED)
        yield name
