"""Django application configuration."""

from django.apps import AppConfig


class FittingConfig(AppConfig):
    """Studies, laws, diagnoses and the refit engine."""

    name = "fitting"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        """Listen to what the runs app announces; offer it what studies and verdicts know."""
        from fitting import receivers  # noqa: F401
        from fitting.diagnoses.fields import list_fields
        from fitting.share_study import StudyShare
        from runs.fields import MEMBER, Field, offer_fields
        from teams.sharing import register_kind

        offer_fields({**list_fields(), "study": Field(MEMBER, "study_runs__study__slug")})
        register_kind(StudyShare())
