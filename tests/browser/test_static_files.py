"""What is served: every script under its hash, small enough, no copy of a library in the tree."""

from __future__ import annotations

import gzip
import os
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
IMPORT = re.compile(r"""(?:\bfrom\s*|\bimport\s*\(?\s*)["']([^"']+)["']""")
HASHED = re.compile(r"\.[0-9a-f]{12}\.js$")
MODULE = re.compile(r"[\w-]+\.[0-9a-f]{12}\.js")
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


def test_own_scripts_and_styles_stay_light() -> None:
    files = [*(ROOT / "static/js").glob("*.js"), *(ROOT / "static/css").glob("*.css")]
    assert sum(len(gzip.compress(path.read_bytes())) for path in files) <= MAX_OWN_BYTES


def test_a_page_without_study_plots_stays_light() -> None:
    chart = ROOT / "node_modules/uplot/dist/uPlot.iife.min.js"
    files = [chart, *(ROOT / "static/js").glob("*.js"), *(ROOT / "static/css").glob("*.css")]
    total = sum(len(gzip.compress(path.read_bytes())) for path in files)
    assert total <= MAX_PLAIN_PAGE_BYTES
