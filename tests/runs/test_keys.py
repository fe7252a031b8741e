"""The database can be distributed by run: keys hold the run, and hot statements name it."""

from __future__ import annotations

import re

import pytest
from django.db import connection

from runs import store
from runs.compaction import store as compaction
from runs.models import Attempt, Batch, Chunk, Writer
from runs.retention import store as retention
from teams.store import Prepared, together
from tests.runs.factories import Job, make_api, open_run

HOT = (Chunk, Batch, Writer, Attempt)
TABLES = [model._meta.db_table for model in HOT]
# The one statement over all runs: it erases old keys in the background, shard by shard as well.
ACROSS_RUNS = {"PRUNE_BATCHES"}


@pytest.mark.parametrize("table", TABLES)
def test_keys_and_unique_constraints_begin_with_the_run(db: None, table: str) -> None:
    with connection.cursor() as cursor:
        found = connection.introspection.get_constraints(cursor, table)
    unique = [item["columns"] for item in found.values() if item["primary_key"] or item["unique"]]
    assert unique
    assert all(columns[0] == "run_id" for columns in unique)


def hot_statements() -> list[tuple[str, str]]:
    return [
        (name, text)
        for module in (store, compaction, retention)
        for name, value in vars(module).items()
        if name.isupper()
        for text in texts_of(value)
        if any(table in text for table in TABLES)
    ]


def texts_of(value: object) -> tuple[str, ...]:
    if isinstance(value, Prepared):
        return value.texts
    return (value,) if isinstance(value, str) else ()


@pytest.mark.parametrize(
    ("name", "text"), hot_statements(), ids=[name for name, _ in hot_statements()]
)
def test_statement_on_a_hot_table_names_the_run(name: str, text: str) -> None:
    """By a parameter, and joins of two hot tables by their run."""
    if name in ACROSS_RUNS:
        return
    assert re.search(r"%\(runs?\)s", text)
    joins = re.findall(r"JOIN runs_(?:chunk|batch|writer|attempt)\b.*?ON (.*)", text)
    assert all("run_id" in condition for condition in joins)


def test_every_hot_table_has_statements() -> None:
    together = " ".join(text for _, text in hot_statements())
    assert [table for table in TABLES if table not in together] == []


# Columns and conditions of every index of the table of runs.
INDEXED = """
SELECT DISTINCT a.attname FROM pg_index i
JOIN pg_attribute a ON a.attrelid = i.indrelid
JOIN pg_class c ON c.oid = i.indexrelid
WHERE i.indrelid = 'runs_run'::regclass AND a.attnum > 0
  AND (a.attnum = ANY(i.indkey)
       OR pg_get_expr(i.indpred, i.indrelid) ~ ('\\y' || a.attname || '\\y'))
"""


def test_a_batch_in_quick_succession_changes_no_column_of_an_index(db: None) -> None:
    """Else PostgreSQL would write to a dozen indexes of the table of runs with every batch."""
    api = make_api()
    job = Job(api, open_run(api))
    job.log([1], loss=[3.0])
    with connection.cursor() as cursor:
        cursor.execute(INDEXED)
        columns = ", ".join(f'"{row[0]}"' for row in cursor.fetchall())
        read = f"SELECT rev, {columns} FROM runs_run WHERE id = %s"
        cursor.execute(read, [job.run.pk])
        before = cursor.fetchone()
        job.log([2], loss=[2.0])
        cursor.execute(read, [job.run.pk])
        after = cursor.fetchone()
    assert "changed_at" in columns
    assert (after[0], after[1:]) == (before[0] + 1, before[1:])


def test_a_session_plans_a_hot_statement_once(db: None) -> None:
    api = make_api()
    job = Job(api, open_run(api))
    job.log([1], loss=[3.0])
    with connection.cursor() as cursor:
        count = (
            "SELECT name FROM pg_prepared_statements WHERE name LIKE 'store_claimed%' ORDER BY 1"
        )
        cursor.execute(count)
        before = cursor.fetchall()
        job.log([2], loss=[2.0])
        cursor.execute(count)
        assert cursor.fetchall() == before == [(f"store_claimed_{place}",) for place in range(2)]


def test_what_is_written_together_goes_in_one_round_trip(
    db: None, django_assert_num_queries: object
) -> None:
    first = Prepared("keep_word", "SELECT set_config('scaledash.word', %(word)s::text, true)")
    then = Prepared("read_word", "SELECT current_setting('scaledash.word'), %(place)s::int")
    with django_assert_num_queries(1), together():
        first.execute({"word": "it's; %s"})
        assert then.fetch({"place": 7}) == [("it's; %s", 7)]
    with django_assert_num_queries(1), together():
        first.execute({"word": "last"})
    assert then.fetch({"place": 1}) == [("last", 1)]
    with pytest.raises(KeyError), together():
        first.execute({"word": "never"})
        raise KeyError
    assert then.fetch({"place": 1}) == [("last", 1)]


def test_small_batch_takes_three_statements(db: None, django_assert_num_queries: object) -> None:
    api = make_api()
    job = Job(api, open_run(api))
    job.log([1], loss=[2.0])
    body = job.batch([2], loss=[1.0])
    with django_assert_num_queries(6):  # and in a test a savepoint, its release, metric ids
        assert job.send(body).status_code == 200
