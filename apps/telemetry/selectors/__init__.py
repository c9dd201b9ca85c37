"""What an agent may report about, who sees what it reported, and how much of what it does is governed."""

from apps.telemetry.selectors.discovered import decidable_for, discovered_for, one_discovered_for
from apps.telemetry.selectors.logs import LogFilter, logs_for, logs_of_run_for, rejected_logs_for
from apps.telemetry.selectors.spans import (
    LATE_DAYS,
    LONGEST_TEXT,
    MOST_SEARCHED,
    REJECTED_DAYS,
    Rejected,
    SpanFilter,
    Unlinked,
    rejected_for,
    span_for,
    spans_for,
    unlinked_for,
)
from apps.telemetry.selectors.tools import (
    COVERAGE_DAYS,
    coverage_for,
    coverage_of_all_for,
    dismissible_for,
    examples_for,
    finding_for,
    findings_for,
)
from apps.telemetry.selectors.work import Work, held_by, versions_at_work_for, work_for, works_for

__all__ = [
    "COVERAGE_DAYS",
    "LATE_DAYS",
    "LONGEST_TEXT",
    "MOST_SEARCHED",
    "REJECTED_DAYS",
    "LogFilter",
    "Rejected",
    "SpanFilter",
    "Unlinked",
    "Work",
    "coverage_for",
    "coverage_of_all_for",
    "decidable_for",
    "discovered_for",
    "dismissible_for",
    "examples_for",
    "finding_for",
    "findings_for",
    "held_by",
    "logs_for",
    "logs_of_run_for",
    "one_discovered_for",
    "rejected_for",
    "rejected_logs_for",
    "span_for",
    "spans_for",
    "unlinked_for",
    "versions_at_work_for",
    "work_for",
    "works_for",
]
