"""Load the sample company; run again, it changes nothing that is there."""

import json
import os
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from apps.core.errors import DomainError
from apps.core.models import User
from apps.core.services import system_user
from apps.demo.services import (
    HISTORY_SEED,
    SCALES,
    load_administrator,
    load_company,
    load_history,
    load_prices,
    make_keys,
    start_samples,
)

KEYS = "agent-keys.json"


class Command(BaseCommand):
    """``manage.py load_sample``: documents, prices, keys of the agents, history, first runs."""

    help = "Load the sample company. Running it again changes nothing that is there."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """``--empty`` loads the user ``admin`` alone; ``--no-history`` and ``--no-runs`` leave those out.

        ``--scale`` makes a year of history instead of a quarter; ``--seed`` another one.
        """
        parser.add_argument("--empty", action="store_true")
        parser.add_argument("--no-history", action="store_true")
        parser.add_argument("--no-runs", action="store_true")
        parser.add_argument("--scale", choices=SCALES, default="", help="a year of history with about so many runs")
        parser.add_argument("--seed", type=int, default=HISTORY_SEED, help="another number is another history")

    def handle(self, *args: Any, **options: Any) -> None:
        """Say what came in, a line each."""
        if settings.IN_PRODUCTION:
            raise CommandError("The sample company's passwords are known to everybody: production does not take it in.")
        try:
            self._load(system_user("console"), options)
        except DomainError as error:
            raise CommandError(f"{error.message} {error.errors or ''}".strip()) from error

    def _load(self, console: User, options: dict[str, Any]) -> None:
        if options["empty"]:
            load_administrator(console)
            return
        self.stdout.write(f"documents: {len(load_company(console))} created or changed")
        load_prices(console)
        _write_keys(settings.ACP_DATA_DIR / KEYS, make_keys(console, known=_read_keys(settings.ACP_DATA_DIR / KEYS)))
        if not options["no_history"]:
            came = load_history(console, scale=options["scale"], seed=options["seed"], tell=self._tell)
            self.stdout.write(f"history: {came} simulated runs")
        if not options["no_runs"]:
            self.stdout.write(f"runs: {start_samples(console)} started")

    def _tell(self, done: int, about: int) -> None:
        self.stderr.write(f"{done:,} of about {about:,} runs of history")


def _read_keys(path: Path) -> dict[str, str]:
    try:
        keys: dict[str, str] = json.loads(path.read_text())
    except (OSError, ValueError):
        return {}
    return keys


def _write_keys(path: Path, keys: dict[str, str]) -> None:
    """Whole or not at all, and for the owner's eyes."""
    draft = path.with_suffix(".new")
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        json.dump(keys, file, indent=1)
    draft.replace(path)
