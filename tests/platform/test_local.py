"""The files by which one machine finds its own ScaleDash."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from scaledash import local
from scaledash.processes import StartError


@pytest.fixture
def pointer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    return tmp_path / "config" / "scaledash" / "local"


def test_a_home_is_held_once(tmp_path: Path) -> None:
    with (
        local.hold_home(tmp_path),
        pytest.raises(StartError, match=f"already runs for .* \\(process {os.getpid()}\\)"),
        local.hold_home(tmp_path),
    ):
        pass


def test_a_held_home_names_its_holder(tmp_path: Path) -> None:
    with local.hold_home(tmp_path):
        assert local.find_holder(tmp_path) == os.getpid()
    assert local.find_holder(tmp_path) is None


def test_a_holder_that_was_killed_lets_go(tmp_path: Path) -> None:
    code = (
        "import os, signal, pathlib, sys; from scaledash import local\n"
        "with local.hold_home(pathlib.Path(sys.argv[1])): os.kill(os.getpid(), signal.SIGKILL)"
    )
    subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=False)

    assert (tmp_path / local.LOCK_NAME).read_text() != ""
    assert local.find_holder(tmp_path) is None


def test_the_secret_key_is_private_long_and_made_once(tmp_path: Path) -> None:
    first = local.read_secret_key(tmp_path)

    assert local.read_secret_key(tmp_path) == first
    assert len(first) >= 50
    assert stat.S_IMODE((tmp_path / "secret.key").stat().st_mode) == 0o600


def test_local_json_is_private_and_says_where_and_how(tmp_path: Path, pointer: Path) -> None:
    with local.announce(tmp_path, "http://127.0.0.1:8000", "sd_a_b"):
        path = tmp_path / "local.json"
        said = json.loads(path.read_text())
        mode = stat.S_IMODE(path.stat().st_mode)
    assert said == {"url": "http://127.0.0.1:8000", "token": "sd_a_b", "pid": os.getpid()}
    assert mode == 0o600


def test_the_pointer_names_the_newest_and_goes_with_it(tmp_path: Path, pointer: Path) -> None:
    with local.announce(tmp_path, "http://127.0.0.1:8000", "sd_a_b"):
        assert pointer.read_text() == str(tmp_path / "local.json")
    assert not pointer.exists()


def test_the_pointer_of_another_home_stays(tmp_path: Path, pointer: Path) -> None:
    with local.announce(tmp_path, "http://127.0.0.1:8000", "sd_a_b"):
        pointer.write_text("/elsewhere/local.json")
    assert pointer.read_text() == "/elsewhere/local.json"


def test_the_environment_file_survives_a_shell(tmp_path: Path) -> None:
    local.write_environment(tmp_path, {"SCALEDASH_SECRET_KEY": "a'b $c"})

    done = subprocess.run(
        ["/bin/sh", "-c", f'. {tmp_path}/environment; printf %s "$SCALEDASH_SECRET_KEY"'],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == "a'b $c"
