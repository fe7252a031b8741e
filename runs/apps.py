"""Django application configuration."""

from django.apps import AppConfig


class RunsConfig(AppConfig):
    """Runs, the metric store, ingest and reads."""

    name = "runs"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        """Let links to runs be made and opened."""
        from runs.share_run import RunShare
        from teams.sharing import register_kind

        register_kind(RunShare())
