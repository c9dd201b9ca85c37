"""What can happen to facts, rollups, prices, baselines and targets."""

from apps.kpis.services.alerts import judge_alerts
from apps.kpis.services.anomalies import find_anomalies, mute_anomaly, unmute_anomaly
from apps.kpis.services.baselines import approve_baseline, decline_baseline, remove_baseline, save_baseline
from apps.kpis.services.business import delete_kpi, save_kpi
from apps.kpis.services.durations import keep_durations
from apps.kpis.services.facts import write_facts
from apps.kpis.services.filling import fill_acts
from apps.kpis.services.folding import fold_entries
from apps.kpis.services.goals import delete_target, save_price, save_target
from apps.kpis.services.history import import_history, unfinished_history
from apps.kpis.services.importing import cancel_import, import_uploads, start_import
from apps.kpis.services.logs import delete_event_log, import_event_log
from apps.kpis.services.opening import fill_open_time
from apps.kpis.services.rates import save_rate, weigh_rate
from apps.kpis.services.rollups import recompute_rollups, reconcile_rollups
from apps.kpis.services.uploads import forget_upload, keep_upload, sweep_uploads
from apps.kpis.services.uptime import forget_minutes, look_at_minutes
from apps.kpis.services.values import fill_values

__all__ = [
    "approve_baseline",
    "cancel_import",
    "decline_baseline",
    "delete_event_log",
    "delete_kpi",
    "delete_target",
    "fill_acts",
    "fill_open_time",
    "fill_values",
    "find_anomalies",
    "fold_entries",
    "forget_minutes",
    "forget_upload",
    "import_event_log",
    "import_history",
    "import_uploads",
    "judge_alerts",
    "keep_durations",
    "keep_upload",
    "look_at_minutes",
    "mute_anomaly",
    "recompute_rollups",
    "reconcile_rollups",
    "remove_baseline",
    "save_baseline",
    "save_kpi",
    "save_price",
    "save_rate",
    "save_target",
    "start_import",
    "sweep_uploads",
    "unfinished_history",
    "unmute_anomaly",
    "weigh_rate",
    "write_facts",
]
