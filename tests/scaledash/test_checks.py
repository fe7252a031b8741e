"""Start-up checks: the server refuses an unsafe configuration with a sentence."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from django.core.checks import CheckMessage
from django.db import connection

from scaledash import checks

ROOT = Path(__file__).resolve().parents[2]
LONG_KEY = "aB3$kd9Lq" * 8


def ids_of(messages: list[CheckMessage]) -> list[str]:
    return [message.id for message in messages]


def check(settings: object, **changes: object) -> list[str]:
    for name, value in changes.items():
        setattr(settings, name, value)
    return ids_of(checks.check_configuration(None))


def test_test_configuration_is_accepted(settings: object) -> None:
    assert check(settings) == []


@pytest.mark.parametrize("key", ["", "short", "x" * 49])
def test_e001_short_secret_key_is_refused(settings: object, key: str) -> None:
    assert check(settings, SECRET_KEY=key) == ["scaledash.E001"]


def test_e001_key_of_fifty_characters_is_accepted(settings: object) -> None:
    assert check(settings, SECRET_KEY="x" * 50) == []


def test_e001_debug_may_run_with_a_short_key(settings: object) -> None:
    assert check(settings, SECRET_KEY="x", DEBUG=True) == []


@pytest.mark.parametrize("hosts", [[], ["*"], ["example.org", "*"]])
def test_e002_open_hosts_are_refused(settings: object, hosts: list[str]) -> None:
    assert check(settings, ALLOWED_HOSTS=hosts) == ["scaledash.E002"]


@pytest.mark.parametrize("url", ["redis://cache.example:6379/0", "redis://10.0.0.5", "rediss://c"])
def test_e003_remote_redis_without_password_is_refused(settings: object, url: str) -> None:
    assert check(settings, REDIS_URL=url) == ["scaledash.E003"]


@pytest.mark.parametrize(
    "url",
    ["", "unix:///run/redis.sock", "redis://127.0.0.1:1", "redis://[::1]", "redis://:pw@cache/0"],
)
def test_e003_local_or_protected_redis_is_accepted(settings: object, url: str) -> None:
    assert check(settings, REDIS_URL=url) == []


def test_e004_public_bind_without_base_url_is_refused(settings: object) -> None:
    assert check(settings, SCALEDASH_BIND="0.0.0.0", SCALEDASH_BASE_URL="") == ["scaledash.E004"]


def test_e004_public_bind_with_base_url_is_accepted(settings: object) -> None:
    url = "https://scaledash.example"
    assert check(settings, SCALEDASH_BIND="0.0.0.0", SCALEDASH_BASE_URL=url) == []


def test_e005_debug_on_a_public_bind_is_refused(settings: object) -> None:
    url = "https://scaledash.example"
    found = check(settings, DEBUG=True, SCALEDASH_BIND="10.0.0.1", SCALEDASH_BASE_URL=url)
    assert found == ["scaledash.E005"]


@pytest.mark.parametrize(
    ("url", "sender", "is_refused"),
    [
        ("", "", False),
        ("smtp+tls://u:p@mail.example.org:587", "a@example.org", False),
        ("smtps://mail.example.org", "a@example.org", False),
        ("smtp://u:p@localhost:1025", "a@example.org", False),
        ("smtp://relay.example.org", "a@example.org", False),
        ("smtp://u:p@mail.example.org", "a@example.org", True),
        ("mail.example.org:587", "a@example.org", True),
        ("smtp+tls://", "a@example.org", True),
        ("smtps://mail.example.org", "", True),
    ],
)
def test_e007_e_mail_that_cannot_work_or_shows_its_password_is_refused(
    settings: object, url: str, sender: str, is_refused: bool
) -> None:
    parts = urlsplit(url)
    settings.SENDS_EMAIL, settings.EMAIL_URL = bool(url), parts
    settings.EMAIL_HOST, settings.EMAIL_HOST_PASSWORD = parts.hostname or "", parts.password or ""
    settings.DEFAULT_FROM_EMAIL, settings.SCALEDASH_BASE_URL = sender, "https://runs.example.org"
    found = [problem.id for problem in checks.check_email(None)]
    assert found == ["scaledash.E007"] * is_refused


@pytest.mark.django_db
def test_e006_durable_database_is_accepted() -> None:
    assert checks.check_durability(None, databases=["default"]) == []


@pytest.mark.django_db
@pytest.mark.parametrize("level", ["off", "local"])
def test_e006_only_asynchronous_commit_is_refused(level: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(f"SET LOCAL synchronous_commit = {level}")
    found = ids_of(checks.check_durability(None, databases=["default"]))
    assert found == ["scaledash.E006"] * (level == "off")


def test_e006_without_databases_nothing_is_asked() -> None:
    assert checks.check_durability(None, databases=None) == []


@pytest.fixture
def data_directory(settings: object, tmp_path: Path) -> Iterator[Path]:
    """The data directory of an embedded PostgreSQL, as `make up` lays it out."""
    settings.SCALEDASH_HOME = tmp_path
    directory = tmp_path / "services" / "postgres"
    directory.mkdir(parents=True)
    return directory


@pytest.mark.parametrize(("mode", "count"), [(0o700, 0), (0o750, 1), (0o705, 1), (0o777, 1)])
def test_e006_data_directory_is_for_its_owner_only(
    data_directory: Path, mode: int, count: int
) -> None:
    data_directory.chmod(mode)
    found = ids_of(checks.check_data_directory(None))
    assert found == ["scaledash.E006"] * count


def test_e006_data_directory_elsewhere_is_found(data_directory: Path, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    (elsewhere / "postgres").mkdir(parents=True, mode=0o755)
    (tmp_path / "services.path").write_text(str(elsewhere))
    data_directory.chmod(0o700)
    assert ids_of(checks.check_data_directory(None)) == ["scaledash.E006"]


def manage(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    inherited = dict(os.environ)
    inherited.pop("DJANGO_ALLOW_ASYNC_UNSAFE", None)  # the browser tests of this process set it
    return subprocess.run(
        [sys.executable, "manage.py", *arguments],
        cwd=ROOT,
        env={**inherited, **environment},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture
def production(tmp_path: Path) -> dict[str, str]:
    """The environment of an installation behind TLS."""
    for package in ("uplot/dist", "plotly.js-cartesian-dist-min"):
        (tmp_path / package).mkdir(parents=True)
    return {
        "SCALEDASH_SECRET_KEY": LONG_KEY,
        "SCALEDASH_BASE_URL": "https://scaledash.example",
        "SCALEDASH_ALLOWED_HOSTS": "scaledash.example",
        "SCALEDASH_BIND": "0.0.0.0",
        "SCALEDASH_HOME": str(tmp_path),
        "SCALEDASH_NODE_MODULES": str(tmp_path),
        "REDIS_URL": "redis://:password@redis:6379/0",
    }


def test_t31_deploy_check_is_clean_with_production_settings(production: dict[str, str]) -> None:
    result = manage("check", "--deploy", "--fail-level", "WARNING", **production)
    assert result.returncode == 0, result.stderr


def test_t31_deploy_check_speaks_up_without_tls(production: dict[str, str]) -> None:
    insecure = {**production, "SCALEDASH_BASE_URL": "http://scaledash.example"}
    result = manage("check", "--deploy", "--fail-level", "WARNING", **insecure)
    assert result.returncode != 0
    assert "security.W008" in result.stderr


@pytest.mark.parametrize(
    ("name", "value", "code"),
    [
        ("SCALEDASH_SECRET_KEY", "", "E001"),
        ("SCALEDASH_ALLOWED_HOSTS", "*", "E002"),
        ("REDIS_URL", "redis://redis:6379/0", "E003"),
        ("SCALEDASH_BASE_URL", "", "E004"),
        ("SCALEDASH_DEBUG", "1", "E005"),
    ],
)
def test_t31_management_commands_exit_with_one_sentence(
    production: dict[str, str], name: str, value: str, code: str
) -> None:
    result = manage("check", **{**production, name: value})
    assert result.returncode != 0
    assert f"scaledash.{code}" in result.stderr
    assert "Traceback" not in result.stderr


def test_schema_of_the_api_has_no_warnings(production: dict[str, str]) -> None:
    result = manage("spectacular", "--fail-on-warn", "--file", os.devnull, **production)
    assert result.returncode == 0, result.stderr
