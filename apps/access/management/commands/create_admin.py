"""The first administrator."""

from typing import Any

from allauth.account.forms import default_token_generator
from allauth.account.utils import user_pk_to_url_str
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import transaction
from django.urls import reverse

from apps.access.models import Role
from apps.access.rules import ADMINISTRATOR
from apps.access.services import grant_role, save_person
from apps.core.errors import DomainError
from apps.core.services import system_user


class Command(BaseCommand):
    """``manage.py create_admin USERNAME --email ADDRESS``: prints a link at which they set their password, once."""

    help = "Make an administrator and print the address at which they set their password; it works once."

    def add_arguments(self, parser: CommandParser) -> None:
        """The sign-in name and the address."""
        parser.add_argument("username")
        parser.add_argument("--email", required=True)
        parser.add_argument("--base-url", default="http://127.0.0.1:8000")

    def handle(self, *args: Any, **options: Any) -> str:
        """The address."""
        console = system_user("console")
        try:
            with transaction.atomic():
                person, _ = save_person(
                    console,
                    username=options["username"],
                    name=options["username"],
                    email=options["email"],
                    is_staff=True,
                    reinstate=True,
                )
                grant_role(console, user=person, role=Role.objects.get(slug=ADMINISTRATOR))
        except DomainError as error:
            raise CommandError(f"{error.message} {error.errors or ''}".strip()) from error
        key = f"{user_pk_to_url_str(person)}-{default_token_generator.make_token(person)}"
        uidb36, _dash, token = key.partition("-")
        path = reverse("account_reset_password_from_key", kwargs={"uidb36": uidb36, "key": token})
        return f"{options['base_url'].rstrip('/')}{path}"
