"""Keeping count of what rules do."""

from collections.abc import Sequence
from datetime import UTC
from typing import Any

from django.db import connection, transaction

from apps.agents.models import Action
from apps.agents.rules import Environment
from apps.audit.models import Entry
from apps.policies.rules.numbers import COLUMNS, NAMES, Move, tally

_MORE = ", ".join(f"{name} = policies_ruleday.{name} + EXCLUDED.{name}" for name in COLUMNS)
ADD = f"""
INSERT INTO policies_ruleday (policy, rule, day, {", ".join(COLUMNS)}) VALUES (%s, %s, %s{", %s" * len(COLUMNS)})
ON CONFLICT (policy, rule, day) DO UPDATE SET {_MORE}
"""  # noqa: S608 - our own column names


@transaction.atomic
def count_entries(*, entries: Sequence[Entry]) -> int:
    """Add the moves that ``entries`` tell to the days' counts; how many lines changed. Each entry is told once."""
    told = [entry for entry in entries if entry.name in NAMES and "from" in entry.payload]
    rows_of = Action.objects.filter(pk__in={entry.subject_id for entry in told}, environment=Environment.LIVE)
    verdicts = dict(rows_of.values_list("pk", "verdict"))
    counts = tally(
        Move(
            entry.occurred_at.astimezone(UTC).date(),
            entry.payload["from"],
            entry.name.removeprefix("action."),
            verdicts.get(entry.subject_id, {}),
        )
        for entry in told
    )
    rows: list[list[Any]] = [[*key, *(count[name] for name in COLUMNS)] for key, count in sorted(counts.items())]
    if rows:
        with connection.cursor() as cursor:
            cursor.executemany(ADD, rows)
    return len(rows)
