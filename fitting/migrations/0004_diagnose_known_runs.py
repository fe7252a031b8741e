"""Runs that were there before diagnoses are diagnosed by the next worker."""

from django.db import migrations

MARK = """
INSERT INTO fitting_fitstate (subject, kind, project_id, token, attempts, failures,
                              last_duration_seconds, last_error, progress)
SELECT id, 'run_diag', project_id, 0, 0, 0, 0, '', '{}'::jsonb FROM runs_run
WHERE deleted_at IS NULL AND rev > 0
ON CONFLICT DO NOTHING;
INSERT INTO fitting_dirty (subject, kind, at)
SELECT id, 'run_diag', clock_timestamp() FROM runs_run WHERE deleted_at IS NULL AND rev > 0;
"""
UNMARK = """
DELETE FROM fitting_dirty WHERE kind = 'run_diag';
DELETE FROM fitting_fitstate WHERE kind = 'run_diag';
"""


class Migration(migrations.Migration):

    dependencies = [("fitting", "0003_diagnoses")]

    operations = [migrations.RunSQL(MARK, UNMARK)]
