"""Facts about machine, code and command, and what is hidden of them."""

from __future__ import annotations

import os
import subprocess
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import scaledash
from scaledash.client.console import Console
from scaledash.client.facts import collect_host, mask_command
from scaledash.client.jsonable import mask_text

Start = Callable[..., scaledash.Run]


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        (["--api-key", "abc"], ["--api-key", "***"]),
        (["--hf_token=abc"], ["--hf_token=***"]),
        (["--token", "abc", "--lr", "1"], ["--token", "***", "--lr", "1"]),
        (["--tokens_per_step", "64"], ["--tokens_per_step", "64"]),
        (["--password", "--lr=1"], ["--password", "--lr=1"]),
        (["sd_12_abcDEF-x"], ["***"]),
        (["https://me:word@host/x"], ["https://***@host/x"]),
    ],
)
def test_secrets_of_the_command_line_are_masked(given: list[str], shown: list[str]) -> None:
    assert mask_command(given) == shown


def test_masking_takes_linear_time() -> None:
    assert mask_text("x" * 2_000_000) == "x" * 2_000_000  # quadratic, this would take hours


def test_commit_and_uncommitted_change_are_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    identity = {"NAME": "a", "EMAIL": "a@example.org"}
    environment = {
        f"GIT_{who}_{key}": value
        for key, value in identity.items()
        for who in ("AUTHOR", "COMMITTER")
    }
    (tmp_path / "train.py").write_text("lr = 1\n")
    for command in (["init", "-q"], ["add", "train.py"], ["commit", "-qm", "x"]):
        subprocess.run(["git", *command], check=True, env={**os.environ, **environment})
    (tmp_path / "train.py").write_text("lr = 2\n")
    facts = collect_host()
    assert len(str(facts["git_commit"])) == 40
    assert facts["git_dirty"] is True
    assert "+lr = 2" in str(facts["git_diff"])


def test_code_and_git_can_be_kept_back() -> None:
    facts = collect_host(with_git=False, with_code=False)
    assert not {"git_commit", "git_diff", "command"} & set(facts)
    assert facts["python"]


def test_warnings_come_once_per_cause(capsys: pytest.CaptureFixture[str]) -> None:
    console = Console()
    for _ in range(3):
        console.warn("cause", "look here")
    assert capsys.readouterr().err.count("look here") == 1
    assert console.causes == {"cause": 3}


def test_rows_of_many_threads_are_all_stored(
    start_offline: Start, sync: Callable[..., int], peer: Any
) -> None:
    run = start_offline()

    def work(number: int) -> None:
        for step in range(1_000):
            run.log({f"m{number}": float(step)}, step=step)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    run.finish()
    sync()
    expected = [(step, float(step)) for step in range(1_000)]
    assert all(peer.run.points[f"m{number}"] == expected for number in range(8))
