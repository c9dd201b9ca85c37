"""What runs by the clock, and what follows from entries."""

from apps.access import services
from apps.audit.models import Entry
from apps.audit.tasks import reaction
from apps.core.services import system_user


def sweep_absences() -> int:
    """Each second: note which absences began and which are over; how many."""
    return services.sweep_absences()


def sweep_emergencies() -> int:
    """Each minute: note which emergency accounts' hours are over; how many."""
    return services.sweep_emergencies()


def forget_sessions() -> int:
    """Each hour: delete the sessions that are over, and what is noted of assertions that are; how many."""
    return services.forget_sessions() + services.forget_assertions()


@reaction
def note_emergency_change(entry: Entry) -> None:
    """Something was changed with an emergency account."""
    services.note_emergency_change(system_user("plane"), entry=entry)
