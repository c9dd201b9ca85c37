"""Event logs of processes as they were: read from CSV and XES, and what they say. Pure."""

from apps.kpis.rules.eventlogs.attributes import Attributes
from apps.kpis.rules.eventlogs.cases import CasePart, CasesAsked, asked_cases, way_digest
from apps.kpis.rules.eventlogs.clocks import Dates, Spelling
from apps.kpis.rules.eventlogs.drafts import draft_of, slug_for
from apps.kpis.rules.eventlogs.events import MAX_BYTES, MAX_EVENTS, Event, LogError
from apps.kpis.rules.eventlogs.figures import LogFigures, cases_in, figures_of
from apps.kpis.rules.eventlogs.reading import Watched, read_log
from apps.kpis.rules.eventlogs.tables import Columns

__all__ = [
    "MAX_BYTES",
    "MAX_EVENTS",
    "Attributes",
    "CasePart",
    "CasesAsked",
    "Columns",
    "Dates",
    "Event",
    "LogError",
    "LogFigures",
    "Spelling",
    "Watched",
    "asked_cases",
    "cases_in",
    "draft_of",
    "figures_of",
    "read_log",
    "slug_for",
    "way_digest",
]
