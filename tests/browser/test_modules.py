"""The pure modules of the browser, run in the browser, against the server's own numbers."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from playwright.sync_api import Page

from fitting.palette import CATEGORIES, ROLES, color_size

pytestmark = pytest.mark.usefixtures("live_web")
SHADES = [place / 49 for place in range(50)]
CALL = """async ([path, name, calls]) => {
  const module = await import(path);
  return calls.map((values) => module[name](...values));
}"""


@pytest.fixture
def call(open_page: Callable[..., Page]) -> Callable[..., list[object]]:
    """Call a function of a module once for each list of arguments."""
    page = open_page("/")

    def evaluate(module: str, name: str, calls: list[list[object]]) -> list[object]:
        return page.evaluate(CALL, [f"/static/js/{module}.js", name, calls])

    return evaluate


def test_size_scale_is_the_one_of_the_server(call: Callable[..., list[object]]) -> None:
    drawn = call("palette", "sizeColour", [[u, False] for u in SHADES])
    assert drawn == [color_size(u) for u in SHADES]


def test_categories_and_roles_are_those_of_the_server(call: Callable[..., list[object]]) -> None:
    drawn = call("palette", "categoryColour", [[place, False] for place in range(6)])
    assert drawn == list(CATEGORIES)
    assert call("palette", "roleColour", [[role, False] for role in ROLES]) == list(ROLES.values())


def test_tokens_of_the_stylesheet_are_those_of_the_palette(
    open_page: Callable[..., Page],
) -> None:
    page = open_page("/")
    read = """async () => {
      const { readTokens } = await import("/static/js/theme.js");
      const { roleColour } = await import("/static/js/palette.js");
      const roles = ["ink", "ink2", "ink3", "line", "grid", "panel", "accent", "ok", "warn", "bad"];
      const dark = document.documentElement.dataset.themeShown === "dark";
      const probe = document.createElement("span");
      const plain = (colour) => { probe.style.color = colour; return probe.style.color; };
      return [readTokens(...roles), roles.map((role) => plain(roleColour(role, dark)))];
    }"""
    light = page.evaluate(read)
    page.click("[data-theme-switch]")
    dark = page.evaluate(read)
    assert light[0] == light[1]
    assert dark[0] == dark[1]
    assert light[0] != dark[0]


STATES: list[dict[str, object]] = [
    {},
    {"tab": "runs"},
    {"m": ["train/loss", "odd, name", "back\\slash"], "xs": "log"},
    {"f": 'lr >= 1e-3 and name ~ "qk"', "sel": ["12", "15"], "s": "-loss"},
    {"by": ["config.a,b", "lr"], "open": ["0123456789ab"], "s": "lr", "arch": "1"},
    {"xr": ["2.5", "5"], "cols": ["name", "lr"], "q": "a&b=c#d %é"},
]


def test_state_survives_the_address(call: Callable[..., list[object]]) -> None:
    addresses = call("state", "format", [[state] for state in STATES])
    assert call("state", "parse", [[address] for address in addresses]) == STATES


def test_state_ignores_keys_it_does_not_know(call: Callable[..., list[object]]) -> None:
    assert call("state", "parse", [["?evil=1&tab=lr&__proto__=x"]]) == [{"tab": "lr"}]


def test_m4_buckets_become_five_slots_with_breaks(call: Callable[..., list[object]]) -> None:
    payload = {"method": "m4", "lo": 0, "hi": 20, "buckets": 2, "x_scale": "lin"}
    series = {"y": [1, 1, 4, 2, None, None, None, None], "breaks": [1], "marks": [[1, "NaN", 3, 2]]}
    [xs] = call("payload", "buildX", [[payload]])
    [marks] = call("payload", "buildMarks", [[payload, series]])
    [ys] = call("payload", "buildY", [[payload, series]])
    assert xs == [1, 3, 5, 7, 9, 11, 13, 15, 17, 19]
    assert ys[:4] == [1, 1, 4, 2]
    assert ys[9] is None
    assert marks == [{"x": 15, "kind": "NaN", "count": 3, "y": 2}]


@pytest.mark.parametrize(
    ("low", "high", "ticks"),
    [
        (1e-7, 1e-2, [1e-7, 1e-6, 1e-5, 1e-4, 1e-3, 1e-2]),
        (1.9, 6.1, [2, 3, 4, 5]),
        (0.3, 7.0, [0.5, 1, 2, 5]),
    ],
)
def test_log_axis_ticks_are_round(
    call: Callable[..., list[object]], low: float, high: float, ticks: list[float]
) -> None:
    assert call("ticks", "logSplits", [[low, high]]) == [ticks]


@pytest.mark.parametrize(
    ("values", "is_log", "texts"),
    [
        ([100, 1_000, 10_000], True, ["10²", "10³", "10⁴"]),
        ([1, 10, 100, 1_000], True, ["1", "10", "100", "1,000"]),
        ([500, 1_000, 5_000, 10_000], True, ["500", "1k", "5k", "10k"]),
        ([0, 5_000, 10_000], False, ["0", "5k", "10k"]),
        ([5e-5, 1e-4, 2e-4], True, ["5·10⁻⁵", "10⁻⁴", "2·10⁻⁴"]),
        ([0, 0.0005, 0.001], False, ["0", "0.0005", "0.001"]),
        ([5e14, 1e15], False, ["5·10¹⁴", "10¹⁵"]),
    ],
)
def test_the_ticks_of_one_axis_are_written_one_way(
    call: Callable[..., list[object]], values: list[float], is_log: bool, texts: list[str]
) -> None:
    assert call("ticks", "formatTicks", [[values, is_log]]) == [texts]


def test_csv_cells_cannot_become_formulas(call: Callable[..., list[object]]) -> None:
    figure = {
        "title": "t",
        "table": {"columns": ["name", "loss"], "rows": [["=1+1", -2.5], ["a,b", "NaN"]]},
    }
    [text] = call("export", "buildCsv", [[figure]])
    assert text.splitlines()[-2:] == ["'=1+1,-2.5", '"a,b",NaN']
