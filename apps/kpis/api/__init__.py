"""Endpoints of KPIs, baselines and targets."""

from apps.kpis.api.goals import BaselineDetail, Baselines, TargetDetail, Targets
from apps.kpis.api.kpis import KpiRuns, Kpis

__all__ = ["BaselineDetail", "Baselines", "KpiRuns", "Kpis", "TargetDetail", "Targets"]
