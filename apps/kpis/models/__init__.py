"""Facts, rollups of facts, what things cost, and what they are compared with."""

from apps.kpis.models.acts import ActionFact, IncidentFact
from apps.kpis.models.anomalies import Anomaly
from apps.kpis.models.business import Kpi, KpiValue
from apps.kpis.models.facts import ApprovalFact, CostItem, Fact, RunFact, StepFact
from apps.kpis.models.goals import Baseline, Target
from apps.kpis.models.history import HistoryImport, HistoryMark
from apps.kpis.models.logs import EventLog, LogCase, LogUpload
from apps.kpis.models.prices import PriceBook, Rate, rate_book
from apps.kpis.models.rollups import DurationDay, Reconciliation, RollupDay, first_unkept_day
from apps.kpis.models.uptime import CallHour, MinutesLooked, MinuteSpell

__all__ = [
    "ActionFact",
    "Anomaly",
    "ApprovalFact",
    "Baseline",
    "CallHour",
    "CostItem",
    "DurationDay",
    "EventLog",
    "Fact",
    "HistoryImport",
    "HistoryMark",
    "IncidentFact",
    "Kpi",
    "KpiValue",
    "LogCase",
    "LogUpload",
    "MinuteSpell",
    "MinutesLooked",
    "PriceBook",
    "Rate",
    "Reconciliation",
    "RollupDay",
    "RunFact",
    "StepFact",
    "Target",
    "first_unkept_day",
    "rate_book",
]
