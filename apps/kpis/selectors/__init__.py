"""Questions about KPIs, baselines, targets, and the rows behind a number."""

from apps.kpis.selectors.goals import baseline_for, baselines_for, goals_for, target_for, targets_for
from apps.kpis.selectors.kpis import Answer, Point, behind_for, definition_for, kpis_for
from apps.kpis.selectors.live import Live, live_for
from apps.kpis.selectors.logs import draft_for, event_log_for, event_logs_for
from apps.kpis.selectors.totals import Total
from apps.kpis.selectors.traces import spans_of_action_for, spans_of_run_for

__all__ = [
    "Answer",
    "Live",
    "Point",
    "Total",
    "baseline_for",
    "baselines_for",
    "behind_for",
    "definition_for",
    "draft_for",
    "event_log_for",
    "event_logs_for",
    "goals_for",
    "kpis_for",
    "live_for",
    "spans_of_action_for",
    "spans_of_run_for",
    "target_for",
    "targets_for",
]
