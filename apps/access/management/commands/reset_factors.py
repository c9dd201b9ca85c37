"""Take the second factors of somebody away who lost them."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from apps.access.services import reset_factors
from apps.access.services.acting import acting_user
from apps.core.errors import DomainError
from apps.core.models import User


class Command(BaseCommand):
    """``manage.py reset_factors USERNAME --reason WHY --as ADMIN --approved-by OTHER``."""

    help = "Take somebody's second factors and recovery codes away and end their sessions; they set up others."

    def add_arguments(self, parser: CommandParser) -> None:
        """Whose, why, who acts, and who agrees."""
        parser.add_argument("username")
        parser.add_argument("--reason", required=True)
        parser.add_argument("--as", dest="acting")
        parser.add_argument("--approved-by", dest="second")

    def handle(self, *args: Any, **options: Any) -> str:
        """Which they were."""
        person = User.objects.filter(username=options["username"], kind="human").first()
        if person is None:
            raise CommandError(f"There is no person called {options['username']}.")
        try:
            second = acting_user(options["second"]) if options["second"] else None
            actor = acting_user(options["acting"])
            return ", ".join(reset_factors(actor, user=person, reason=options["reason"], second=second))
        except DomainError as error:
            raise CommandError(f"{error.message} {error.errors or ''}".strip()) from error
