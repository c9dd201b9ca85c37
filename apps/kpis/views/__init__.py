"""Pages of KPIs."""

from apps.kpis.views.agents import agent, agent_printed, agents
from apps.kpis.views.anomalies import anomalies, mute, unmute
from apps.kpis.views.cases import export_log_cases, log_cases
from apps.kpis.views.cost import cost, cost_behind, export_cost
from apps.kpis.views.dashboards import (
    behind,
    dashboard,
    dashboards,
    export,
    export_events,
    export_rows,
    export_split,
    printed,
    simulated_run,
)
from apps.kpis.views.data_quality import data_quality, data_quality_behind
from apps.kpis.views.exposition import kpi_figures, process_figures
from apps.kpis.views.goals import approve_baseline, decline_baseline, goals, remove_goal, set_baseline, set_target
from apps.kpis.views.imports import cancel_log_import, discard_log_upload, read_log_upload
from apps.kpis.views.logs import draft_from_log, event_log, event_logs, remove_event_log, start_workflow_from_log
from apps.kpis.views.prices import prices, set_price
from apps.kpis.views.quality import oversight
from apps.kpis.views.versions import agent_versions, versions, weeks

__all__ = [
    "agent",
    "agent_printed",
    "agent_versions",
    "agents",
    "anomalies",
    "approve_baseline",
    "behind",
    "cancel_log_import",
    "cost",
    "cost_behind",
    "dashboard",
    "dashboards",
    "data_quality",
    "data_quality_behind",
    "decline_baseline",
    "discard_log_upload",
    "draft_from_log",
    "event_log",
    "event_logs",
    "export",
    "export_cost",
    "export_events",
    "export_log_cases",
    "export_rows",
    "export_split",
    "goals",
    "kpi_figures",
    "log_cases",
    "mute",
    "oversight",
    "prices",
    "printed",
    "process_figures",
    "read_log_upload",
    "remove_event_log",
    "remove_goal",
    "set_baseline",
    "set_price",
    "set_target",
    "simulated_run",
    "start_workflow_from_log",
    "unmute",
    "versions",
    "weeks",
]
