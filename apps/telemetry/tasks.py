"""What runs by the clock."""

from apps.telemetry import services


def forget_spans() -> int:
    """Delete the oldest spans; how many."""
    return services.forget_spans()
