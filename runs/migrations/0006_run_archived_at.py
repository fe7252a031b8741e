from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('runs', '0005_purge_and_prune'),
    ]

    operations = [
        migrations.AddField(
            model_name='run',
            name='archived_at',
            field=models.DateTimeField(help_text='since when lists leave it out', null=True),
        ),
        migrations.AddIndex(
            model_name='run',
            index=models.Index(condition=models.Q(('archived_at__isnull', False)), fields=['project'], name='run_archived'),
        ),
    ]
