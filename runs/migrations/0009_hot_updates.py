"""Let a batch change its run without a write to every index of the table.

No indexed column changes with every batch any more, and each page keeps room for new versions.
"""

from django.db import migrations, models

MARK_COMPACTED = """
UPDATE runs_run SET is_compacted = true
WHERE state <> 'running' AND rev <= compacted_rev AND rev > 0
"""


class Migration(migrations.Migration):
    dependencies = [("runs", "0008_saved_views")]

    operations = [
        migrations.AddField(
            model_name="run",
            name="is_compacted",
            field=models.BooleanField(
                db_default=False,
                default=False,
                help_text="it has ended and compaction has seen all of it",
            ),
        ),
        migrations.RunSQL(MARK_COMPACTED, migrations.RunSQL.noop),
        migrations.RemoveIndex(model_name="run", name="run_uncompacted"),
        migrations.AddIndex(
            model_name="run",
            index=models.Index(
                condition=models.Q(("is_compacted", False)), fields=["id"], name="run_to_compact"
            ),
        ),
        migrations.RemoveIndex(model_name="run", name="run_running_by_heartbeat"),
        migrations.AddIndex(
            model_name="run",
            index=models.Index(
                condition=models.Q(("state", "running")), fields=["id"], name="run_running"
            ),
        ),
        migrations.RunSQL(
            "ALTER TABLE runs_run SET (fillfactor = 70)",
            "ALTER TABLE runs_run RESET (fillfactor)",
        ),
    ]
