"""Let something go on, from the command line."""

from typing import Any
from uuid import UUID

from django.core.management.base import BaseCommand, CommandError, CommandParser

from apps.access.services.acting import acting_user
from apps.core.errors import DomainError
from apps.halts.services import lift_halt


class Command(BaseCommand):
    """``manage.py lift ID --reason TEXT --as USERNAME``: a person other than the one who engaged it."""

    help = "Lift a halt as a person who did not engage it."

    def add_arguments(self, parser: CommandParser) -> None:
        """Which halt, why, and who."""
        parser.add_argument("id", type=UUID)
        parser.add_argument("--reason", required=True)
        parser.add_argument("--as", dest="username", required=True)

    def handle(self, *args: Any, **options: Any) -> str:
        """What was lifted."""
        try:
            return (
                f"{lift_halt(acting_user(options['username']), halt_id=options['id'], reason=options['reason'])} lifted"
            )
        except DomainError as error:
            raise CommandError(f"{error.message} {error.errors or ''}".strip()) from error
