"""Run the expense declaration workflow on real cases of an event log."""

import csv
import gzip
import time
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from apps.access.services.acting import acting_user
from apps.core.errors import DomainError
from apps.demo.rules import Declaration, LogError, declarations_in
from apps.demo.services import submit_declarations

TELL_EVERY_S = 2.0


class Command(BaseCommand):
    """``manage.py submit_declarations FILE --cases N``: the number started alone on stdout, how far it is on stderr."""

    told_at = 0.0
    help = "Start one expense declaration run per real case of an event log (CSV, also .gz)."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """The file, how many of its cases, and who submits them."""
        parser.add_argument("file", type=Path)
        parser.add_argument("--cases", type=int, required=True)
        parser.add_argument("--as", dest="username", default="", help="a person; without it, the console")

    def handle(self, *args: Any, **options: Any) -> None:
        """Read, start, count."""
        if options["cases"] < 1:
            raise CommandError("--cases is a number above zero.")
        declarations = _read(options["file"], options["cases"])
        try:
            actor = acting_user(options["username"])
            started = submit_declarations(actor, declarations=declarations, tell=self._tell)
        except DomainError as error:
            raise CommandError(f"{error.message} {error.errors or ''}".strip()) from error
        self.stdout.write(str(started))

    def _tell(self, done: int, everything: int) -> None:
        """How far it is, on stderr, now and then and at the end."""
        if done == everything or time.monotonic() - self.told_at > TELL_EVERY_S:
            self.told_at = time.monotonic()
            self.stderr.write(f"{done} of {everything} runs started", self.style.NOTICE)


def _read(path: Path, limit: int) -> list[Declaration]:
    try:
        with gzip.open(path, "rt", newline="") if path.suffix == ".gz" else path.open(newline="") as file:
            return declarations_in(csv.DictReader(file), limit=limit)
    except (OSError, UnicodeDecodeError, EOFError, csv.Error, LogError) as error:
        raise CommandError(f"{path}: {error}") from error
