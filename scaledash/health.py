"""Liveness and readiness, for supervisors and load balancers."""

from __future__ import annotations

import redis
from django.conf import settings
from django.db import Error, connection
from django.db.migrations.executor import MigrationExecutor
from django.http import HttpRequest, HttpResponse
from django.views.decorators.http import require_safe

from scaledash.lib import jsonsafe


@require_safe
def healthz(request: HttpRequest) -> HttpResponse:
    """Say that this process serves requests; touches neither database nor Redis."""
    return HttpResponse("ok\n", content_type="text/plain")


@require_safe
def readyz(request: HttpRequest) -> HttpResponse:
    """Say whether requests can succeed; 503 only without database or migrations."""
    database = _database_state()
    broker = _redis_state()
    ready = database == "ok"
    status = "ok" if ready and broker == "ok" else "degraded" if ready else "unavailable"
    body = {"status": status, "database": database, "redis": broker}
    return HttpResponse(
        jsonsafe.dumps(body), status=200 if ready else 503, content_type="application/json"
    )


def _database_state() -> str:
    try:
        connection.ensure_connection()
        executor = MigrationExecutor(connection)
        pending = executor.migration_plan(executor.loader.graph.leaf_nodes())
    except Error:
        return "away"
    return "migrations missing" if pending else "ok"


def _redis_state() -> str:
    if not settings.REDIS_URL:
        return "not configured"
    timeout = settings.REDIS_SOCKET_TIMEOUT_SECONDS
    try:
        with redis.Redis.from_url(
            settings.REDIS_URL, socket_timeout=timeout, socket_connect_timeout=timeout
        ) as client:
            client.ping()
    except (redis.RedisError, OSError, ValueError):  # ValueError: not the URL of a Redis
        return "away"
    return "ok"
