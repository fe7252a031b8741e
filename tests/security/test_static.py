"""What must not stand in the source at all, whoever adds it: read from the syntax tree."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.conf import settings

ROOT = Path(__file__).resolve().parent.parent.parent
ROOMS = ("scaledash", "teams", "runs", "fitting")
SERVER = [
    path
    for room in ROOMS
    for path in sorted((ROOT / room).rglob("*.py"))
    if "client" not in path.parts and "migrations" not in path.parts
]
TREES = {path.relative_to(ROOT).as_posix(): ast.parse(path.read_text()) for path in SERVER}
# path -> why it opens a connection
OUTBOUND = {
    "fitting/alerts/sending.py": "sends alerts to webhooks, to public addresses only",
    "scaledash/launch.py": "asks its own web process whether it is ready",
    "scaledash/management/commands/demo.py": "logs the demo runs to this server",
    "scaledash/embedded/redis_server.py": "asks its own Redis by a unix socket",
    "scaledash/local.py": "names this machine",
    "scaledash/processes.py": "looks for a free port",
    "scaledash/supervisor.py": "looks at its own processes",
}
CLIENTS = {"socket", "http.client", "urllib.request", "requests", "httpx", "aiohttp", "smtplib"}


def calls() -> Iterator[tuple[str, ast.Call]]:
    for name, tree in TREES.items():
        for node in ast.walk(tree):
            if isinstance(node, ast.Call):
                yield f"{name}:{node.lineno}", node


def dotted(node: ast.expr) -> str:
    return ast.unparse(node) if isinstance(node, ast.Name | ast.Attribute) else ""


def imports_of(tree: ast.AST) -> set[str]:
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {item.name for item in node.names}
        if isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module, *(f"{node.module}.{item.name}" for item in node.names)}
    return found


def test_t32_no_text_becomes_code() -> None:
    banned = {"eval", "exec", "compile", "__import__", "pandas.eval", "pd.eval"}
    found = [where for where, call in calls() if dotted(call.func) in banned]
    frames = [
        where
        for where, call in calls()
        if isinstance(call.func, ast.Attribute)
        and call.func.attr in {"eval", "query"}
        and any(isinstance(item, ast.Constant | ast.JoinedStr) for item in call.args)
    ]
    assert found + frames == []


def test_t27_nothing_unpickles_or_unpacks_what_users_send() -> None:
    banned = {"pickle", "cPickle", "dill", "shelve", "marshal", "joblib", "tarfile", "zipfile"}
    found = {name: imports_of(tree) & banned for name, tree in TREES.items()}
    assert {name: names for name, names in found.items() if names} == {}
    allowing = [
        where
        for where, call in calls()
        for word in call.keywords
        if word.arg == "allow_pickle" and getattr(word.value, "value", True) is not False
    ]
    loading = [
        where
        for where, call in calls()
        if dotted(call.func) in {"np.load", "numpy.load"}
        and "allow_pickle" not in {word.arg for word in call.keywords}
    ]
    assert allowing + loading == []


def test_t27_the_server_takes_no_files() -> None:
    found = [
        name
        for name, tree in TREES.items()
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and node.attr in {"FILES", "FileField", "ImageField"}
    ]
    assert found == []


def test_t28_only_named_modules_open_connections() -> None:
    found = {name for name, tree in TREES.items() if imports_of(tree) & CLIENTS}
    assert found - set(OUTBOUND) == set()


def test_t33_no_pattern_of_a_user_reaches_python() -> None:
    takers = {"compile", "match", "search", "fullmatch", "findall", "finditer", "sub", "split"}
    found = []
    for where, call in calls():
        name = dotted(call.func)
        if name.removeprefix("re.") not in takers or not name.startswith("re."):
            continue
        if not isinstance(call.args[0], ast.Constant) and not is_joined_constant(call.args[0]):
            found.append(where)
    assert found == []


def is_joined_constant(node: ast.expr) -> bool:
    """Say whether this is a literal put together of literals and of names in capitals."""
    if isinstance(node, ast.JoinedStr):
        parts = [part.value for part in node.values if isinstance(part, ast.FormattedValue)]
        return all(isinstance(part, ast.Name) and part.id.isupper() for part in parts)
    return isinstance(node, ast.Name) and node.id.isupper()


def test_t29_messages_and_cache_hold_no_objects() -> None:
    assert settings.CELERY_ACCEPT_CONTENT == ["json"]
    assert settings.CELERY_TASK_SERIALIZER == "json"
    backends = {cache["BACKEND"] for cache in settings.CACHES.values()}
    assert backends == {"django.core.cache.backends.locmem.LocMemCache"}
    assert settings.SESSION_SERIALIZER.endswith("JSONSerializer")


def test_t35_front_end_packages_come_with_their_hashes() -> None:
    locked = json.loads((ROOT / "package-lock.json").read_text())["packages"]
    packages = {name: entry for name, entry in locked.items() if name}
    assert packages
    assert all(entry["integrity"].startswith("sha512-") for entry in packages.values())


def test_t35_install_scripts_are_off() -> None:
    installs = [
        line
        for name in ("scripts/bootstrap.py", "Dockerfile")
        for line in (ROOT / name).read_text().splitlines()
        if re.search(r"npm\b.*\bci\b", line)
    ]
    assert installs
    assert all("--ignore-scripts" in line for line in installs)


def test_t35_only_two_package_folders_are_served() -> None:
    sources = [
        entry[1] if isinstance(entry, tuple) else entry for entry in settings.STATICFILES_DIRS
    ]
    assert settings.NODE_MODULES not in sources
    inside = [path for path in sources if settings.NODE_MODULES in Path(path).parents]
    assert len(inside) == 2


@pytest.mark.parametrize("folder", ["templates", "static"])
def test_t35_no_page_loads_from_another_host(folder: str) -> None:
    loads = re.compile(
        r"""(?:src|href|action)=["']https?://|@import|url\(["']?https?://|from ["']http"""
    )
    files = [p for p in (ROOT / folder).rglob("*") if p.suffix in {".html", ".js", ".css", ".svg"}]
    assert len(files) > 10
    assert [p.name for p in files if loads.search(p.read_text())] == []


def test_t35_every_direct_requirement_is_pinned() -> None:
    lines = (ROOT / "requirements.txt").read_text().splitlines()
    wanted = [line for line in lines if line[:1] not in ("#", "-", "")]
    assert [line for line in wanted if not re.match(r"[A-Za-z0-9_.-]+==[0-9.]+\s", line)] == []
