"""When a run went bad is stored with its verdicts, for tables of many runs."""

from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [("fitting", "0010_webhooks")]

    operations = [
        migrations.AddField(
            "rundiagnosis",
            "first_bad_step",
            models.BigIntegerField(
                null=True,
                help_text="earliest step since which a diagnostic is at warn or critical",
            ),
        ),
    ]
