"""What runs by the clock."""

from apps.connectors import services


def end_overlaps() -> int:
    """Destroy the secrets that stood in for long enough; how many."""
    return services.end_overlaps()


def forget_calls() -> int:
    """Delete what was noted of calls long ago; how many lines."""
    return services.forget_calls()


def watch_tools() -> int:
    """See whether imported tools are still described as a person confirmed them; how many are not."""
    return services.watch_tools()
