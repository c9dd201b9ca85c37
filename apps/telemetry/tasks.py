"""What follows from entries, and what runs by the clock."""

from apps.audit.models import Entry
from apps.audit.tasks import reaction
from apps.telemetry import services


@reaction
def tell_run(entry: Entry) -> None:
    """A run is over: the plane's own traces tell of it."""
    services.tell_run(run_id=entry.subject_id)


@reaction
def erase_reports(entry: Entry) -> None:
    """The words of a trail were erased: what agents reported of it goes with them."""
    services.erase_reports(entry.actor, trail=entry.trail_id)


def forget_spans() -> int:
    """Delete the oldest spans and log records; how many."""
    return services.forget_spans() + services.forget_logs()


def settle_waiting() -> int:
    """Settle the traces for which a request had no room; how many."""
    return services.settle_waiting()


def judge_tool_calls() -> int:
    """Judge the calls of tools that have waited long enough; how many."""
    return services.judge_tool_calls()
