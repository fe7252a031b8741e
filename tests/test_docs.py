"""The documentation tells the truth of today's code: what it names exists, what exists it names."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.core.management import call_command
from django.urls import URLPattern, URLResolver, get_resolver

from fitting.maths.registry import list_laws
from scaledash import __version__

ROOT = Path(__file__).resolve().parent.parent
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "demo").glob("*.md")])
FOLDERS = {path.name for path in ROOT.iterdir() if path.is_dir() and path.name[0] != "."}
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
CODE_SPAN = re.compile(r"`([^`\n]+)`")
PLACEHOLDER = re.compile(r"[<>*$\s{}|()…]|\.\.\.")
MADE_WHEN_RUN = {"static/vendor"}
MAX_PICTURE_BYTES = 7_000_000


def named(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_links_lead_somewhere(page: Path) -> None:
    targets = (target.partition("#")[0] for target in LINK.findall(page.read_text()))
    local = {target for target in targets if target and "://" not in target}
    assert sorted(t for t in local if not (page.parent / t).exists()) == []


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_named_paths_exist(page: Path) -> None:
    spans = CODE_SPAN.findall(page.read_text())
    paths = {span.partition("::")[0] for span in spans if not PLACEHOLDER.search(span)}
    ours = {path for path in paths if "/" in path and path.split("/")[0] in FOLDERS}
    assert sorted(p for p in ours - MADE_WHEN_RUN if not (ROOT / p).exists()) == []


def test_the_tests_that_hold_a_promise_exist() -> None:
    promised = re.findall(r"`(test_\w+)`", (ROOT / "docs" / "checks.md").read_text())
    texts = (path.read_text() for path in (ROOT / "tests").rglob("test_*.py"))
    defined = {name for text in texts for name in re.findall(r"^def (test_\w+)", text, re.M)}
    assert len(promised) > 40
    assert sorted(set(promised) - defined) == []


def list_api_paths(resolver: URLResolver, prefix: str = "") -> Iterator[str]:
    for entry in resolver.url_patterns:
        path = prefix + str(entry.pattern)
        if isinstance(entry, URLPattern):
            yield path
        else:
            yield from list_api_paths(entry, path)


def hide_names(path: str) -> str:
    return re.sub(r"<[^>]*>", "<>", path)


def test_every_endpoint_is_documented() -> None:
    spans = CODE_SPAN.findall((ROOT / "docs/api.md").read_text())
    documented = {hide_names(span) for span in spans}
    paths = (path for path in list_api_paths(get_resolver()) if path.startswith("api/v1/"))
    missing = {hide_names(path.removeprefix("api/v1/")) for path in paths} - documented
    assert sorted(missing) == []


def test_every_law_is_documented() -> None:
    headings = re.findall(r"^## (\w+)$", (ROOT / "docs/laws.md").read_text(), re.MULTILINE)
    assert sorted(list_laws()) == sorted(headings)


def test_readme_shows_the_shortest_example() -> None:
    example = (ROOT / "examples/ten_lines.py").read_text()
    code = example.partition('"""\n\n')[2]
    assert code
    assert code in (ROOT / "README.md").read_text()


def test_changelog_begins_with_this_version() -> None:
    headings = re.findall(r"^## (\S+)", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert headings[0] == __version__


def test_pictures_weigh_little() -> None:
    pictures = [path for path in (ROOT / "docs").rglob("*") if path.suffix in (".webp", ".png")]
    assert sum(path.stat().st_size for path in pictures) < MAX_PICTURE_BYTES


def test_decisions_are_short_and_numbered_once() -> None:
    records = sorted((ROOT / "docs/decisions").glob("*.md"))
    numbers = [record.name[:4] for record in records]
    assert len(set(numbers)) == len(numbers)
    assert [named(r) for r in records if len(r.read_text().splitlines()) > 40] == []


def test_openapi_document_is_valid(tmp_path: Path) -> None:
    document = tmp_path / "schema.yaml"
    call_command("spectacular", "--validate", "--fail-on-warn", "--file", str(document))
    assert "/api/v1/runs" in document.read_text()
