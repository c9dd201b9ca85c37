"""What runs by the clock."""

from apps.connectors import services


def end_overlaps() -> int:
    """Destroy the secrets that stood in for long enough; how many."""
    return services.end_overlaps()


def forget_calls() -> int:
    """Delete what was noted of calls long ago; how many lines."""
    return services.forget_calls()
