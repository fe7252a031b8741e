"""Django application configuration."""

from django.apps import AppConfig


class TeamsConfig(AppConfig):
    """Projects, members, tokens and sign-in."""

    name = "teams"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        """Register the receiver of sign-ins and the description of the API's authentication."""
        from teams import sessions  # noqa: F401
        from teams.api import schema  # noqa: F401
