"""Photograph every page of the running ScaleDash, light and dark, wide and narrow.

`python scripts/screenshots.py [folder]`, while `make up` runs; the default folder is
docs/screenshots. SCALEDASH_HOME names another installation than the checkout's own.
"""

from __future__ import annotations

import json
import os
import shlex
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from playwright.sync_api import Browser, Page, sync_playwright
from run_tests import find_chromium

ROOT = Path(__file__).resolve().parent.parent
ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
THEMES = ("light", "dark")
WIDTHS = (1440, 390)
HEIGHT = 900
SETTLED = "() => !document.querySelector('main figure[data-state=loading]')"
SCROLL = """async () => {
  for (let top = 0; top < document.body.scrollHeight; top += innerHeight / 2) {
    scrollTo(0, top);
    await new Promise(requestAnimationFrame);
  }
  scrollTo(0, 0);
}"""


def main(arguments: Sequence[str]) -> int:
    """Take all pictures; gives the exit status."""
    folder = Path(arguments[0]) if arguments else ROOT / "docs" / "screenshots"
    folder.mkdir(parents=True, exist_ok=True)
    url = enter_installation()
    if url is None:
        print("No ScaleDash runs here; start it with `make up DETACH=1`.", file=sys.stderr)
        return 1
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=find_chromium(), args=ARGUMENTS)
        session = sign_in(browser, url)
        for theme in THEMES:
            for width in WIDTHS:
                take_all(browser, url, session, folder, theme=theme, width=width)
        browser.close()
    return 0


def enter_installation() -> str | None:
    """Take on the environment of the running installation; gives its URL."""
    home = Path(os.environ.get("SCALEDASH_HOME", ROOT / ".scaledash"))
    description = home / "local.json"
    if not description.exists():
        return None
    for line in (home / "environment").read_text().splitlines():
        name, _, value = line.removeprefix("export ").partition("=")
        os.environ[name] = "".join(shlex.split(value))
    return json.loads(description.read_text())["url"].rstrip("/")


def sign_in(browser: Browser, url: str) -> object:
    """Sign in as the first administrator; gives the session's cookies."""
    sys.path.insert(0, str(ROOT))
    os.environ["DJANGO_SETTINGS_MODULE"] = "scaledash.settings"
    os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "true"  # playwright keeps an event loop here
    import django

    django.setup()
    from teams.models import User
    from teams.services import create_login_link

    user = User.objects.filter(is_active=True).order_by("pk").first()
    context = browser.new_context()
    page = context.new_page()
    page.goto(f"{url}/login/once/{create_login_link(user)}")
    state = context.storage_state()
    context.close()
    return state


def take_all(
    browser: Browser, url: str, session: object, folder: Path, *, theme: str, width: int
) -> None:
    """Photograph all pages in one theme and width."""
    size = {"width": width, "height": HEIGHT}
    context = browser.new_context(
        viewport=size, color_scheme=theme, storage_state=session, base_url=url
    )
    page = context.new_page()
    for name, path in list_pages(page):
        page.goto(path)
        page.wait_for_selector("html[data-ready]")
        page.evaluate(SCROLL)
        page.wait_for_function(SETTLED)
        target = folder / f"{name}-{theme}-{width}.png"
        page.screenshot(path=target, full_page=True)
        print(target.relative_to(ROOT) if target.is_relative_to(ROOT) else target)
    context.close()


def list_pages(page: Page) -> Iterator[tuple[str, str]]:
    """Name the pages of the first project that has a study, and those beside it."""
    projects = page.request.get("/projects.json").json()["projects"]
    yield "projects", "/"
    yield "tokens", "/settings/tokens"
    yield "quickstart", "/docs/quickstart"
    yield "status", "/status"
    yield "not-found", "/nothing-here"
    for project in sorted(projects, key=lambda item: -len(item["studies"]))[:1]:
        here = f"/p/{project['slug']}"
        yield "runs", f"{here}/runs"
        yield "curves", f"{here}/explore"
        yield "studies", f"{here}/studies"
        yield "study-new", f"{here}/studies/new"
        yield "settings", f"{here}/settings"
        for study in project["studies"]:
            yield f"study-{study['slug']}", f"{here}/s/{study['slug']}"
            yield f"study-{study['slug']}-runs", f"{here}/s/{study['slug']}?tab=runs"
        for run in page.request.get(f"{here}/runs.json").json()["runs"][:1]:
            yield "run", f"{here}/r/{run['uid']}"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
