"""`manage.py setup_code`: the code that /setup asks for beyond this machine."""

from django.core.management.base import BaseCommand

from teams.models import User
from teams.services import compute_setup_code


class Command(BaseCommand):
    """Print the code, while there is no user."""

    help = "Print the code with which /setup makes the first administrator."

    def handle(self, *args: object, **options: object) -> None:
        """Say the code, or that it is not needed any more."""
        if User.objects.exists():
            self.stdout.write("This server has users already; /setup is closed.")
        else:
            self.stdout.write(compute_setup_code())
