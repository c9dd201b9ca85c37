"""Taking in what agents report."""

from apps.telemetry.services.spans import Taken, forget_spans, take_spans
from apps.telemetry.services.tools import dismiss_finding, judge_tool_calls
from apps.telemetry.services.usage import record_usage

__all__ = ["Taken", "dismiss_finding", "forget_spans", "judge_tool_calls", "record_usage", "take_spans"]
