"""What an agent may report about, and who sees what it reported."""

from apps.telemetry.selectors.spans import spans_for
from apps.telemetry.selectors.work import Work, work_for

__all__ = ["Work", "spans_for", "work_for"]
