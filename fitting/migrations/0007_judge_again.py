"""Verdicts and what studies compare are computed once more: log Z and singular values are kept."""

from django.db import migrations

MARK = """
INSERT INTO fitting_dirty (subject, kind, at)
SELECT subject, kind, clock_timestamp() FROM fitting_fitstate WHERE kind IN ('run_diag', 'fast');
"""


class Migration(migrations.Migration):

    dependencies = [("fitting", "0006_diagnosis_rules")]

    operations = [migrations.RunSQL(MARK, migrations.RunSQL.noop)]
