"""Event logs of processes as they were: read from CSV and XES, and what they say. Pure."""

from apps.kpis.rules.eventlogs.clocks import Dates, Spelling
from apps.kpis.rules.eventlogs.drafts import draft_of
from apps.kpis.rules.eventlogs.events import MAX_BYTES, MAX_EVENTS, Event, LogError
from apps.kpis.rules.eventlogs.figures import LogFigures, figures_of
from apps.kpis.rules.eventlogs.reading import read_log
from apps.kpis.rules.eventlogs.tables import Columns

__all__ = [
    "MAX_BYTES",
    "MAX_EVENTS",
    "Columns",
    "Dates",
    "Event",
    "LogError",
    "LogFigures",
    "Spelling",
    "draft_of",
    "figures_of",
    "read_log",
]
