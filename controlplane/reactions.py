"""The bell board: everything that follows from a change, on one page.

REACTIONS: the name of an entry -> the handlers that must follow it, once, by import path. PROJECTIONS: readers of the
whole ledger, in order. LIVE_TOPICS: what open pages and waiting requests are told when a subject changes.
"""

from collections.abc import Mapping

TELL = "apps.notifications.tasks.tell"
HUSH_ERASURE = "apps.notifications.tasks.hush_erasure"
HUSH_CHANGE = "apps.notifications.tasks.hush_change"
HUSH_BREAKER = "apps.notifications.tasks.hush_breaker"
HUSH_PROPOSAL = "apps.notifications.tasks.hush_proposal"
HUSH_WAIVER = "apps.notifications.tasks.hush_waiver"
STANDING = "apps.oversight.tasks.end_fallen_standing"

REACTIONS: Mapping[str, tuple[str, ...]] = {
    "escalation.approved": (
        "apps.workflows.tasks.actions.carry_out_approved",
        "apps.workflows.tasks.runs.resume_step",
        TELL,
    ),
    "escalation.answered": (
        "apps.workflows.tasks.actions.reconcile_unknown",
        "apps.workflows.tasks.actions.follow_mismatch",
        "apps.workflows.tasks.actions.follow_untaken",
        "apps.workflows.tasks.runs.resume_step",
        TELL,
    ),
    "escalation.rejected": ("apps.workflows.tasks.runs.resume_step", STANDING, TELL),
    "escalation.changes_requested": ("apps.workflows.tasks.runs.resume_step", TELL),
    "escalation.expired": ("apps.workflows.tasks.runs.resume_step", TELL),
    "escalation.invalidated": ("apps.workflows.tasks.runs.resume_step", TELL),
    "escalation.cancelled": (TELL,),
    "escalation.superseded": (TELL,),
    "escalation.reassigned": (TELL,),
    "escalation.escalated": (TELL,),
    "escalation.handed_over": ("apps.oversight.tasks.move_unreachable", TELL),
    "escalation.delegated": (TELL,),
    "escalation.assigned": (TELL,),
    "escalation.due_soon": (TELL,),
    "escalation.overdue": (TELL,),
    "escalation.commented": (TELL,),
    "action.rejected": ("apps.workflows.tasks.runs.resume_operation_step",),
    "action.changes_requested": ("apps.workflows.tasks.runs.resume_operation_step",),
    "action.expired": ("apps.workflows.tasks.runs.resume_operation_step",),
    "action.cancelled": ("apps.workflows.tasks.runs.resume_operation_step",),
    "action.denied": ("apps.workflows.tasks.runs.resume_operation_step",),
    "escalation.pending": ("apps.oversight.tasks.move_unreachable", TELL),
    "escalation.asked": ("apps.oversight.tasks.move_unreachable", TELL),
    "escalation.edited": ("apps.oversight.tasks.move_unreachable",),
    "escalation.reweighed": ("apps.oversight.tasks.move_unreachable",),
    "vote.cast": ("apps.notifications.tasks.hush_voter",),
    "vote.voided": ("apps.oversight.tasks.move_unreachable",),
    "agent.flagged": (TELL,),
    "ruleflag.raised": (TELL,),
    "rulefault.erred": (TELL,),
    "budget.warned": (TELL,),
    "budgetchange.open": (TELL,),
    "budgetchange.released": (HUSH_CHANGE,),
    "budgetchange.declined": (HUSH_CHANGE,),
    "budgetchange.superseded": (HUSH_CHANGE,),
    "breakerchange.open": (TELL,),
    "breakerchange.released": (HUSH_BREAKER,),
    "breakerchange.declined": (HUSH_BREAKER,),
    "breakerchange.superseded": (HUSH_BREAKER,),
    "proposal.open": (TELL,),
    "proposal.released": (HUSH_PROPOSAL,),
    "proposal.declined": (HUSH_PROPOSAL,),
    "proposal.superseded": (HUSH_PROPOSAL,),
    "waiver.asked": (TELL,),
    "waiver.live": (HUSH_WAIVER, TELL),
    "waiver.declined": (HUSH_WAIVER, TELL),
    "waiver.due_soon": (TELL,),
    "waiver.used_up": (TELL,),
    "waiver.expired": (HUSH_WAIVER, TELL),
    "waiver.ended": (HUSH_WAIVER, TELL),
    "access.review.opened": (TELL,),
    "access.review.due_soon": (TELL,),
    "access.review.closed": (TELL,),
    "erasure.requested": (TELL,),
    "erasure.withdrawn": (HUSH_ERASURE,),
    "erasure.refused": (HUSH_ERASURE,),
    "payloads.erased": (HUSH_ERASURE, "apps.telemetry.tasks.erase_reports"),
    "emergencyaccess.armed": (TELL,),
    "emergencyaccess.opened": (TELL,),
    "emergencyaccess.used": (TELL,),
    "emergencyaccess.tried": (TELL,),
    "emergencyaccess.ended": (TELL,),
    "reportsubscription.due": (TELL,),
    "agent.retired": ("apps.oversight.tasks.cancel_items_of_agent", STANDING),
    "operation.changed": ("apps.oversight.tasks.end_what_changed", STANDING),
    "connector.changed": ("apps.oversight.tasks.end_what_changed", STANDING),
    "agentversion.superseded": (
        "apps.workflows.tasks.runs.return_tasks",
        "apps.oversight.tasks.end_what_changed",
        STANDING,
    ),
    "rolegrant.revoked": ("apps.oversight.tasks.void_votes_of_person", STANDING),
    "user.ended": (
        "apps.agents.tasks.suspend_ownerless",
        "apps.oversight.tasks.void_votes_of_person",
        STANDING,
        "apps.notifications.tasks.leave_browsers",
    ),
    "absence.opened": ("apps.oversight.tasks.follow_absence",),
    "absence.closed": ("apps.oversight.tasks.follow_absence",),
    "halt.engaged": (
        "apps.workflows.tasks.actions.revoke_stopped",
        "apps.oversight.tasks.stop_clocks",
        "apps.oversight.tasks.take_drills_away",
        STANDING,
        TELL,
    ),
    "agent.suspended": (STANDING, TELL),
    "agent.change_requested": (TELL,),
    "agent.mismatched": (TELL,),
    "agent.acted_unasked": (TELL,),
    "agent.acted_despite": (TELL,),
    "agent.discovered": (TELL,),
    "agent.key_refused": (TELL,),
    "agent.access_requested": (TELL,),
    "connector.quarantined": (TELL,),
    "user.password_changed": (TELL,),
    "user.password_set": (TELL,),
    "user.second_factor_added": (TELL,),
    "user.second_factor_removed": (TELL,),
    "user.second_factors_reset": (TELL,),
    "user.identity_linked": (TELL,),
    "user.identity_unlinked": (TELL,),
    "workflow.unusual": (TELL,),
    "release.published": (STANDING,),
    "halt.lifted": ("apps.oversight.tasks.start_clocks",),
    "run.got_key": ("apps.workflows.tasks.runs.begin_run",),
}

OF_TRACES: Mapping[str, tuple[str, ...]] = dict.fromkeys(
    ("run.succeeded", "run.failed", "run.cancelled"), ("apps.telemetry.tasks.tell_run",)
)
"""What follows as well where the plane sends its own traces."""


def with_traces(board: Mapping[str, tuple[str, ...]]) -> Mapping[str, tuple[str, ...]]:
    """The board with what tells collectors of runs."""
    return {**board, **{name: (*board.get(name, ()), *handlers) for name, handlers in OF_TRACES.items()}}


EMERGENCY_REACTIONS = ("apps.access.tasks.note_emergency_change",)
"""What follows from every change that is made with an emergency account, whatever it is called."""

PROJECTIONS: Mapping[str, str] = {
    "kpis": "apps.kpis.tasks.fold_entries",
    "policies": "apps.policies.tasks.fold_entries",
    "leaves": "apps.audit.tasks.seal_entries",
}

LIVE_TOPICS: Mapping[str, tuple[str, ...]] = {
    "absence": ("inbox",),
    "action": ("action:{subject}", "actions"),
    "drill": ("inbox", "escalation:{subject}"),
    "escalation": ("inbox", "escalation:{subject}"),
    "vote": ("inbox",),
    "interrupt": ("interrupt:{subject}",),
    "run": ("run:{subject}", "runs"),
    "step": ("run:{trail}",),
    "task": ("tasks",),
    "halt": ("halts",),
    "haltdrill": ("haltdrills",),
    "job": ("job:{subject}",),
    "notice": ("notices:{subject}",),
    "user": ("calls:{subject}",),
    "agentcredential": ("keys",),
    "emergencyaccess": ("halts",),
}
