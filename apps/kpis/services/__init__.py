"""What can happen to facts, rollups, prices, baselines and targets."""

from apps.kpis.services.facts import write_facts
from apps.kpis.services.rollups import recompute_rollups, reconcile_rollups

__all__ = ["recompute_rollups", "reconcile_rollups", "write_facts"]
