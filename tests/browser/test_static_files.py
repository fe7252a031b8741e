"""What is served: every script under its hash, small enough, no copy of a library in the tree."""

from __future__ import annotations

import gzip
import os
import re
from collections.abc import Iterable
from pathlib import Path
from urllib.request import urlopen

import pytest

ROOT = Path(__file__).resolve().parents[2]
IMPORT = re.compile(r"""(?:\bfrom\s*|\bimport\s*\(?\s*)["']([^"']+)["']""")
HASHED = re.compile(r"\.[0-9a-f]{12}\.js$")
MODULE = re.compile(r"[\w-]+\.[0-9a-f]{12}\.js")
STATIC_IMPORT = re.compile(r"""(?:^import|^\}) (?:[^"']*from )?["']\./([\w-]+\.js)["']""", re.M)
STYLESHEET = re.compile(r"css/([\w-]+\.css)")
LATE_IMPORT = re.compile(r"""import\(["']\./([\w-]+\.js)["']\)""")
MAX_OWN_BYTES = 50_000
MAX_PLAIN_PAGE_BYTES = 80_000


@pytest.fixture
def collected(live_web: str) -> Path:
    """The folder of collected static files, as the web process serves them."""
    return Path(os.environ["SCALEDASH_STATIC_ROOT"])


def test_every_module_imports_hashed_files(collected: Path) -> None:
    modules = [path for path in (collected / "js").iterdir() if MODULE.fullmatch(path.name)]
    plain = [
        f"{path.name}: {target}"
        for path in modules
        for target in IMPORT.findall(path.read_text())
        if not HASHED.search(target)
    ]
    assert modules
    assert plain == []


def test_t22_files_carry_the_headers_too_and_are_kept(live_web: str, collected: Path) -> None:
    name = next(
        path.name for path in (collected / "css").glob("*.css") if path.name.count(".") == 2
    )
    with urlopen(f"{live_web}/static/css/{name}", timeout=60) as answer:
        headers = answer.headers
    assert "immutable" in headers["Cache-Control"]
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["X-Frame-Options"] == "DENY"
    assert headers["Cross-Origin-Opener-Policy"] == "same-origin"
    assert "default-src 'self'" in headers["Content-Security-Policy"]
    assert headers["Access-Control-Allow-Origin"] is None


def read_sizes(names: Iterable[str]) -> int:
    return sum(len(gzip.compress((ROOT / "static/js" / name).read_bytes())) for name in names)


def list_modules(name: str) -> set[str]:
    """A module and all that it imports at once; what it fetches later is not among them."""
    found, waiting = set(), [name]
    while waiting:
        module = waiting.pop()
        if module not in found:
            found.add(module)
            text = (ROOT / "static/js" / module).read_text()
            waiting += STATIC_IMPORT.findall(text)
    return found


def list_late_modules() -> list[str]:
    """What pages fetch only when they need it, without the study figures."""
    text = (ROOT / "static/js/page.js").read_text()
    return sorted(set(LATE_IMPORT.findall(text)) - {"figure.js"})


def measure_own(late: str) -> int:
    """Bytes of our own that a page with one late module loads, gzipped."""
    linked = (ROOT / "templates/partials/styles.html").read_text()
    styles = [ROOT / "static/css" / name for name in STYLESHEET.findall(linked)]
    scripts = list_modules("page.js") | list_modules(late)
    return sum(len(gzip.compress(path.read_bytes())) for path in styles) + read_sizes(scripts)


@pytest.mark.parametrize("late", list_late_modules())
def test_a_page_without_study_plots_stays_light(late: str) -> None:
    chart = ROOT / "node_modules/uplot/dist/uPlot.iife.min.js"
    assert measure_own(late) + len(gzip.compress(chart.read_bytes())) <= MAX_PLAIN_PAGE_BYTES


@pytest.mark.parametrize("late", sorted(set(list_late_modules()) - {"explore.js"}))
def test_own_scripts_and_styles_of_a_page_stay_light(late: str) -> None:
    """The explorer is the one page with more of our own; with its charts it keeps the total."""
    assert measure_own(late) <= MAX_OWN_BYTES
