"""Count every cost again by what holds now."""

from argparse import ArgumentParser
from datetime import date, datetime, time
from typing import Any

from django.core.management.base import BaseCommand

from apps.kpis.models.clock import reporting_zone
from apps.kpis.services.recounting import recount_costs


class Command(BaseCommand):
    """``manage.py recount_costs [--since DAY]``: how many costs were counted again, on the last line of stdout."""

    help = "Count costs again, by the prices, the rates and the reporting currency of now."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """From which day on; without it, all that the ledger tells of."""
        parser.add_argument("--since", type=date.fromisoformat, default=None, help="a day of the reporting zone")

    def handle(self, *args: Any, **options: Any) -> None:
        """Count, and say how far it is."""
        since = options["since"] and datetime.combine(options["since"], time(), reporting_zone())
        self.stdout.write(str(recount_costs(since=since, tell=lambda n: self.stderr.write(f"{n} costs"))))
