"""What waits for whom, who may decide it, what a page or the API shows of it."""

from apps.oversight.selectors.choices import Choices, choices_for
from apps.oversight.selectors.details import (
    allowed_for,
    asked_digest_of_action,
    detail_for,
    fallen_approval_of,
    grant_of_action,
    hides_votes_for,
    items_of_action,
    masked,
    open_question_of,
    row_for,
    thread_for,
    timeline_for,
    waiting_item_of_action,
    why_not_for,
)
from apps.oversight.selectors.eligibility import (
    Standing,
    eligible_for,
    is_reachable_for,
    reachable_by,
    standing_for,
    still_stands_for,
    units_below,
    unreachable_for,
)
from apps.oversight.selectors.escalations import (
    INBOX_ORDER,
    Counts,
    counts_for,
    decided_for,
    escalation_for,
    escalations_for,
    filtered,
    inbox_for,
    require_visible,
    unheard_items,
    waiting_count_for,
    winner_for,
)
from apps.oversight.selectors.evidence import Piece, evidence_for
from apps.oversight.selectors.fates import condition_of, fates_for
from apps.oversight.selectors.groups import likes_for
from apps.oversight.selectors.handing import next_level_of, next_rung, other_queues_for, rungs_of, successor_for
from apps.oversight.selectors.jobs import failed_for, job_for, jobs_for, left_out_for, matching_for, results_for
from apps.oversight.selectors.judged import changed_since_judged
from apps.oversight.selectors.pace import pace_for
from apps.oversight.selectors.precedent import Precedent, precedent_for
from apps.oversight.selectors.preferences import own_hold_for, people_for, saved_views_for
from apps.oversight.selectors.seen import Seen, seen_for, votes_for
from apps.oversight.selectors.sheets import Sheet, menu_counts_for, sheet_for
from apps.oversight.selectors.sittings import Progress, Sitting, progress_for, sitting_for
from apps.oversight.selectors.words import WHY_NOT

__all__ = [
    "INBOX_ORDER",
    "WHY_NOT",
    "Choices",
    "Counts",
    "Piece",
    "Precedent",
    "Progress",
    "Seen",
    "Sheet",
    "Sitting",
    "Standing",
    "allowed_for",
    "asked_digest_of_action",
    "changed_since_judged",
    "choices_for",
    "condition_of",
    "counts_for",
    "decided_for",
    "detail_for",
    "eligible_for",
    "escalation_for",
    "escalations_for",
    "evidence_for",
    "failed_for",
    "fallen_approval_of",
    "fates_for",
    "filtered",
    "grant_of_action",
    "hides_votes_for",
    "inbox_for",
    "is_reachable_for",
    "items_of_action",
    "job_for",
    "jobs_for",
    "left_out_for",
    "likes_for",
    "masked",
    "matching_for",
    "menu_counts_for",
    "next_level_of",
    "next_rung",
    "open_question_of",
    "other_queues_for",
    "own_hold_for",
    "pace_for",
    "people_for",
    "precedent_for",
    "progress_for",
    "reachable_by",
    "require_visible",
    "results_for",
    "row_for",
    "rungs_of",
    "saved_views_for",
    "seen_for",
    "sheet_for",
    "sitting_for",
    "standing_for",
    "still_stands_for",
    "successor_for",
    "thread_for",
    "timeline_for",
    "unheard_items",
    "units_below",
    "unreachable_for",
    "votes_for",
    "waiting_count_for",
    "waiting_item_of_action",
    "why_not_for",
    "winner_for",
]
