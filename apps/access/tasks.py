"""What runs by the clock."""

from apps.access import services


def sweep_absences() -> int:
    """Each second: note which absences began and which are over; how many."""
    return services.sweep_absences()


def forget_sessions() -> int:
    """Each hour: delete the sessions that are over; how many."""
    return services.forget_sessions()
