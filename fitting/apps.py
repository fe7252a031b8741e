"""Django application configuration."""

from django.apps import AppConfig


class FittingConfig(AppConfig):
    """Studies, laws, diagnoses and the refit engine."""

    name = "fitting"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        """Listen to what the runs app announces."""
        from fitting import receivers  # noqa: F401
