"""What waits for people, what they said and saw, and what their approval releases."""

from apps.oversight.models.access_reviews import AccessReview, AccessReviewLine
from apps.oversight.models.attention import Delegation, Snooze
from apps.oversight.models.comments import Comment
from apps.oversight.models.drills import Drill, DrillPlan
from apps.oversight.models.escalations import Escalation
from apps.oversight.models.grants import Grant
from apps.oversight.models.groups import EscalationGroup, Vote
from apps.oversight.models.jobs import Job, JobItem
from apps.oversight.models.preferences import DecidingHabit, SavedView
from apps.oversight.models.seen import EscalationView, EvidenceView, ViewSnapshot
from apps.oversight.models.standing import StandingApproval, StandingUse

__all__ = [
    "AccessReview",
    "AccessReviewLine",
    "Comment",
    "DecidingHabit",
    "Delegation",
    "Drill",
    "DrillPlan",
    "Escalation",
    "EscalationGroup",
    "EscalationView",
    "EvidenceView",
    "Grant",
    "Job",
    "JobItem",
    "SavedView",
    "Snooze",
    "StandingApproval",
    "StandingUse",
    "ViewSnapshot",
    "Vote",
]
