"""What waits for people, what they said, and what their approval releases."""

from apps.oversight.models.escalations import Comment, Escalation, EscalationGroup, Vote
from apps.oversight.models.grants import Grant

__all__ = ["Comment", "Escalation", "EscalationGroup", "Grant", "Vote"]
