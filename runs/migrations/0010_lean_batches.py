"""Let a batch write its key once: what no reader asked for cost an UPDATE of each.

The defaults are for the way back, where batches are there already.
"""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("runs", "0009_hot_updates")]

    operations = [
        migrations.AlterField("batch", "attempt", models.IntegerField(default=0)),
        migrations.AlterField("batch", "rev", models.BigIntegerField(default=0)),
        migrations.RemoveField("batch", "attempt"),
        migrations.RemoveField("batch", "rev"),
    ]
