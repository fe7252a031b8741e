"""An alert is unique by its key; people read and mute alerts."""

import django.db.models.deletion
import django.utils.timezone
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('fitting', '0008_alerts'),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.RemoveConstraint('alert', 'escalation_once'),
        migrations.AlterField('alert', 'project', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='alerts', to='teams.project')),
        migrations.AlterField('alert', 'run', models.ForeignKey(null=True, on_delete=django.db.models.deletion.CASCADE, related_name='alerts', to='runs.run')),
        migrations.AlterField('alert', 'attempt', models.IntegerField(default=0)),
        migrations.AlterField('alert', 'diagnostic', models.CharField(blank=True, max_length=64)),
        migrations.AlterField('alert', 'severity', models.CharField(choices=[('info', 'Info'), ('warn', 'Warn'), ('critical', 'Critical')], max_length=8)),
        migrations.AddConstraint('alert', models.UniqueConstraint(fields=('project', 'key'), name='alert_once')),
        migrations.AddIndex('alert', models.Index(fields=['project', '-id'], name='alert_newest')),
        migrations.CreateModel(
            name='AlertRead',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('at', models.DateTimeField(default=django.utils.timezone.now)),
                ('alert', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='readers', to='fitting.alert')),
                ('user', models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.CASCADE, related_name='+', to=settings.AUTH_USER_MODEL)),
            ],
            options={
                'constraints': [models.UniqueConstraint(fields=('user', 'alert'), name='alert_read_once')],
            },
        ),
        migrations.CreateModel(
            name='AlertMute',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('at', models.DateTimeField(default=django.utils.timezone.now)),
                ('project', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='+', to='teams.project')),
                ('run', models.ForeignKey(null=True, on_delete=django.db.models.deletion.CASCADE, related_name='+', to='runs.run')),
                ('study', models.ForeignKey(null=True, on_delete=django.db.models.deletion.CASCADE, related_name='+', to='fitting.study')),
                ('user', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='alert_mutes', to=settings.AUTH_USER_MODEL)),
            ],
            options={
                'constraints': [
                    models.UniqueConstraint(fields=('user', 'project', 'run', 'study'), name='alert_mute_once', nulls_distinct=False),
                    models.CheckConstraint(condition=models.Q(('run', None), ('study', None), _connector='OR'), name='alert_mute_names_one_thing'),
                ],
            },
        ),
    ]
