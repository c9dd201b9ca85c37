"""What runs by the ledger and by the clock."""

from apps.audit.models import Entry
from apps.kpis import services


def fold_entries(entries: list[Entry]) -> None:
    """The projection ``kpis``: entries in order, in the transaction that moves its cursor."""
    services.fold_entries(entries=entries)


def reconcile_rollups() -> int:
    """Each night: hold the rollups of the last weeks against the facts and mend them; how many buckets differed."""
    return services.reconcile_rollups()


def keep_durations() -> int:
    """Write down the durations of days that are over; how many days."""
    return services.keep_durations()


def fill_facts() -> int:
    """Count what was not counted when it happened: open time before there was a calendar, actions, incidents."""
    return services.fill_open_time() + services.fill_acts()


def fill_values() -> int:
    """Work out what runs gave for KPIs of one's own, those that ended and, after a change, all; how many values."""
    return services.fill_values()


def look_at_minutes() -> int:
    """Look at the minute that ended last, once: which agents and workflows could be relied on; how many are in it."""
    return services.look_at_minutes()


def forget_minutes() -> int:
    """Each day: forget minutes and calls of more than two years ago; how many rows."""
    return services.forget_minutes()


def import_uploads() -> int:
    """Import an event log that waits for it; 1 if there was one."""
    return services.import_uploads()


def sweep_uploads() -> int:
    """Delete the event logs that nobody imported within the hour; how many."""
    return services.sweep_uploads()


def find_anomalies() -> int:
    """Hold the newest hour that is over against the same hour of eight weeks; how many anomalies began."""
    return services.find_anomalies()


def judge_alerts() -> int:
    """Judge targets of the week that is over, SLAs of what is open, and backlogs; how many alerts began."""
    return services.judge_alerts()
