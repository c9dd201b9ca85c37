"""Forget who somebody is at an identity provider."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from apps.access.services import unlink_identities
from apps.core.errors import DomainError
from apps.core.models import User
from apps.core.services import system_user


class Command(BaseCommand):
    """``manage.py unlink_identities USERNAME``: after the provider made their account anew."""

    help = "Forget who a person is at identity providers: their next single sign-on goes by their verified address."

    def add_arguments(self, parser: CommandParser) -> None:
        """Whose."""
        parser.add_argument("username")

    def handle(self, *args: Any, **options: Any) -> str:
        """How many."""
        person = User.objects.filter(username=options["username"], kind="human").first()
        if person is None:
            raise CommandError("There is nobody of that name.")
        try:
            return str(unlink_identities(system_user("console"), user=person))
        except DomainError as error:
            raise CommandError(error.message) from error
