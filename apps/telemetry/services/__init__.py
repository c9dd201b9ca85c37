"""Taking in what agents report."""

from apps.telemetry.services.by_hand import link_by_hand
from apps.telemetry.services.discovered import (
    adopt_as_new,
    adopt_discovered,
    block_discovered,
    ignore_discovered,
)
from apps.telemetry.services.erasing import erase_reports
from apps.telemetry.services.logs import forget_logs, take_logs
from apps.telemetry.services.own_traces import tell_run
from apps.telemetry.services.spans import Taken, forget_spans, take_spans
from apps.telemetry.services.tools import dismiss_finding, judge_tool_calls
from apps.telemetry.services.usage import record_usage
from apps.telemetry.services.waiting import settle_waiting

__all__ = [
    "Taken",
    "adopt_as_new",
    "adopt_discovered",
    "block_discovered",
    "dismiss_finding",
    "erase_reports",
    "forget_logs",
    "forget_spans",
    "ignore_discovered",
    "judge_tool_calls",
    "link_by_hand",
    "record_usage",
    "settle_waiting",
    "take_logs",
    "take_spans",
    "tell_run",
]
