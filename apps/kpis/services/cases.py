"""Keeping the cases of an event log, in place of those that stood there."""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any
from zoneinfo import ZoneInfo

from django.db import connection

from apps.kpis.models import EventLog, LogCase
from apps.kpis.rules.eventlogs import Attributes, Event, way_digest
from apps.kpis.rules.eventlogs.figures import cost_of, cycle_s_of, handovers_of, is_reworked, week_of

COPY = """COPY kpis_logcase
  (log_id, name, first_at, last_at, cycle_s, week, way, did, by, handovers, reworked, cost, told) FROM STDIN"""


EACH = 500


def keep_cases(
    log: EventLog,
    cases: Mapping[str, Sequence[Event]],
    said: Attributes,
    zone: ZoneInfo,
    tell: Callable[[int], None],
) -> None:
    """Write all cases at once, within the caller's transaction; a million rows are a minute's work for an ORM.

    ``tell`` hears of every few hundred how many were written.
    """
    tell(0)
    LogCase.objects.filter(log=log).delete()
    with connection.cursor() as cursor, cursor.copy(COPY) as copy:
        for written, row in enumerate(_rows(log, cases, said, zone), start=1):
            copy.write_row(row)
            if written % EACH == 0:
                tell(written)


def _rows(
    log: EventLog, cases: Mapping[str, Sequence[Event]], said: Attributes, zone: ZoneInfo
) -> Iterator[tuple[Any, ...]]:
    for name, rows in cases.items():
        did = [row.activity for row in rows]
        yield (
            log.pk,
            name,
            min(row.start for row in rows),
            rows[-1].complete,
            cycle_s_of(rows),
            week_of(rows[-1].complete, zone),
            way_digest(did),
            did,
            [row.resource for row in rows],
            handovers_of(rows),
            is_reworked(rows),
            cost_of(rows),
            json.dumps(said.of(name)),
        )
