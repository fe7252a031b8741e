"""Start-up checks: refuse an unsafe configuration with a sentence (ids of docs/operations.md)."""

import stat
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import urlsplit

from django.apps import AppConfig
from django.conf import settings
from django.core.checks import CheckMessage, Error, Tags, Warning, register
from django.core.exceptions import ImproperlyConfigured
from django.db import connections
from django.db.backends.utils import CursorWrapper

from scaledash.lib.addresses import is_loopback

MIN_SECRET_LENGTH = 50
EMAIL_SCHEMES = ("smtp+tls", "smtps", "smtp")
DURABILITY = ("fsync", "full_page_writes", "synchronous_commit")
OTHERS_MASK = stat.S_IRWXG | stat.S_IRWXO


def _is_loopback_bind() -> bool:
    return is_loopback(settings.SCALEDASH_BIND)


def _secret_key_length() -> int:
    try:
        return len(settings.SECRET_KEY)
    except ImproperlyConfigured:  # Django's own word for an empty one
        return 0


@register(Tags.security)
def check_configuration(
    app_configs: Sequence[AppConfig] | None, **options: object
) -> list[CheckMessage]:
    """Refuse what would expose data: E001 to E005."""
    problems: list[CheckMessage] = []
    if not settings.DEBUG and _secret_key_length() < MIN_SECRET_LENGTH:
        problems.append(
            Error(
                f"SCALEDASH_SECRET_KEY has {_secret_key_length()} characters; "
                f"set one of at least {MIN_SECRET_LENGTH} random characters.",
                id="scaledash.E001",
            )
        )
    if not settings.DEBUG and (not settings.ALLOWED_HOSTS or "*" in settings.ALLOWED_HOSTS):
        problems.append(
            Error(
                f"SCALEDASH_ALLOWED_HOSTS is {settings.ALLOWED_HOSTS}; "
                "name the hosts this server answers for.",
                id="scaledash.E002",
            )
        )
    if settings.REDIS_URL and not _is_safe_redis(settings.REDIS_URL):
        problems.append(
            Error(
                "REDIS_URL points to another machine without a password; "
                "use a unix socket, a loopback address or a password.",
                id="scaledash.E003",
            )
        )
    if not _is_loopback_bind() and not settings.SCALEDASH_BASE_URL:
        problems.append(
            Error(
                f"The server binds to {settings.SCALEDASH_BIND} without SCALEDASH_BASE_URL; "
                "set the public URL that people open.",
                id="scaledash.E004",
            )
        )
    if settings.DEBUG and not _is_loopback_bind():
        problems.append(
            Error(
                f"SCALEDASH_DEBUG is on while binding to {settings.SCALEDASH_BIND}; "
                "debug pages must not leave this machine.",
                id="scaledash.E005",
            )
        )
    return problems


@register(Tags.security)
def check_email(app_configs: Sequence[AppConfig] | None, **options: object) -> list[CheckMessage]:
    """Refuse e-mail that could not be sent, or would show its password on the way: E007."""
    if not settings.SENDS_EMAIL:
        return []
    scheme, host = settings.EMAIL_URL.scheme, settings.EMAIL_HOST
    if scheme not in EMAIL_SCHEMES or not host:
        message = (
            "SCALEDASH_EMAIL_URL is not of the form smtp+tls://user:password@host:587; "
            f"its scheme is one of {', '.join(EMAIL_SCHEMES)}."
        )
    elif scheme == "smtp" and settings.EMAIL_HOST_PASSWORD and not is_loopback(host):
        message = (
            f"SCALEDASH_EMAIL_URL would send a password to {host} in the clear; "
            "use smtp+tls:// or smtps://."
        )
    elif not settings.DEFAULT_FROM_EMAIL or not settings.SCALEDASH_BASE_URL:
        message = (
            "SCALEDASH_EMAIL_URL needs SCALEDASH_EMAIL_FROM, the sender, and SCALEDASH_BASE_URL, "
            "where links lead to."
        )
    else:
        return []
    return [Error(message, id="scaledash.E007")]


@register(Tags.database)
def check_durability(
    app_configs: Sequence[AppConfig] | None,
    databases: Sequence[str] | None = None,
    **options: object,
) -> list[CheckMessage]:
    """Refuse a PostgreSQL that may forget what was acknowledged: E006."""
    problems: list[CheckMessage] = []
    for alias in databases or ():
        with connections[alias].cursor() as cursor:
            off = [name for name in DURABILITY if _read_setting(cursor, name) == "off"]
        if off:
            message = (
                f"PostgreSQL runs with {', '.join(off)} off, so that a crash loses acknowledged "
                "points; turn it on in postgresql.conf."
            )
            problems.append(Error(message, id="scaledash.E006"))
    return problems


@register(Tags.security)
def check_data_directory(
    app_configs: Sequence[AppConfig] | None, **options: object
) -> list[CheckMessage]:
    """Refuse an embedded data directory that other users of the machine can enter: E006."""
    home = settings.SCALEDASH_HOME
    note = home / "services.path"
    try:
        base = Path(note.read_text().strip()) if note.exists() else home / "services"
        mode = (base / "postgres").stat().st_mode
    except OSError:
        return []
    if not mode & OTHERS_MASK:
        return []
    message = f"{base / 'postgres'} has mode {stat.S_IMODE(mode):o}; make it 0700 (chmod 700)."
    return [Error(message, id="scaledash.E006")]


@register(Tags.staticfiles)
def check_vendor_files(
    app_configs: Sequence[AppConfig] | None, **options: object
) -> list[CheckMessage]:
    """Name the command that fetches the two front-end libraries when they are missing."""
    wanted = (
        settings.NODE_MODULES / "uplot" / "dist",
        settings.NODE_MODULES / "plotly.js-cartesian-dist-min",
    )
    missing = [str(path) for path in wanted if not path.is_dir()]
    if not missing:
        return []
    return [
        Warning(
            f"Front-end libraries are missing: {', '.join(missing)}. Run `make up` (or `npm ci`).",
            id="scaledash.W001",
        )
    ]


def _read_setting(cursor: CursorWrapper, name: str) -> str:
    cursor.callproc("current_setting", [name])
    return cursor.fetchone()[0]


def _is_safe_redis(url: str) -> bool:
    parts = urlsplit(url)
    if parts.scheme in {"unix", "redis+socket"}:
        return True
    return bool(parts.password) or is_loopback(parts.hostname or "localhost")
