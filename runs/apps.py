"""Django application configuration."""

from django.apps import AppConfig


class RunsConfig(AppConfig):
    """Runs, the metric store, ingest and reads."""

    name = "runs"
    default_auto_field = "django.db.models.BigAutoField"
