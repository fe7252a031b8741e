"""Attention logits can be forecast."""

from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('fitting', '0014_switched_off'),
    ]

    operations = [
        migrations.AlterField(
            model_name='forecast',
            name='quantity',
            field=models.CharField(choices=[('loss', 'final loss of a run of N parameters on D tokens'), ('optimal_size', 'compute-optimal N at a budget C'), ('optimal_lr', 'best learning rate at N parameters'), ('max_logit', 'largest attention logit of a run of N parameters at LR')], max_length=12),
        ),
    ]
