"""Endpoints of KPIs, baselines, targets and event logs."""

from apps.kpis.api.data_quality import DataQualityDetail
from apps.kpis.api.events import KpiEvents
from apps.kpis.api.goals import (
    BaselineApproval,
    BaselineDecline,
    BaselineDetail,
    Baselines,
    BaselineVersions,
    TargetDetail,
    Targets,
)
from apps.kpis.api.kpis import KpiRuns, Kpis
from apps.kpis.api.logs import EventLogCases, EventLogDetail, EventLogs
from apps.kpis.api.splits import KpiSplits
from apps.kpis.api.versions import KpiAgentVersions, KpiVersions
from apps.kpis.api.worth_a_look import ControlCharts, UnusualHours, WorthALook, WorthALookMute, WorthALookUnmute

__all__ = [
    "BaselineApproval",
    "BaselineDecline",
    "BaselineDetail",
    "BaselineVersions",
    "Baselines",
    "ControlCharts",
    "DataQualityDetail",
    "EventLogCases",
    "EventLogDetail",
    "EventLogs",
    "KpiAgentVersions",
    "KpiEvents",
    "KpiRuns",
    "KpiSplits",
    "KpiVersions",
    "Kpis",
    "TargetDetail",
    "Targets",
    "UnusualHours",
    "WorthALook",
    "WorthALookMute",
    "WorthALookUnmute",
]
