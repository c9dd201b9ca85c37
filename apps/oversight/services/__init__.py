"""Commands on what waits for people."""

from apps.oversight.services.absences import resolve_absence
from apps.oversight.services.access_reviews import (
    close_access_review,
    decide_lines,
    decide_right,
    open_access_review,
    sweep_access_reviews,
)
from apps.oversight.services.attention import (
    answer_comment,
    ask_agent,
    claim_escalation,
    comment_escalation,
    release_escalation,
)
from apps.oversight.services.clocks import expire_escalations, mark_due_soon, mark_overdue, reassign_open
from apps.oversight.services.decisions import release_held, undo_decision
from apps.oversight.services.drills import (
    end_drills,
    end_touched_drill,
    open_due_drills,
    plan_drills,
    set_drills,
    sweep_open_drills,
)
from apps.oversight.services.duty import hand_over_duty
from apps.oversight.services.edits import weigh_edit
from apps.oversight.services.endings import cancel_escalations, supersede_escalation, void_votes_of
from apps.oversight.services.erasing import erase_items, erase_jobs
from apps.oversight.services.grants import (
    consume_grant,
    expire_grants,
    release_grant,
    revoke_grants,
    revoke_released,
)
from apps.oversight.services.handing import delegate_escalation, escalate_by_hand, reassign_escalation
from apps.oversight.services.items import (
    Wanted,
    attempt_again,
    open_action_escalation,
    open_escalation,
)
from apps.oversight.services.jobs import perform_due_items, start_bulk
from apps.oversight.services.ladders import climb_ladders, climb_unheard, escalate_unreachable
from apps.oversight.services.preferences import delete_view, save_view, set_own_hold
from apps.oversight.services.proposing import propose_rule
from apps.oversight.services.reach import Reach, note_reach
from apps.oversight.services.reviews import open_review
from apps.oversight.services.reweighing import invalidate_changed, reweigh_pending
from apps.oversight.services.seen import note_view, view_evidence
from apps.oversight.services.standing import (
    Like,
    end_fallen_standing,
    end_standing_approval,
    make_standing_approval,
    note_standing_use,
    take_standing_approval,
)
from apps.oversight.services.stops import (
    freeze_clocks,
    rest_clocks,
    thaw_clocks,
    wake_clocks,
)
from apps.oversight.services.timing import extend_escalation, snooze_escalation
from apps.oversight.services.unknowns import open_unknown_escalation
from apps.oversight.services.votes import cast_vote, withdraw_vote

__all__ = [
    "Like",
    "Reach",
    "Wanted",
    "answer_comment",
    "ask_agent",
    "attempt_again",
    "cancel_escalations",
    "cast_vote",
    "claim_escalation",
    "climb_ladders",
    "climb_unheard",
    "close_access_review",
    "comment_escalation",
    "consume_grant",
    "decide_lines",
    "decide_right",
    "delegate_escalation",
    "delete_view",
    "end_drills",
    "end_fallen_standing",
    "end_standing_approval",
    "end_touched_drill",
    "erase_items",
    "erase_jobs",
    "escalate_by_hand",
    "escalate_unreachable",
    "expire_escalations",
    "expire_grants",
    "extend_escalation",
    "freeze_clocks",
    "hand_over_duty",
    "invalidate_changed",
    "make_standing_approval",
    "mark_due_soon",
    "mark_overdue",
    "note_reach",
    "note_standing_use",
    "note_view",
    "open_access_review",
    "open_action_escalation",
    "open_due_drills",
    "open_escalation",
    "open_review",
    "open_unknown_escalation",
    "perform_due_items",
    "plan_drills",
    "propose_rule",
    "reassign_escalation",
    "reassign_open",
    "release_escalation",
    "release_grant",
    "release_held",
    "resolve_absence",
    "rest_clocks",
    "revoke_grants",
    "revoke_released",
    "reweigh_pending",
    "save_view",
    "set_drills",
    "set_own_hold",
    "snooze_escalation",
    "start_bulk",
    "supersede_escalation",
    "sweep_access_reviews",
    "sweep_open_drills",
    "take_standing_approval",
    "thaw_clocks",
    "undo_decision",
    "view_evidence",
    "void_votes_of",
    "wake_clocks",
    "weigh_edit",
    "withdraw_vote",
]
