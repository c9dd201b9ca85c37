"""What can happen to facts, rollups, prices, baselines and targets."""

from apps.kpis.services.facts import write_facts
from apps.kpis.services.filling import fill_acts
from apps.kpis.services.folding import fold_entries
from apps.kpis.services.goals import delete_goal, save_baseline, save_price, save_target
from apps.kpis.services.history import import_history
from apps.kpis.services.logs import delete_event_log, import_event_log
from apps.kpis.services.opening import fill_open_time
from apps.kpis.services.rollups import recompute_rollups, reconcile_rollups
from apps.kpis.services.uploads import forget_upload, keep_upload, sweep_uploads

__all__ = [
    "delete_event_log",
    "delete_goal",
    "fill_acts",
    "fill_open_time",
    "fold_entries",
    "forget_upload",
    "import_event_log",
    "import_history",
    "keep_upload",
    "recompute_rollups",
    "reconcile_rollups",
    "save_baseline",
    "save_price",
    "save_target",
    "sweep_uploads",
    "write_facts",
]
