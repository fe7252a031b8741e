"""The figures of the status page, and the worst of them in a sentence. Pure but for the disk."""

from __future__ import annotations

import platform
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

import django
from django.conf import settings

from fitting.status.broker import AWAY, NOT_CONFIGURED, UP, Broker
from fitting.status.store import (
    DEEP_WINDOW_SECONDS,
    RATE_SECONDS,
    WINDOW_SECONDS,
    Readings,
)
from scaledash.lib.units import format_seconds

OK, WARN, BAD = "ok", "warn", "bad"
RANK = {BAD: 0, WARN: 1, OK: 2}
UNKNOWN = "unknown"
SLOW_SWEEP_SECONDS = 10.0  # it looks twice a second
LONG_WAIT_SECONDS = 30.0
SLOW_FIT_SECONDS = 10.0
LOW_DISK_SHARE, LOW_DISK_BYTES = 0.02, 1_000_000_000
ALL_WELL = "All well."


@dataclass(frozen=True)
class Figure:
    """One line: what it is, how it stands, since when that is known; `fact` says what is wrong."""

    key: str
    label: str
    text: str
    tone: str = OK
    fact: str = ""
    at: datetime | None = None


@dataclass(frozen=True)
class Disk:
    """The disk that holds SCALEDASH_HOME."""

    free_bytes: int
    total_bytes: int


def read_disk() -> Disk | None:
    """Return the room on the disk, None where the folder is not there."""
    try:
        usage = shutil.disk_usage(settings.SCALEDASH_HOME)
    except OSError:
        return None
    return Disk(usage.free, usage.total)


def build_report(readings: Readings, broker: Broker, disk: Disk | None) -> dict[str, object]:
    """Return the document of the page."""
    figures = list(list_figures(readings, broker, disk))
    worst = min(figures, key=lambda figure: RANK[figure.tone])
    return {
        "sentence": worst.fact if worst.tone != OK else ALL_WELL,
        "tone": worst.tone,
        "figures": [vars(figure) for figure in figures],
    }


def list_figures(readings: Readings, broker: Broker, disk: Disk | None) -> Iterator[Figure]:
    """Judge each figure."""
    yield describe_sweep(readings)
    yield describe_workers(readings, broker)
    yield describe_queue(readings, broker)
    yield describe_lag(readings)
    yield describe_deep_lag(readings)
    yield describe_failures(readings)
    yield describe_ingest(readings)
    yield describe_disk(disk, readings)
    yield describe_redis(broker)
    versions = f"ScaleDash {settings.VERSION}, PostgreSQL {readings.postgres_version}, "
    versions += f"Redis {broker.version or UNKNOWN}, Python {platform.python_version()}, "
    yield Figure("versions", "Versions", f"{versions}Django {django.get_version()}")


def describe_sweep(readings: Readings) -> Figure:
    """Say when the sweeper has last looked for work."""
    seconds, now = readings.sweep_seconds, readings.now
    if seconds is None:
        fact = (
            "The sweeper is not running: work whose hint got lost waits; start `manage.py sweep`."
        )
        return Figure("sweep", "Last sweep", "no sweeper is connected", BAD, fact, now)
    text = f"{format_seconds(seconds)} ago"
    if readings.n_sweepers > 1:
        text += f", {readings.n_sweepers} sweepers"
    if seconds > SLOW_SWEEP_SECONDS:
        fact = f"The sweeper has not looked for work for {format_seconds(seconds)}; see its log."
        return Figure("sweep", "Last sweep", text, BAD, fact, now)
    return Figure("sweep", "Last sweep", text, at=now)


def describe_workers(readings: Readings, broker: Broker) -> Figure:
    """Say how many workers answer."""
    at = _moment(broker)
    fits = "fit" if readings.n_busy == 1 else "fits"
    busy = f", {readings.n_busy} {fits} under way" if readings.n_busy else ""
    if broker.n_workers is None:
        return Figure("workers", "Workers", f"{UNKNOWN}{busy}", at=at)
    if broker.n_workers == 0:
        fact = "No worker answers: the sweeper does all refits alone until one is started."
        return Figure("workers", "Workers", f"none answers{busy}", BAD, fact, at)
    noun = "worker answers" if broker.n_workers == 1 else "workers answer"
    return Figure("workers", "Workers", f"{broker.n_workers} {noun}{busy}", at=at)


def describe_queue(readings: Readings, broker: Broker) -> Figure:
    """Say how many changes wait for a fit, and for how long the oldest does."""
    hints = UNKNOWN if broker.n_hints is None else str(broker.n_hints)
    text = f"{readings.n_dirty:,} changes wait for a fit, hints in Redis: {hints}"
    if readings.oldest_seconds is not None:
        text += f", the oldest for {format_seconds(readings.oldest_seconds)}"
    if readings.claimable_seconds > LONG_WAIT_SECONDS:
        waited = format_seconds(readings.claimable_seconds)
        fact = f"A study could have been fitted for {waited} and was not; {text}."
        return Figure("queue", "Queue", text, BAD, fact, readings.now)
    return Figure("queue", "Queue", text, at=readings.now)


def describe_lag(readings: Readings) -> Figure:
    """Say how long fits took from the oldest change to their publication."""
    p50, p95 = readings.lag_p50_seconds, readings.lag_p95_seconds
    label = f"Fit lag, last {WINDOW_SECONDS // 60} min"
    if p50 is None or p95 is None:
        return Figure("lag", label, "no fit was published", at=readings.now)
    text = f"p50 {format_seconds(p50)}, p95 {format_seconds(p95)}, {readings.n_fits:,} fits"
    if p95 > SLOW_FIT_SECONDS:
        waited = format_seconds(p95)
        fact = f"Fits are slow: one in twenty comes more than {waited} after its change."
        return Figure("lag", label, text, WARN, fact, readings.fitted_at)
    return Figure("lag", label, text, at=readings.fitted_at)


def describe_deep_lag(readings: Readings) -> Figure:
    """Say how long deep fits took; they wait until nothing else is to do, so none is too late."""
    p50, p95 = readings.deep_p50_seconds, readings.deep_p95_seconds
    label = f"Deep fits, last {DEEP_WINDOW_SECONDS // 60} min"
    if p50 is None or p95 is None:
        return Figure("deep", label, "no deep fit was published", at=readings.now)
    text = f"lag p50 {format_seconds(p50)}, p95 {format_seconds(p95)}, {readings.n_deep:,} fits"
    return Figure("deep", label, text, at=readings.deep_at)


def describe_failures(readings: Readings) -> Figure:
    """Say how many fits fail."""
    if not readings.n_failing:
        return Figure("failures", "Failing fits", "none", at=readings.now)
    noun = "fit fails" if readings.n_failing == 1 else "fits fail"
    which = "it is" if readings.n_failing == 1 else "most often"
    fact = f"{readings.n_failing} {noun}; {which} {readings.failing}"
    return Figure("failures", "Failing fits", str(readings.n_failing), WARN, fact, readings.now)


def describe_ingest(readings: Readings) -> Figure:
    """Say how many points have arrived."""
    rate = readings.n_points / RATE_SECONDS
    text = f"{rate:,.1f} points/s in {readings.n_batches:,} batches"
    return Figure("ingest", f"Ingest, last {RATE_SECONDS} s", text, at=readings.received_at)


def describe_disk(disk: Disk | None, readings: Readings) -> Figure:
    """Say how much room is left, and how large the database is."""
    size = f"database {write_bytes(readings.database_bytes)}"
    if disk is None:
        return Figure("disk", "Disk", f"{size}, free: {UNKNOWN}", at=readings.now)
    text = f"{write_bytes(disk.free_bytes)} of {write_bytes(disk.total_bytes)} free, {size}"
    if disk.free_bytes < max(LOW_DISK_BYTES, LOW_DISK_SHARE * disk.total_bytes):
        fact = f"The disk is nearly full: {write_bytes(disk.free_bytes)} are left."
        return Figure("disk", "Disk", text, BAD, fact, readings.now)
    return Figure("disk", "Disk", text, at=readings.now)


def describe_redis(broker: Broker) -> Figure:
    """Say whether Redis is up."""
    at = _moment(broker)
    if broker.state == UP:
        return Figure("redis", "Redis", "up", at=at)
    if broker.state == NOT_CONFIGURED:
        return Figure("redis", "Redis", "not configured: the sweeper does the refits", at=at)
    assert broker.state == AWAY
    fact = "Redis is away: nothing is lost, and the sweeper does the refits."
    return Figure("redis", "Redis", "away", WARN, fact, at)


def _moment(broker: Broker) -> datetime:
    return datetime.fromtimestamp(broker.asked_at, UTC)


def write_bytes(size: float) -> str:
    """Write a size with a unit of a thousand."""
    for unit in ("B", "kB", "MB", "GB"):
        if size < 1000:
            return f"{size:.3g} {unit}"
        size /= 1000
    return f"{size:,.3g} TB"
