"""First escalations become alerts: of any kind, of runs and studies, told once by their key."""

import django.db.models.deletion
from django.db import migrations, models

# What was there before is listed, but nobody is told of it now.
FILL = """
UPDATE fitting_alert a SET project_id = r.project_id, title = replace(a.diagnostic, '_', ' '),
  is_quiet = true, key = concat_ws(':', 'run', r.id, a.attempt, a.diagnostic, a.severity)
FROM runs_run r WHERE r.id = a.run_id;
"""
# Backwards: what the older table cannot hold is lost.
EMPTY = "DELETE FROM fitting_alert WHERE run_id IS NULL OR kind <> 'verdict'"


class Migration(migrations.Migration):

    dependencies = [
        ('fitting', '0007_judge_again'),
        ('teams', '0007_comments'),
        ('runs', '0005_purge_and_prune'),
    ]

    operations = [
        migrations.RenameModel('Escalation', 'Alert'),
        migrations.AddField('Alert', 'project', models.ForeignKey(null=True, on_delete=django.db.models.deletion.CASCADE, related_name='alerts', to='teams.project')),
        migrations.AddField('Alert', 'study', models.ForeignKey(null=True, on_delete=django.db.models.deletion.CASCADE, related_name='alerts', to='fitting.study')),
        migrations.AddField('Alert', 'kind', models.CharField(choices=[('verdict', 'a diagnosis became worse'), ('ended', 'a run crashed or failed'), ('forecast', 'a frozen forecast was scored'), ('logged', 'the training script raised it')], max_length=8, default='verdict'), preserve_default=False),
        migrations.AddField('Alert', 'title', models.CharField(max_length=200, default=''), preserve_default=False),
        migrations.AddField('Alert', 'evidence', models.JSONField(default=dict)),
        migrations.AddField('Alert', 'is_quiet', models.BooleanField(default=False)),
        migrations.AddField('Alert', 'key', models.CharField(max_length=200, default=''), preserve_default=False),
        migrations.RunSQL(FILL, EMPTY),
    ]
