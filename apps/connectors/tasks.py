"""What runs by the clock."""

from apps.connectors import services


def forget_calls() -> int:
    """Delete what was noted of calls long ago; how many lines."""
    return services.forget_calls()
