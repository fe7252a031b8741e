"""`manage.py assets`: collect and compress static files if they changed."""

from django.core.management.base import BaseCommand

from scaledash.assets import collect_if_stale


class Command(BaseCommand):
    """Collect static files under hashed names."""

    help = "Collect and compress static files, unless they are up to date."
    requires_system_checks = []

    def handle(self, *args: object, **options: object) -> None:
        """Say what was done."""
        self.stdout.write("collected" if collect_if_stale() else "up to date")
