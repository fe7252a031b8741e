"""Add the audit log, whose rows are only ever added."""

import django.db.models.deletion
import django.utils.timezone
from django.conf import settings
from django.db import migrations, models

# Neither the application nor a person at its console rewrites what happened.
GUARD = """
CREATE FUNCTION teams_refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'the audit log is only ever added to';
END
$$;
CREATE TRIGGER audit_entry_is_kept BEFORE UPDATE OR DELETE ON teams_auditentry
    FOR EACH ROW EXECUTE FUNCTION teams_refuse_change();
"""
UNGUARD = """
DROP TRIGGER audit_entry_is_kept ON teams_auditentry;
DROP FUNCTION teams_refuse_change();
"""



class Migration(migrations.Migration):
    dependencies = [
        ("teams", "0002_share_links"),
    ]

    operations = [
        migrations.CreateModel(
            name='AuditEntry',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('at', models.DateTimeField(default=django.utils.timezone.now)),
                ('actor_name', models.CharField(blank=True, help_text='blank: the server itself', max_length=150)),
                ('token_key', models.CharField(blank=True, help_text='of the API token used', max_length=16)),
                ('address', models.GenericIPAddressField(null=True)),
                ('action', models.CharField(max_length=40)),
                ('target', models.CharField(blank=True, max_length=256)),
                ('details', models.JSONField(default=dict)),
                ('actor', models.ForeignKey(db_constraint=False, db_index=False, null=True, on_delete=django.db.models.deletion.DO_NOTHING, related_name='+', to=settings.AUTH_USER_MODEL)),
                ('project', models.ForeignKey(db_constraint=False, null=True, on_delete=django.db.models.deletion.DO_NOTHING, related_name='audit', to='teams.project')),
            ],
            options={
                'ordering': ('-pk',),
                'indexes': [models.Index(fields=['project', '-id'], name='audit_newest')],
            },
        ),
        migrations.RunSQL(GUARD, UNGUARD),
    ]
