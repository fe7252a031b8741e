"""`manage.py down`: stop the ScaleDash of this home and wait until it is gone."""

import sys

from django.conf import settings
from django.core.management.base import BaseCommand

from scaledash.control import run_down


class Command(BaseCommand):
    """End what `up` started."""

    help = "Stop the ScaleDash that runs for this SCALEDASH_HOME."
    requires_system_checks = []

    def handle(self, *args: object, **options: object) -> None:
        """Stop it; a failure shows in the exit status."""
        sys.exit(run_down(settings.SCALEDASH_HOME.absolute()))
