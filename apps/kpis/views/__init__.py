"""Pages of KPIs."""

from apps.kpis.views.dashboards import behind, dashboard, dashboards, export, simulated_run
from apps.kpis.views.goals import goals, remove_goal, set_baseline, set_target
from apps.kpis.views.quality import oversight

__all__ = [
    "behind",
    "dashboard",
    "dashboards",
    "export",
    "goals",
    "oversight",
    "remove_goal",
    "set_baseline",
    "set_target",
    "simulated_run",
]
