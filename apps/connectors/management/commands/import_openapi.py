"""Import an OpenAPI document from the command line."""

import sys
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.utils.translation import gettext as _

from apps.access.services.acting import acting_user
from apps.connectors.models import Connector
from apps.connectors.rules.openapi import BYTES_MAX, Contents
from apps.connectors.rules.pins import Plan
from apps.connectors.selectors import connector_for
from apps.connectors.services import import_openapi
from apps.core.errors import DomainError, InvalidError
from apps.core.models import User


class Command(BaseCommand):
    """``manage.py import_openapi CONNECTOR FILE``: a line per operation. People confirm what came in afterwards."""

    help = "Import an OpenAPI 3.0 or 3.1 document. What is new is disabled, what changed in use is quarantined."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Where to, what, in whose name."""
        parser.add_argument("connector")
        self.add_source(parser)
        parser.add_argument("--dry-run", action="store_true", help="say what would happen and change nothing")
        parser.add_argument("--as", dest="username")

    def add_source(self, parser: ArgumentParser) -> None:
        """Which document."""
        parser.add_argument("file", metavar="FILE", help="JSON or YAML; - reads standard input")

    def take(self, actor: User, connector: Connector, options: dict[str, Any]) -> tuple[Contents, Plan]:
        """Import the document."""
        text = _text(options["file"])
        return import_openapi(actor, connector=connector, text=text, dry_run=options["dry_run"])

    def handle(self, *args: Any, **options: Any) -> None:
        """Import, and print what became of each operation."""
        try:
            actor = acting_user(options["username"])
            connector = connector_for(actor, options["connector"])
            contents, plan = self.take(actor, connector, options)
        except InvalidError as error:
            said = [text for texts in error.errors.values() for text in texts]
            raise CommandError("\n".join([*said, _("Nothing was changed.")])) from error
        except DomainError as error:
            raise CommandError(f"{error.message} {_('Nothing was changed.')}") from error
        lines = [
            *contents.notes,
            *(f"new {found.slug} ({found.where}) {found.guess.effect}: {found.guess.reason}" for found in plan.new),
            *(f"changed {change.known.slug}: {', '.join(change.fields)}" for change in plan.changed),
            *(f"removed {known.slug}" for known in plan.removed),
            *(f"unchanged {slug}" for slug in plan.same),
            *(f"left out {unfit.where} {unfit.path}: {unfit.reason}" for unfit in plan.unfit),
        ]
        self.stdout.write("\n".join(lines))
        if options["dry_run"]:
            self.stdout.write(_("Nothing was changed: this was a dry run."))


def _text(name: str) -> str:
    try:
        if name == "-":
            return sys.stdin.read(BYTES_MAX + 1)
        with Path(name).open(encoding="utf-8-sig") as file:
            return file.read(BYTES_MAX + 1)
    except OSError as error:
        raise CommandError(f"{name}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise CommandError(f"{name}: {_('This is not UTF-8 text.')}") from error
