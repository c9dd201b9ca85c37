"""Make an emergency account, or give it a new credential."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from apps.access.services import arm_emergency
from apps.access.services.acting import acting_user
from apps.core.errors import DomainError


class Command(BaseCommand):
    """``manage.py arm_emergency USERNAME``: the credential alone on standard output, once."""

    help = "Make an emergency account, or re-arm one, and print its credential, once, alone on standard output."

    def add_arguments(self, parser: CommandParser) -> None:
        """The account, and who acts."""
        parser.add_argument("username")
        parser.add_argument("--as", dest="acting")

    def handle(self, *args: Any, **options: Any) -> str:
        """The credential."""
        try:
            return arm_emergency(acting_user(options["acting"]), username=options["username"])[1]
        except DomainError as error:
            raise CommandError(f"{error.message} {error.errors or ''}".strip()) from error
