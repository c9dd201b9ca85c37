"""What follows from entries for those who are told of them, and the lane in which they are told."""

from threading import Lock

from apps.audit.models import Entry
from apps.audit.tasks import reaction
from apps.notifications import services

_sending = Lock()
_reporting = Lock()


@reaction
def tell(entry: Entry) -> None:
    """People are to be told. Only that is written here; who, how and when follows in a lane of its own."""
    services.raise_notice(entry.actor, entry=entry)


@reaction
def hush_voter(entry: Entry) -> None:
    """Whoever has voted is not asked any more."""
    services.close_notices(entry.actor, escalation_id=entry.subject_id)


@reaction
def leave_browsers(entry: Entry) -> None:
    """Whoever left the house is told nothing in their browsers."""
    services.end_browsers(entry.actor, person_id=entry.subject_id)


@reaction
def hush_erasure(entry: Entry) -> None:
    """Nobody is asked any more to agree with an erasure that ended."""
    services.close_erasure_notices(entry.actor, trail_id=entry.trail_id)


@reaction
def hush_proposal(entry: Entry) -> None:
    """Nobody is asked any more to release a change of rules that was decided."""
    services.close_proposal_notices(entry.actor, proposal_id=entry.subject_id)


@reaction
def hush_change(entry: Entry) -> None:
    """Nobody is asked any more to release a change of a budget that was decided."""
    services.close_change_notices(entry.actor, change_id=entry.subject_id)


@reaction
def hush_breaker(entry: Entry) -> None:
    """Nobody is asked any more to release a change of a breaker that was decided."""
    services.close_breaker_notices(entry.actor, change_id=entry.subject_id)


@reaction
def hush_waiver(entry: Entry) -> None:
    """Nobody is asked any more to approve a waiver that was decided, or that nobody decided in time."""
    services.close_waiver_notices(entry.actor, waiver_id=entry.subject_id)


def send_messages() -> int:
    """Write and send what is due; how much. One thread of a process at a time: a slow mail server holds no others."""
    if not _sending.acquire(blocking=False):
        return 0
    try:
        return services.spread_notices() + services.send_due()
    finally:
        _sending.release()


def send_reports() -> int:
    """Write and post the weekly reports that are due, beside all other messages; how many."""
    if not _reporting.acquire(blocking=False):
        return 0
    try:
        return services.send_reports()
    finally:
        _reporting.release()


def sweep_notices() -> int:
    """Forget what people were told long ago."""
    return services.forget_notices()


def issue_reports() -> int:
    """Say of each weekly report that is due that it is; how many."""
    return services.issue_reports()
