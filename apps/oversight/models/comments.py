"""What people and agents write below an item."""

from typing import override
from uuid import UUID

from django.db import models

from apps.core.models import Record, User
from apps.oversight.models.escalations import Escalation


class Comment(Record):
    """What somebody wrote below an item; an agent's words are shown as such."""

    UNIT = "escalation__unit"

    escalation = models.ForeignKey(Escalation, models.CASCADE, related_name="comments")
    author = models.ForeignKey(User, models.PROTECT, related_name="+")
    text = models.TextField()
    is_question = models.BooleanField(default=False)

    class Meta:
        default_permissions = ()
        indexes = [models.Index(fields=["escalation", "id"], name="comment_by_escalation")]

    def __str__(self) -> str:
        return f"comment on {self.escalation_id}"

    @property
    @override
    def trail(self) -> UUID:
        """The trail of the item."""
        return self.escalation.trail
