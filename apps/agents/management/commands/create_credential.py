"""Make a key for an agent."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from apps.access.services.acting import acting_user
from apps.agents.models import Agent
from apps.agents.rules import Environment
from apps.agents.services import create_credential
from apps.core.errors import DomainError


class Command(BaseCommand):
    """``manage.py create_credential AGENT``: the key alone on standard output, once."""

    help = "Make a key for an agent and print it, once, alone on standard output."

    def add_arguments(self, parser: CommandParser) -> None:
        """The agent's slug, the days, where it acts and from where, and who makes it."""
        parser.add_argument("agent")
        parser.add_argument("--days", type=int, default=90)
        parser.add_argument("--environment", choices=[each.value for each in Environment], default="live")
        parser.add_argument("--network", action="append", default=[], help="10.0.0.0/8; may be repeated")
        parser.add_argument("--as", dest="username")

    def handle(self, *args: Any, **options: Any) -> str:
        """The key."""
        agent = Agent.objects.select_related("unit").filter(slug=options["agent"]).first()
        if agent is None:
            raise CommandError(f"There is no agent {options['agent']}.")
        try:
            return create_credential(
                acting_user(options["username"]),
                agent=agent,
                days=options["days"],
                environment=options["environment"],
                networks=options["network"],
            ).text
        except DomainError as error:
            raise CommandError(f"{error.message} {error.errors or ''}".strip()) from error
