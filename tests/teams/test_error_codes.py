"""Every error code that the server can answer with stands in docs/api.md."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from teams.api.answers import CODES

ROOT = Path(__file__).resolve().parents[2]
RAISED = {"ApiError", "unprocessable", "Refused"}
CODE = re.compile(r"[a-z_]+")
NOT_OF_THE_API = {"not_loopback", "own_account"}  # of the terminal, of a page


def codes_in(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text())):
        name = getattr(getattr(node, "func", None), "id", "")
        if name not in RAISED:
            continue
        texts = (str(a.value) for a in node.args[:2] if isinstance(a, ast.Constant))
        yield from filter(CODE.fullmatch, texts)


def test_every_code_is_documented() -> None:
    found = {
        code
        for app in ("teams", "runs", "fitting", "scaledash")
        for path in (ROOT / app).rglob("*.py")
        for code in codes_in(path)
    }
    documented = set(re.findall(r"`([a-z_]+)`", (ROOT / "docs" / "api.md").read_text()))
    assert len(found) > 20
    assert sorted((found | set(CODES.values())) - documented - NOT_OF_THE_API) == []
