"""``manage.py apply FILE...``: make the database match documents."""

import sys
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.db import OperationalError
from django.utils.translation import gettext as _
from psycopg.errors import DeadlockDetected

from apps.audit.services import record_unfit_command
from apps.configuration.services import CHANGED, Applied, ConfigurationError, apply_texts
from apps.core.errors import DomainError
from apps.core.models import User
from apps.core.services import system_user

TRIES = 3


class Command(BaseCommand):
    """Says per object whether it was created, changed, removed or unchanged. All or nothing."""

    help = "Make the database match declarative YAML documents; all or nothing."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Files, and in whose name."""
        parser.add_argument("files", nargs="+", metavar="FILE", help="YAML documents; - reads standard input")
        parser.add_argument("--dry-run", action="store_true", help="say what would happen and change nothing")
        parser.add_argument("--as", dest="username", default="", help="act as this person instead of the console")
        parser.add_argument("--approved-by", default="", help="the second person, for the record")

    def handle(self, *args: Any, **options: Any) -> None:
        """Apply, and print a line per object."""
        texts = {name: _text(name) for name in options["files"]}
        actor = _person(options["username"]) if options["username"] else system_user("console")
        second = _person(options["approved_by"]) if options["approved_by"] else None
        try:
            applied = _applied(actor, texts=texts, dry_run=options["dry_run"], approved_by=second)
        except ConfigurationError as error:
            record_unfit_command(actor, command="apply", code=error.code, status=error.status)
            lines = [str(trouble) for trouble in error.troubles]
            raise CommandError("\n".join([*lines, _("Nothing was changed.")])) from error
        except DomainError as error:
            record_unfit_command(actor, command="apply", code=error.code, status=error.status)
            raise CommandError(f"{error.message} {_('Nothing was changed.')}") from error
        for each in applied:
            self.stdout.write(str(each))
            for line in each.difference if each.outcome == CHANGED else ():
                self.stdout.write(f"    {line}")
        if options["dry_run"]:
            self.stdout.write(_("Nothing was changed: this was a dry run."))


def _applied(actor: User, **options: Any) -> list[Applied]:
    """Apply; where others locked the same in another order, and the database chose this one to give way, once more."""
    for _try in range(TRIES):
        try:
            return apply_texts(actor, **options)
        except OperationalError as error:
            if not isinstance(error.__cause__, DeadlockDetected):
                raise
    raise CommandError(_("Others change the same at this moment. Nothing was changed: try again."))


def _text(name: str) -> str:
    try:
        return sys.stdin.read() if name == "-" else Path(name).read_text(encoding="utf-8")
    except OSError as error:
        raise CommandError(f"{name}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise CommandError(f"{name}: {_('This is not UTF-8 text.')}") from error


def _person(username: str) -> User:
    found = User.objects.filter(username=username, kind="human", is_active=True).first()
    if found is None:
        raise CommandError(_("There is no person called %s.") % username)
    return found
