"""Photograph every page of the running ScaleDash, light and dark, wide and narrow.

`make screenshots`, while `make up` runs with the demo: WebP pictures in docs/screenshots, and the
two of the README in docs/images. `python scripts/screenshots.py <folder> [words]` writes to another
folder, and with words only pages whose name holds one of them. SCALEDASH_HOME names another
installation than the checkout's own.
"""

from __future__ import annotations

import base64
import json
import os
import shlex
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path

from playwright.sync_api import Browser, Page, sync_playwright
from run_tests import find_chromium

ROOT = Path(__file__).resolve().parent.parent
ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
THEMES = ("light", "dark")
WIDTHS = (1440, 390)
EXTREME_WIDTHS = (2560, 360)  # for the pages that have most to lay out, in one theme
EXTREME_PAGES = ("projects", "runs", "run", "curves", "study-lr-sweep-lr", "settings")
HEIGHT = 900
PATIENCE_MS = 120_000  # of a machine that is busy with other things
MOST_HEIGHT = 1400  # a table of a hundred runs says nothing more below
QUALITY = 22
SHRINK = 0.64  # of wide pictures: all of them together stay below 7 MB
IMAGES = (  # name, page, height
    ("study-light", "study-lr-sweep-lr", 1080),
    ("frontier-light", "study-compute-optimal-isoflop", 905),
)
IMAGE_QUALITY = 88
READY = "html[data-ready], .swagger-ui .info"  # ours, or that of drf-spectacular
# Every figure is there and has the height that its neighbours leave it.
SETTLED = """() => !document.querySelector('main figure[data-state=loading]') &&
  [...document.querySelectorAll('.js-plotly-plot')].every((plot) =>
    Math.abs(plot.clientHeight - plot.querySelector('.main-svg').clientHeight) < 3)"""
# A page that asks for its revision is never idle on a busy machine; what is drawn is painted.
PAINTED = "() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))"
SCROLL = """async () => {
  for (let top = 0; top < document.body.scrollHeight; top += innerHeight / 2) {
    scrollTo(0, top);
    await new Promise(requestAnimationFrame);
  }
  scrollTo(0, 0);
}"""


@dataclass
class Visit:
    """What every picture needs: the browser, where the server is, who looks, what to show."""

    browser: Browser
    url: str
    session: object
    pages: list[tuple[str, str]] = field(default_factory=list)

    @contextmanager
    def open(self, theme: str, width: int) -> Iterator[Page]:
        """Open a window of the signed-in reader."""
        context = self.browser.new_context(
            viewport={"width": width, "height": HEIGHT},
            color_scheme=theme,
            storage_state=self.session,
            base_url=self.url,
        )
        context.set_default_timeout(PATIENCE_MS)
        yield context.new_page()
        context.close()


def main(arguments: Sequence[str]) -> int:
    """Take all pictures; gives the exit status."""
    folder = Path(arguments[0]) if arguments else ROOT / "docs" / "screenshots"
    url = enter_installation()
    if url is None:
        print("No ScaleDash runs here; start it with `make up DETACH=1`.", file=sys.stderr)
        return 1
    folder.mkdir(parents=True, exist_ok=True)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=find_chromium(), args=ARGUMENTS)
        visit = Visit(browser, url, sign_in(browser, url))
        with make_links() as links, visit.open("light", WIDTHS[0]) as page:
            found = [*list_pages(page), *links]
            wanted = arguments[1:] or [""]
            visit.pages = [item for item in found if any(word in item[0] for word in wanted)]
            take_all(visit, folder)
        if not arguments:
            take_images(visit, ROOT / "docs" / "images")
        browser.close()
    size_bytes = sum(path.stat().st_size for path in folder.glob("*.webp"))
    print(f"{len(list(folder.glob('*.webp')))} pictures, {size_bytes / 1e6:.1f} MB in {folder}")
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


def list_pages(page: Page) -> Iterator[tuple[str, str]]:
    """Name the pages of the first project that has a study, and those beside it."""
    projects = page.request.get("/projects.json").json()["projects"]
    yield "projects", "/"
    yield "views", "/views"
    yield "alerts", "/alerts"
    yield "tokens", "/settings/tokens"
    yield "password", "/settings/password"
    yield "devices", "/settings/devices"
    yield "people", "/settings/people"
    yield "quickstart", "/docs/quickstart"
    yield "api", "/api/docs"
    yield "status", "/status"
    yield "audit-server", "/settings/audit"
    yield "not-found", "/nothing-here"
    for project in sorted(projects, key=lambda item: -len(item["studies"]))[:1]:
        here = f"/p/{project['slug']}"
        runs = page.request.get(f"{here}/runs.json").json()["runs"]
        yield from list_project_pages(here, [run["uid"] for run in runs])
        for study in project["studies"]:
            yield from list_study_pages(page, f"{here}/s/{study['slug']}", study["slug"])


def list_project_pages(here: str, uids: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Name the pages of a project."""
    yield "runs", f"{here}/runs"
    yield "runs-grouped", f"{here}/runs?by=group,config.qk_norm"
    yield "runs-none", f"{here}/runs?f=lr+%3E+10"
    yield "runs-mistake", f"{here}/runs?f=lr+%3E%3E+1"
    yield "curves", f"{here}/explore"
    yield "curves-grouped", f"{here}/explore?f=group+%3D+A1&m=loss.val&dash=qk_norm&ys=log"
    yield "studies", f"{here}/studies"
    yield "study-new", f"{here}/studies/new"
    yield "activity", f"{here}/activity"
    yield "settings", f"{here}/settings"
    yield "diagnostics", f"{here}/settings/diagnostics"
    yield "webhooks", f"{here}/settings/webhooks"
    yield "audit", f"{here}/settings/audit"
    yield "trash", f"{here}/trash"
    for uid in uids[:1]:
        yield "run", f"{here}/r/{uid}"
        yield "share-new", f"{here}/shares/new?kind=run&id={uid}"
    if len(uids) > 1:
        yield "compare", f"{here}/compare?sel={','.join(uids[:2])}"
        yield "compare-none", f"{here}/compare"


def list_study_pages(page: Page, here: str, slug: str) -> Iterator[tuple[str, str]]:
    """Name the tabs of a study and its form."""
    page.goto(here)
    for tab in page.locator("[data-tab]").all():
        name = tab.get_attribute("data-tab")
        yield f"study-{slug}-{name}", f"{here}?tab={name}"
    yield f"study-{slug}-edit", f"{here}/edit"


@contextmanager
def make_links() -> Iterator[list[tuple[str, str]]]:
    """Share the first study for as long as its pictures are taken; give the pages of links."""
    from fitting.models import Study
    from teams.sharing import ShareWish, Subject, create_share, revoke_share

    found = [("link-gone", "/s/nothing-here/")]
    study = Study.objects.filter(deleted_at=None).order_by("pk").first()
    shares = []
    for name, password in (("shared-study", ""), ("link-locked", "correct-horse")) if study else ():
        subject = Subject({"study": study.pk}, study.name)
        wish = ShareWish("study", subject, with_notes=True, password=password)
        share, token = create_share(study.project, study.created_by, wish)
        shares.append(share)
        found.append((name, f"/s/{token}/"))
    try:
        yield found
    finally:
        for share in shares:
            revoke_share(share)


def take_all(visit: Visit, folder: Path) -> None:
    """Photograph all pages in both themes and widths, and some at the extreme widths."""
    for theme, width in product(THEMES, WIDTHS):
        with visit.open(theme, width) as page:
            for name, path in visit.pages:
                take(page, path, folder / f"{name}-{theme}-{width}.webp")
        sign_out(visit, folder, theme, width)
    for width in EXTREME_WIDTHS:
        with visit.open(THEMES[0], width) as page:
            for name, path in [item for item in visit.pages if item[0] in EXTREME_PAGES]:
                take(page, path, folder / f"{name}-{THEMES[0]}-{width}.webp")


def sign_out(visit: Visit, folder: Path, theme: str, width: int) -> None:
    """Photograph the page that somebody sees who has not signed in."""
    stranger = Visit(visit.browser, visit.url, None)
    with stranger.open(theme, width) as page:
        take(page, "/login", folder / f"login-{theme}-{width}.webp")


def take_images(visit: Visit, folder: Path) -> None:
    """Photograph what the README and the documentation show."""
    addresses = dict(visit.pages)
    with visit.open(THEMES[0], WIDTHS[0]) as page:
        for name, source, height in IMAGES:
            if source in addresses:
                show(page, addresses[source])
                save(page, folder / f"{name}.webp", (WIDTHS[0], height), IMAGE_QUALITY)


def take(page: Page, path: str, target: Path) -> None:
    """Photograph one page as it has come to rest, from its top."""
    show(page, path)
    height = page.evaluate("document.documentElement.scrollHeight")
    width = page.viewport_size["width"]
    scale = SHRINK if width > WIDTHS[1] else 1
    save(page, target, (width, min(height, MOST_HEIGHT)), QUALITY, scale)
    print(target.name, flush=True)


def show(page: Page, path: str) -> None:
    """Open a page and wait until everything on it is drawn."""
    page.goto(path)
    page.wait_for_selector(READY)
    page.evaluate(SCROLL)
    page.wait_for_function(SETTLED)
    page.evaluate(PAINTED)


def save(page: Page, target: Path, size: tuple[int, int], quality: int, scale: float = 1) -> None:
    """Write what is on the screen, and below it, as WebP: a third of a PNG."""
    clip = {"x": 0, "y": 0, "width": size[0], "height": size[1], "scale": scale}
    browser = page.context.new_cdp_session(page)
    options = {"format": "webp", "quality": quality, "captureBeyondViewport": True, "clip": clip}
    picture = browser.send("Page.captureScreenshot", options)["data"]
    target.write_bytes(base64.b64decode(picture))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
