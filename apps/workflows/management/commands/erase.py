"""Erase what was written on a trail from the command line."""

from typing import Any
from uuid import UUID

from django.core.management.base import BaseCommand, CommandError, CommandParser

from apps.access.services.acting import acting_user
from apps.core.errors import DomainError
from apps.workflows.services import erase_trail


class Command(BaseCommand):
    """``manage.py erase TRAIL --reason TEXT --as USERNAME``: prints the number of the entry that says so."""

    help = "Erase for ever what people and agents wrote on the trail of a run or an action."

    def add_arguments(self, parser: CommandParser) -> None:
        """What to erase, why, and in whose name: only people erase."""
        parser.add_argument("trail", type=UUID, help="the id of a run, or of an action without one")
        parser.add_argument("--reason", required=True)
        parser.add_argument("--as", dest="username", required=True)

    def handle(self, *args: Any, **options: Any) -> str:
        """The entry's number."""
        try:
            actor = acting_user(options["username"])
            return str(erase_trail(actor, trail_id=options["trail"], reason=options["reason"]).pk)
        except DomainError as error:
            raise CommandError(f"{error.message} {error.errors or ''}".strip()) from error
