"""An idle connection is looked at before it is used, without asking the server."""

from __future__ import annotations

import psycopg2
import pytest
from django.db import connection

from tests.fitting.waiting import wait_until


def find_pid() -> int:
    connection.ensure_connection()
    return int(connection.connection.get_backend_pid())


def ask_another(statement: str, pid: int) -> object:
    """Run a statement about this session on a session of its own."""
    parameters = connection.get_connection_params()
    other = psycopg2.connect(**{k: v for k, v in parameters.items() if k != "cursor_factory"})
    try:
        with other.cursor() as cursor:
            cursor.execute(statement, [pid])
            return cursor.fetchone()
    finally:
        other.close()


@pytest.mark.django_db(transaction=True)
def test_a_live_connection_is_usable_and_the_server_is_not_asked() -> None:
    pid = find_pid()
    with connection.cursor() as cursor:
        cursor.execute("SELECT 'the last statement'")
    assert connection.is_usable()
    asked = ask_another("SELECT query FROM pg_stat_activity WHERE pid = %s", pid)
    assert asked == ("SELECT 'the last statement'",)


@pytest.mark.django_db(transaction=True)
def test_a_connection_that_the_server_ended_is_replaced() -> None:
    pid = find_pid()
    ask_another("SELECT pg_terminate_backend(%s, 5000)", pid)
    wait_until(lambda: not connection.is_usable(), "the end of the session")
    connection.close_if_unusable_or_obsolete()  # what begins a request
    connection.health_check_enabled = True
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")
        assert cursor.fetchone() == (1,)
    assert find_pid() != pid
