"""The database can be distributed by run: keys hold the run, and hot statements name it."""

from __future__ import annotations

import re

import pytest
from django.db import connection

from runs import store
from runs.compaction import store as compaction
from runs.models import Attempt, Batch, Chunk, Writer
from runs.retention import store as retention

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
        for name, text in vars(module).items()
        if name.isupper() and isinstance(text, str) and any(table in text for table in TABLES)
    ]


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
