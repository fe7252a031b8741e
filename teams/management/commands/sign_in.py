"""`manage.py sign_in`: an address that signs the first administrator in, once."""

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from teams.models import User
from teams.services import create_login_link


class Command(BaseCommand):
    """Print the address; `make up` prints one too, when it starts and when it runs already."""

    help = "Print an address that signs the first administrator in; it works once."

    def handle(self, *args: object, **options: object) -> None:
        """Make the link of the administrator who was first."""
        user = User.objects.filter(is_superuser=True, is_active=True).order_by("pk").first()
        if user is None:
            raise CommandError("This server has no administrator yet; open /setup.")
        base = settings.SCALEDASH_BASE_URL.rstrip("/")
        self.stdout.write(f"{base}/login/once/{create_login_link(user)}")
