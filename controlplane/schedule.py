"""What runs by the clock, and what each lane drains. The scheduler needs no broker: its second is the lanes' poll."""

from collections.abc import Mapping

LANES: Mapping[str, str] = {
    "reactions": "apps.audit.tasks.deliver_reactions",
    "projections": "apps.audit.tasks.fold_projections",
    "effects": "apps.workflows.tasks.actions.perform_due_effects",
    "jobs": "apps.oversight.tasks.perform_jobs",
    "retries": "apps.workflows.tasks.runs.retry_due_runs",
    "messages": "apps.notifications.tasks.send_messages",
    "simulations": "apps.policies.tasks.judge_past",
    "checks": "apps.workflows.tasks.actions.verify_due_effects",
    "halt_drills": "apps.halts.tasks.perform_drills",
    "imports": "apps.kpis.tasks.import_uploads",
}
"""Lane -> the function that does what waits in it and says how much it did."""

LANES_FIRST = frozenset({"jobs"})
"""A person looks at its progress."""

LANES_BEHIND = frozenset({"reactions", "projections", "messages"})
"""What follows of decisions; it gives way to many of them for a few seconds (``apps.core.turns``)."""

JOBS: Mapping[str, tuple[float, str]] = {
    "reactions": (1, "apps.audit.tasks.deliver_reactions"),
    "projections": (1, "apps.audit.tasks.fold_projections"),
    "effects": (1, "apps.workflows.tasks.actions.perform_due_effects"),
    "checks": (1, "apps.workflows.tasks.actions.verify_due_effects"),
    "tasks": (1, "apps.workflows.tasks.runs.sweep_tasks"),
    "runs": (1, "apps.workflows.tasks.runs.sweep_runs"),
    "handovers": (5, "apps.workflows.tasks.runs.sweep_handovers"),
    "forgotten": (15, "apps.workflows.tasks.runs.raise_forgotten"),
    "unreported": (15, "apps.workflows.tasks.actions.raise_unreported"),
    "stopped": (1, "apps.workflows.tasks.actions.return_stopped"),
    "breakers": (1, "apps.workflows.tasks.breakers.check_breakers"),
    "paces": (3600, "apps.workflows.tasks.breakers.measure_paces"),
    "budgets": (1, "apps.policies.tasks.settle_budgets"),
    "waivers": (60, "apps.policies.tasks.end_waivers"),
    "ownerless": (60, "apps.agents.tasks.sweep_ownerless"),
    "absences": (1, "apps.access.tasks.sweep_absences"),
    "emergencies": (60, "apps.access.tasks.sweep_emergencies"),
    "tokens": (3600, "apps.agents.tasks.forget_tokens"),
    "sessions": (3600, "apps.access.tasks.forget_sessions"),
    "escalations": (1, "apps.oversight.tasks.sweep_escalations"),
    "stumbles": (600, "apps.audit.tasks.retry_stumbles"),
    "drills": (60, "apps.oversight.tasks.sweep_drills"),
    "access_reviews": (60, "apps.oversight.tasks.sweep_access_reviews"),
    "standing": (60, "apps.oversight.tasks.sweep_standing"),
    "changed": (60, "apps.oversight.tasks.sweep_changed"),
    "jobs": (1, "apps.oversight.tasks.perform_jobs"),
    "retries": (1, "apps.workflows.tasks.runs.retry_due_runs"),
    "messages": (1, "apps.notifications.tasks.send_messages"),
    "simulations": (1, "apps.policies.tasks.judge_past"),
    "halt_drills": (1, "apps.halts.tasks.perform_drills"),
    "imports": (1, "apps.kpis.tasks.import_uploads"),
    "reports": (60, "apps.notifications.tasks.issue_reports"),
    "letters": (5, "apps.notifications.tasks.send_reports"),
    "notices": (86_400, "apps.notifications.tasks.sweep_notices"),
    "secrets": (10, "apps.connectors.tasks.end_overlaps"),
    "tools": (3600, "apps.connectors.tasks.watch_tools"),
    "calls": (86_400, "apps.connectors.tasks.forget_calls"),
    "spans": (600, "apps.telemetry.tasks.forget_spans"),
    "waiting_spans": (5, "apps.telemetry.tasks.settle_waiting"),
    "tool_calls": (60, "apps.telemetry.tasks.judge_tool_calls"),
    "rollups": (86_400, "apps.kpis.tasks.reconcile_rollups"),
    "durations": (60, "apps.kpis.tasks.keep_durations"),
    "facts": (3600, "apps.kpis.tasks.fill_facts"),
    "anomalies": (600, "apps.kpis.tasks.find_anomalies"),
    "alerts": (600, "apps.kpis.tasks.judge_alerts"),
    "minutes": (20, "apps.kpis.tasks.look_at_minutes"),
    "old_minutes": (86_400, "apps.kpis.tasks.forget_minutes"),
    "values": (2, "apps.kpis.tasks.fill_values"),
    "uploads": (600, "apps.kpis.tasks.sweep_uploads"),
    "retention": (600, "apps.workflows.tasks.retention.erase_ended"),
    "idempotency_keys": (3600, "apps.core.tasks.sweep_idempotency_keys"),
}
"""Job -> (every how many seconds, function)."""
