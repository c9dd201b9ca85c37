"""Taking in what agents report."""

from apps.telemetry.services.by_hand import link_by_hand
from apps.telemetry.services.spans import Taken, forget_spans, take_spans
from apps.telemetry.services.tools import dismiss_finding, judge_tool_calls
from apps.telemetry.services.usage import record_usage

__all__ = ["Taken", "dismiss_finding", "forget_spans", "judge_tool_calls", "link_by_hand", "record_usage", "take_spans"]
