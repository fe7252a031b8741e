"""The shape of the house, enforced: sizes, names, imports, where SQL and JSON may live."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
CODE = ("scaledash", "teams", "runs", "fitting", "demo", "benchmarks", "scripts", "examples")
MAX_FILE_LINES = 400
MAX_FUNCTION_LINES = 60
MAX_PARAMETERS = 6
MAX_NESTING = 3
MAX_TEMPLATE_LINES = 200
MAX_ASSET_LINES = 250
BANNER = re.compile(r"^\s*# ?[-=#*~]{3,}", re.MULTILINE)
BANNED_NAMES = {"utils.py", "helpers.py", "common.py", "misc.py"}
BANNED_CALLS = {"eval", "exec"}
BANNED_MODULES = {"pickle", "shelve", "marshal"}
SQL_VERBS = ("SELECT ", "INSERT ", "UPDATE ", "DELETE ", "WITH ", "TRUNCATE ", "LOCK ")
SQL_FILES = {"store.py", "outbox.py"}

# path -> why it may differ
SIZE_EXEMPT: dict[str, str] = {}
PARAMETER_EXEMPT: dict[str, str] = {
    "scaledash/client/run.py::init": "the documented signature, as scripts written for W&B call it",
    "scaledash/tensorboard.py::__init__": "the signature of TensorBoard's own writer",
}
SQL_EXEMPT: dict[str, str] = {}


def python_files(*folders: str) -> list[Path]:
    """Return the Python files of these folders, migrations aside."""
    found = (path for folder in folders for path in (ROOT / folder).rglob("*.py"))
    return sorted(path for path in found if "migrations" not in path.parts)


def named(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def functions_of(tree: ast.AST) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    return (
        node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    )


def nesting_of(node: ast.AST) -> int:
    """Return the deepest nesting of control flow below a node; elif stays on its level."""
    blocks = (ast.If, ast.For, ast.While, ast.With, ast.Try, ast.AsyncFor, ast.AsyncWith)
    deepest = 0
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef | ast.Lambda):
            continue
        is_elif = isinstance(node, ast.If) and isinstance(child, ast.If) and child in node.orelse
        own = 1 if isinstance(child, blocks) and not is_elif else 0
        deepest = max(deepest, own + nesting_of(child))
    return deepest


def parameters_of(node: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    arguments = node.args
    names = [item.arg for item in arguments.posonlyargs + arguments.args + arguments.kwonlyargs]
    return len([name for name in names if name not in {"self", "cls"}])


PYTHON = python_files(*CODE)
ASSETS = sorted([*(ROOT / "static").rglob("*.js"), *(ROOT / "static").rglob("*.css")])
TEMPLATES = sorted((ROOT / "templates").rglob("*.html"))


@pytest.mark.parametrize("path", [*PYTHON, *python_files("tests")], ids=named)
def test_python_file_stays_small(path: Path) -> None:
    lines = len(path.read_text().splitlines())
    assert lines <= MAX_FILE_LINES or named(path) in SIZE_EXEMPT


@pytest.mark.parametrize("path", PYTHON, ids=named)
def test_functions_stay_small_flat_and_narrow(path: Path) -> None:
    problems = []
    for node in functions_of(ast.parse(path.read_text())):
        where = f"{named(path)}::{node.name}"
        lines = (node.end_lineno or node.lineno) - node.lineno + 1
        if lines > MAX_FUNCTION_LINES and where not in SIZE_EXEMPT:
            problems.append(f"{where} has {lines} lines")
        if parameters_of(node) > MAX_PARAMETERS and where not in PARAMETER_EXEMPT:
            problems.append(f"{where} has {parameters_of(node)} parameters")
        if nesting_of(node) > MAX_NESTING:
            problems.append(f"{where} nests {nesting_of(node)} deep")
    assert problems == []


@pytest.mark.parametrize("path", TEMPLATES, ids=named)
def test_template_stays_small(path: Path) -> None:
    assert len(path.read_text().splitlines()) <= MAX_TEMPLATE_LINES


@pytest.mark.parametrize("path", ASSETS, ids=named)
def test_asset_stays_small(path: Path) -> None:
    assert len(path.read_text().splitlines()) <= MAX_ASSET_LINES


@pytest.mark.parametrize("path", [*PYTHON, *python_files("tests")], ids=named)
def test_no_banner_divides_a_file(path: Path) -> None:
    assert BANNER.search(path.read_text(encoding="utf-8")) is None, "make two files of it"


def test_no_drawer_for_odds_and_ends() -> None:
    assert [named(path) for path in PYTHON if path.name in BANNED_NAMES] == []


def test_public_module_is_short() -> None:
    assert len((ROOT / "scaledash/__init__.py").read_text().splitlines()) <= 60


@pytest.mark.parametrize("app", ["teams", "runs", "fitting"])
def test_every_app_has_the_same_rooms(app: str) -> None:
    rooms = ("models.py", "queries.py", "services.py", "views.py", "urls.py", "api/urls.py")
    assert [room for room in rooms if not (ROOT / app / room).is_file()] == []


def test_tasks_are_thin() -> None:
    fat = [
        f"{named(path)}::{node.name}"
        for path in PYTHON
        if path.name == "tasks.py"
        for node in functions_of(ast.parse(path.read_text()))
        if (node.end_lineno or node.lineno) - node.lineno + 1 > 15
    ]
    assert fat == []


def test_sql_text_lives_in_the_store_and_the_outbox_only() -> None:
    found = []
    for path in python_files("scaledash", "teams", "runs", "fitting"):
        if path.name in SQL_FILES or named(path) in SQL_EXEMPT:
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            text = node.value if isinstance(node, ast.Constant) else None
            if isinstance(text, str) and text.lstrip().startswith(SQL_VERBS):
                found.append(f"{named(path)}:{node.lineno}")
    assert found == []


def test_no_code_is_made_from_text() -> None:
    found = []
    for path in PYTHON:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") in BANNED_CALLS:
                found.append(f"{named(path)}:{node.lineno}")
            if isinstance(node, ast.Import):
                found += [named(path) for item in node.names if item.name in BANNED_MODULES]
    assert found == []


def test_import_contracts_hold() -> None:
    command = [str(Path(sys.executable).parent / "lint-imports"), "--no-cache"]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout + result.stderr


def test_web_process_loads_neither_scipy_nor_pandas() -> None:
    code = (
        "import sys; from scaledash.wsgi import application; from django.urls import get_resolver;"
        "get_resolver().url_patterns;"
        "print(sorted({'scipy', 'pandas', 'plotly', 'pyarrow'} & set(sys.modules)))"
    )
    env = {**os.environ, "DJANGO_SETTINGS_MODULE": "scaledash.settings"}
    env.setdefault("SCALEDASH_SECRET_KEY", "test" * 20)
    result = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, env=env, check=False
    )
    assert result.stdout.strip() == "[]", result.stderr


def test_migrations_are_complete() -> None:
    env = {**os.environ, "SCALEDASH_SECRET_KEY": "test" * 20}
    command = [sys.executable, "manage.py", "makemigrations", "--check", "--dry-run"]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, env=env, check=False)
    assert result.returncode == 0, result.stdout + result.stderr
