"""What waits for people, what they said and saw, and what their approval releases."""

from apps.oversight.models.attention import Delegation, Snooze
from apps.oversight.models.escalations import Comment, Escalation, EscalationGroup, Vote
from apps.oversight.models.grants import Grant
from apps.oversight.models.preferences import SavedView
from apps.oversight.models.seen import EvidenceView, ViewSnapshot

__all__ = [
    "Comment",
    "Delegation",
    "Escalation",
    "EscalationGroup",
    "EvidenceView",
    "Grant",
    "SavedView",
    "Snooze",
    "ViewSnapshot",
    "Vote",
]
