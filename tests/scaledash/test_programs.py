"""How the server's own programs are started."""

from __future__ import annotations

from pathlib import Path

from scaledash import programs


def test_web_gives_back_the_memory_of_large_answers(tmp_path: Path) -> None:
    command = programs.web({}, tmp_path, "127.0.0.1", 8000)
    assert command.env["MALLOC_ARENA_MAX"] == "1"
    mine = programs.web({"MALLOC_ARENA_MAX": "4"}, tmp_path, "127.0.0.1", 8000)
    assert mine.env["MALLOC_ARENA_MAX"] == "4"


def test_the_image_says_the_same() -> None:
    dockerfile = (programs.BASE_DIR / "Dockerfile").read_text()
    assert all(f"{key}={value}" in dockerfile for key, value in programs.LEAN.items())
