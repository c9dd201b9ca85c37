"""``manage.py export``: the present configuration as documents."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand

from apps.configuration.rules import KINDS
from apps.configuration.selectors import export_for
from apps.core.services import system_user


class Command(BaseCommand):
    """Writes YAML to standard output; applying it changes nothing. Secrets and passwords are never in it."""

    help = "Write the present configuration as YAML documents."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Which kinds."""
        parser.add_argument("--kind", action="append", choices=KINDS, help="only this kind; may be given again")

    def handle(self, *args: Any, **options: Any) -> None:
        """Write the documents."""
        self.stdout.write(export_for(system_user("console"), kinds=options["kind"] or KINDS), ending="")
