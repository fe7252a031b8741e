"""Django application configuration."""

from django.apps import AppConfig


class RunsConfig(AppConfig):
    """Runs, the metric store, ingest and reads."""

    name = "runs"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        """Let links to runs, to comparisons of them and to views be made and opened."""
        from runs.share_compare import ComparisonShare
        from runs.share_run import RunShare
        from runs.share_view import ViewShare
        from teams.sharing import register_kind

        for kind in (RunShare(), ComparisonShare(), ViewShare()):
            register_kind(kind)
