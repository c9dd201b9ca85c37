"""Make a personal token."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from apps.access.services import create_token
from apps.access.services.acting import acting_user
from apps.core.errors import DomainError
from apps.core.models import User


class Command(BaseCommand):
    """``manage.py create_token USERNAME``: the token alone on standard output, once."""

    help = "Make a personal access token and print it, once, alone on standard output."

    def add_arguments(self, parser: CommandParser) -> None:
        """The person, the days, and who acts."""
        parser.add_argument("username")
        parser.add_argument("--days", type=int, default=30)
        parser.add_argument("--as", dest="acting")

    def handle(self, *args: Any, **options: Any) -> str:
        """The token."""
        person = User.objects.filter(username=options["username"], kind="human").first()
        if person is None:
            raise CommandError(f"There is no person called {options['username']}.")
        try:
            return create_token(acting_user(options["acting"]), user=person, days=options["days"])
        except DomainError as error:
            raise CommandError(f"{error.message} {error.errors or ''}".strip()) from error
