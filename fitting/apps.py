"""Django application configuration."""

from django.apps import AppConfig


class FittingConfig(AppConfig):
    """Studies, laws, diagnoses and the refit engine."""

    name = "fitting"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        """Listen to what the runs app announces; let links to studies be made and opened."""
        from fitting import receivers  # noqa: F401
        from fitting.share_study import StudyShare
        from teams.sharing import register_kind

        register_kind(StudyShare())
