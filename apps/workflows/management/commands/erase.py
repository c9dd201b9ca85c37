"""Ask for an erasure of what was written on a trail, or agree with one, from the command line."""

from typing import Any
from uuid import UUID

from django.core.management.base import BaseCommand, CommandError, CommandParser

from apps.access.services.acting import acting_user
from apps.core.errors import DomainError
from apps.workflows.services import ask_erasure, erase_trail


class Command(BaseCommand):
    """``manage.py erase TRAIL --reason TEXT --as USERNAME`` asks; ``--agree --as ANOTHER`` erases."""

    help = "Erase for ever what people and agents wrote on the trail of a run or an action: one asks, another agrees."

    def add_arguments(self, parser: CommandParser) -> None:
        """What to erase, why, and in whose name: only people erase."""
        parser.add_argument("trail", type=UUID, help="the id of a run, or of an action without one")
        how = parser.add_mutually_exclusive_group(required=True)
        how.add_argument("--reason", help="ask for it, and why; somebody else has to agree")
        how.add_argument("--agree", action="store_true", help="agree with what somebody else asked for: it is erased")
        parser.add_argument("--as", dest="username", required=True)

    def handle(self, *args: Any, **options: Any) -> str:
        """The entry's number; until when somebody else can agree."""
        try:
            actor = acting_user(options["username"])
            if options["agree"]:
                return str(erase_trail(actor, trail_id=options["trail"]).pk)
            asked = ask_erasure(actor, trail_id=options["trail"], reason=options["reason"])
            return f"asked for; somebody else has to agree before {asked.expires_at.isoformat()}"
        except DomainError as error:
            raise CommandError(f"{error.message} {error.errors or ''}".strip()) from error
