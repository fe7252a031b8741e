"""Liveness and readiness."""

from __future__ import annotations

import pytest
from django.db import connection
from django.test import Client


def test_liveness_touches_no_database() -> None:
    assert Client().get("/healthz").content == b"ok\n"


@pytest.mark.django_db
def test_ready_with_database_and_redis() -> None:
    answer = Client().get("/readyz")
    assert answer.status_code == 200
    assert answer.json() == {"status": "ok", "database": "ok", "redis": "ok"}


@pytest.mark.django_db
def test_lost_redis_degrades_but_stays_ready(settings: object) -> None:
    settings.REDIS_URL = "redis://127.0.0.1:1/0"
    answer = Client().get("/readyz")
    assert (answer.status_code, answer.json()["status"]) == (200, "degraded")
    assert answer.json()["redis"] == "away"


@pytest.mark.django_db
def test_wrong_redis_url_degrades_but_never_breaks(settings: object) -> None:
    settings.REDIS_URL = "nonsense"
    assert Client().get("/readyz").json()["redis"] == "away"


@pytest.mark.django_db
def test_missing_migration_is_not_ready() -> None:
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM django_migrations WHERE app = 'teams'")
    answer = Client().get("/readyz")
    assert (answer.status_code, answer.json()["database"]) == (503, "migrations missing")


@pytest.mark.django_db(transaction=True)
def test_lost_database_is_not_ready_and_says_when_to_retry() -> None:
    connection.close()
    good = dict(connection.settings_dict)
    connection.settings_dict.update(HOST="/nowhere", PASSWORD="hunter2")
    try:
        answer = Client().get("/readyz")
    finally:
        connection.close()
        connection.settings_dict.update(good)
    assert (answer.status_code, answer.json()["database"]) == (503, "away")
    assert b"hunter2" not in answer.content
