"""Points are incompressible or compressed already: keep PostgreSQL from trying again."""

from django.db import migrations

COLUMNS = ("steps", "values")


def _set_storage(kind: str) -> str:
    changes = ", ".join(f'ALTER COLUMN "{column}" SET STORAGE {kind}' for column in COLUMNS)
    return f"ALTER TABLE runs_chunk {changes}"


class Migration(migrations.Migration):
    dependencies = [("runs", "0002_endings_and_settling")]

    operations = [
        migrations.RunSQL(_set_storage("EXTERNAL"), reverse_sql=_set_storage("EXTENDED")),
    ]
