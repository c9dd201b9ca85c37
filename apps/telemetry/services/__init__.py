"""Taking in what agents report."""

from apps.telemetry.services.spans import Taken, forget_spans, take_spans
from apps.telemetry.services.usage import record_usage

__all__ = ["Taken", "forget_spans", "record_usage", "take_spans"]
