"""Stop something from the command line."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from apps.access.services.acting import acting_user
from apps.console.selectors import halt_target_for
from apps.core.errors import DomainError
from apps.halts.rules import HaltScope
from apps.halts.services import engage_halt


class Command(BaseCommand):
    """``manage.py halt SCOPE [TARGET] --reason TEXT``: prints the halt's id."""

    help = "Engage a halt: when this returns, nothing new starts within it."

    def add_arguments(self, parser: CommandParser) -> None:
        """What to stop, and why."""
        parser.add_argument("scope", choices=[scope.value for scope in HaltScope])
        parser.add_argument("target", nargs="?", default="")
        parser.add_argument("--reason", required=True)
        parser.add_argument("--as", dest="username")

    def handle(self, *args: Any, **options: Any) -> str:
        """The halt's id."""
        actor, scope, target = acting_user(options["username"]), options["scope"], options["target"]
        try:
            unit = halt_target_for(actor, scope, target)
            return str(engage_halt(actor, scope=scope, target=target, unit=unit, reason=options["reason"]).pk)
        except DomainError as error:
            raise CommandError(f"{error.message} {error.errors or ''}".strip()) from error
