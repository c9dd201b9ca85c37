"""Endpoints of KPIs, baselines, targets and event logs."""

from apps.kpis.api.data_quality import DataQualityDetail
from apps.kpis.api.events import KpiEvents
from apps.kpis.api.goals import BaselineDetail, Baselines, TargetDetail, Targets
from apps.kpis.api.kpis import KpiRuns, Kpis
from apps.kpis.api.logs import EventLogDetail, EventLogs

__all__ = [
    "BaselineDetail",
    "Baselines",
    "DataQualityDetail",
    "EventLogDetail",
    "EventLogs",
    "KpiEvents",
    "KpiRuns",
    "Kpis",
    "TargetDetail",
    "Targets",
]
