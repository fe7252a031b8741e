"""The wheel that a training job installs: the client alone, without a single dependency."""

from __future__ import annotations

import ast
import json
import math
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PUBLIC = ["scaledash/__init__.py", "scaledash/errors.py", "scaledash/tensorboard.py"]
FOLDERS = ("scaledash/callbacks", "scaledash/client")
FILES = [path for folder in FOLDERS for path in sorted((ROOT / folder).rglob("*.py"))]
CLIENT = [*(ROOT / name for name in PUBLIC), *FILES]
MAX_IMPORT_MICROSECONDS = 30_000
IMPORTS = 10
LIST_MODULES = (
    "import json, sys; import scaledash; run = scaledash.init('p', mode='offline');"
    "run.log({'x': 1.0}); run.finish();"
    "from scaledash.client import cli, process, api;"
    "print(json.dumps({name: getattr(module, '__file__', None) or ''"
    " for name, module in sys.modules.items()}))"
)


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the wheel from a copy, so that nothing is left in the checkout."""
    source = tmp_path_factory.mktemp("source")
    for name in ("pyproject.toml", "README.md", "LICENSE", "CHANGELOG.md"):
        shutil.copy(ROOT / name, source)
    shutil.copytree(ROOT / "scaledash", source / "scaledash")
    folder = tmp_path_factory.mktemp("wheel")
    code = f"from setuptools import build_meta; build_meta.build_wheel({str(folder)!r})"
    subprocess.run([sys.executable, "-c", code], cwd=source, check=True, capture_output=True)
    (path,) = folder.glob("scaledash-*.whl")
    return path


@pytest.fixture(scope="module")
def bare_python(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty virtual environment with the wheel unpacked into it, as an installer does."""
    folder = tmp_path_factory.mktemp("bare")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder)], check=True)
    (target,) = folder.glob("lib/python*/site-packages")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(target)
    return folder / "bin/python"


def run_bare(python: Path, folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    env = {
        "PATH": os.environ["PATH"],
        "HOME": str(folder),
        "SCALEDASH_SILENT": "1",
    }
    return subprocess.run(
        [str(python), *arguments], cwd=folder, env=env, capture_output=True, text=True, check=True
    )


def test_wheel_holds_the_client_alone(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = [name for name in archive.namelist() if ".dist-info/" not in name]
    strangers = [name for name in names if not name.startswith(FOLDERS)]
    assert sorted(strangers) == PUBLIC


def test_wheel_asks_for_nothing(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        (name,) = [name for name in archive.namelist() if name.endswith("METADATA")]
        metadata = archive.read(name).decode()
    wanted = [line for line in metadata.splitlines() if line.startswith("Requires-Dist")]
    assert [line for line in wanted if "; extra ==" not in line] == []
    assert "Requires-Python: >=3.10" in metadata
    assert "License-Expression: Apache-2.0" in metadata


def test_bare_environment_logs_with_the_standard_library_alone(
    bare_python: Path, tmp_path: Path
) -> None:
    modules = json.loads(run_bare(bare_python, tmp_path, "-c", LIST_MODULES).stdout)
    packages = [
        name
        for name, path in modules.items()
        if "site-packages" in path and name.partition(".")[0] != "scaledash"
    ]
    assert packages == []
    assert list(tmp_path.glob("scaledash-runs/*/*.seg"))


def test_import_is_cheap(bare_python: Path, tmp_path: Path) -> None:
    """The least of several: other work on the machine only ever adds."""
    times = []
    while len(times) < IMPORTS and min(times, default=math.inf) >= MAX_IMPORT_MICROSECONDS:
        found = run_bare(bare_python, tmp_path, "-X", "importtime", "-c", "import scaledash").stderr
        (line,) = [line for line in found.splitlines() if line.rpartition("|")[2] == " scaledash"]
        times.append(int(line.split("|")[1]))
    assert min(times) < MAX_IMPORT_MICROSECONDS


def test_command_is_installed(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        (name,) = [name for name in archive.namelist() if name.endswith("entry_points.txt")]
        assert "scaledash = scaledash.client.cli:main" in archive.read(name).decode()


@pytest.mark.parametrize("path", CLIENT, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_client_imports_the_standard_library_only(path: Path) -> None:
    """Frameworks may be imported inside functions, never with the module."""
    strangers = []
    pending: list[ast.AST] = [ast.parse(path.read_text())]
    while pending:
        node = pending.pop()
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            continue
        names = [item.name for item in node.names] if isinstance(node, ast.Import) else []
        if isinstance(node, ast.ImportFrom):
            names = [node.module or ""]
        strangers += [name for name in names if not is_allowed(name)]
        pending.extend(ast.iter_child_nodes(node))
    assert strangers == []


def is_allowed(module: str) -> bool:
    is_ours = module == "scaledash" or module.startswith(
        ("scaledash.client", "scaledash.callbacks")
    )
    return is_ours or module.partition(".")[0] in sys.stdlib_module_names
