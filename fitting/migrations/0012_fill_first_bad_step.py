"""Verdicts that are stored already say since when they hold."""

from django.db import migrations

FILL = """
UPDATE fitting_rundiagnosis AS diagnosis SET first_bad_step = (
    SELECT min((verdict ->> 'first_step')::bigint)
    FROM jsonb_array_elements(diagnosis.verdicts) AS verdict
    WHERE verdict ->> 'severity' IN ('warn', 'critical') AND verdict ->> 'diagnostic' <> 'evidence'
);
"""


class Migration(migrations.Migration):

    dependencies = [("fitting", "0011_first_bad_step")]

    operations = [migrations.RunSQL(FILL, migrations.RunSQL.noop)]
