"""Log lines: one JSON object each, without secrets."""

from __future__ import annotations

import io
import json
import logging

import pytest

from scaledash.lib.logs import JsonLines, MaskSecrets, mask_secrets

SECRET = "k" * 43
TOKEN = f"sd_0123456789abcdef_{SECRET}"


@pytest.fixture
def written() -> tuple[logging.Logger, io.StringIO]:
    """A logger with the server's filter and format, and what it wrote."""
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.addFilter(MaskSecrets())
    handler.setFormatter(JsonLines())
    logger = logging.Logger("test")
    logger.addHandler(handler)
    return logger, stream


@pytest.mark.parametrize(
    "text",
    [
        f"Authorization: Bearer {TOKEN}",
        f"GET /s/{SECRET}/figures/lr.json 200",
        f"GET /login/once/{SECRET} 302",
        f"GET /api/v1/ping?token={SECRET}&x=1",
        f'"/api/v1/runs?a=1&token={SECRET}"',
        f"connecting to postgresql://scaledash:{SECRET}@db.example/scaledash",
        f"redis://:{SECRET}@cache.example:6379/0",
    ],
)
def test_t26_secret_is_masked(text: str) -> None:
    masked = mask_secrets(text)
    assert SECRET not in masked
    assert "[secret]" in masked


@pytest.mark.parametrize(
    "text",
    [
        "study /p/demo/s/lr-sweep",
        "step sd_1",
        "at 12:30 postgresql:///scaledash?host=/run/x",
        "a@b",
    ],
)
def test_ordinary_text_stays(text: str) -> None:
    assert mask_secrets(text) == text


def test_t26_secret_in_arguments_is_masked(written: tuple[logging.Logger, io.StringIO]) -> None:
    logger, stream = written
    logger.error("token %s", TOKEN)
    assert SECRET not in stream.getvalue()


def test_t26_secret_in_a_trace_is_masked(written: tuple[logging.Logger, io.StringIO]) -> None:
    logger, stream = written
    try:
        raise ValueError(TOKEN)
    except ValueError:
        logger.exception("failed")
    assert SECRET not in stream.getvalue()
    assert "ValueError" in json.loads(stream.getvalue())["trace"]


def test_t26_newline_cannot_forge_a_line(written: tuple[logging.Logger, io.StringIO]) -> None:
    logger, stream = written
    logger.warning('name\n{"level": "INFO"}\u2028end')
    assert len(stream.getvalue().splitlines()) == 1
    assert json.loads(stream.getvalue())["message"].startswith("name\n")


def test_lone_surrogate_is_written(written: tuple[logging.Logger, io.StringIO]) -> None:
    logger, stream = written
    logger.warning("a\ud800b")
    assert stream.getvalue().isascii()
    assert json.loads(stream.getvalue())["message"] == "a\ud800b"


def test_wrong_format_never_breaks_the_caller(
    written: tuple[logging.Logger, io.StringIO],
) -> None:
    logger, stream = written
    logger.warning("%d of %d", "three", TOKEN)
    assert "three" in stream.getvalue()
    assert SECRET not in stream.getvalue()
