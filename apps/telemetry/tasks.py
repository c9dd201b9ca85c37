"""What runs by the clock."""

from apps.telemetry import services


def forget_spans() -> int:
    """Delete the oldest spans; how many."""
    return services.forget_spans()


def judge_tool_calls() -> int:
    """Judge the calls of tools that have waited long enough; how many."""
    return services.judge_tool_calls()
