"""Django application configuration of the project itself: checks and commands."""

from django.apps import AppConfig


class ScaledashConfig(AppConfig):
    """System checks and management commands."""

    name = "scaledash"

    def ready(self) -> None:
        """Register the start-up checks and the Celery application that tasks belong to."""
        from scaledash import celery, checks  # noqa: F401
