"""Read a log of how a process went before."""

from argparse import ArgumentParser
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from time import monotonic
from typing import Any, BinaryIO, cast

from django.core.management.base import BaseCommand, CommandError

from apps.access.services.acting import acting_user
from apps.core.errors import DomainError, InvalidError
from apps.kpis.rules.eventlogs import Columns, Dates, Spelling, Watched
from apps.kpis.services import import_event_log

EVERY_S = 5.0
MB = 1_000_000


def told(file: BinaryIO, size: int, tell: Callable[[str], object]) -> BinaryIO:
    """A file that says how much of it was read: at most each ``EVERY_S`` seconds, in a line."""
    last = monotonic()

    def say(place: int) -> None:
        nonlocal last
        if (now := monotonic()) - last >= EVERY_S:
            last = now
            tell(f"Read {place / MB:,.1f} of {size / MB:,.1f} MB")

    return cast("BinaryIO", Watched(file, say))


class Command(BaseCommand):
    """``manage.py import_event_log FILE --name NAME``: the log's id alone on the last line of stdout."""

    help = "Import an event log (CSV or XES, also .gz) as a baseline and a map of the process."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """The file, how it is called, and which of its columns says what."""
        parser.add_argument("file", type=Path)
        parser.add_argument("--name", required=True)
        parser.add_argument("--workflow", default="", help="whose baselines it sets")
        parser.add_argument(
            "--tz", default="", help="zone of times without offset, and of weeks, such as Europe/Berlin"
        )
        parser.add_argument("--encoding", default="", help="of a CSV that is not UTF-8, such as cp1252")
        parser.add_argument("--as", dest="username", default="", help="a person; without it, the console")
        parser.add_argument("--delimiter", default="", help="between cells; without it, what the first line uses most")
        parser.add_argument("--dates", choices=list(Dates), default=Dates.ISO, help="year, day or month first")
        parser.add_argument("--decimal", choices=[".", ","], default=".", help="sign of decimals in costs")
        parser.add_argument(
            "--attribute",
            action="append",
            default=[],
            help="column of a CSV, or attribute of an XES's traces, that is kept of each case; may be said again",
        )
        for part in fields(Columns):
            parser.add_argument(f"--{part.name}", default=part.default, help="column of a CSV (%(default)s)")

    def handle(self, *args: Any, **options: Any) -> None:
        """Read it whole, or say where it is at fault."""
        columns = Columns(**{part.name: options[part.name] for part in fields(Columns)})
        spelling = Spelling(options["delimiter"], Dates(options["dates"]), options["decimal"])
        asked = {name: options[name] for name in ("name", "workflow", "tz", "encoding")}
        try:
            actor = acting_user(options["username"])
            with options["file"].open("rb") as file:
                heard = told(file, options["file"].stat().st_size, self.stderr.write)
                log, said = import_event_log(
                    actor, file=heard, columns=columns, spelling=spelling, attributes=options["attribute"], **asked
                )
        except OSError as error:
            raise CommandError(f"{options['file']}: {error.strerror}") from error
        except InvalidError as error:
            raise CommandError(
                "\n".join(f"{path}: {text}" for path, texts in error.errors.items() for text in texts)
            ) from error
        except DomainError as error:
            raise CommandError(error.message) from error
        self.stderr.write(
            f"{said}: {log.cases:,} cases, {log.events:,} events from {log.first_at:%Y-%m-%d} to {log.last_at:%Y-%m-%d}"
        )
        if log.duplicates:
            self.stderr.write(f"{log.duplicates:,} rows stand there twice; they count as often as they stand there.")
        self.stdout.write(str(log.pk))
