"""Who had an item before their eyes, and what they saw when they decided, by its digest, to be shown later."""

from datetime import timedelta

from django.core.validators import MinLengthValidator
from django.db import models
from django.db.models import Q

from apps.core.models import ClockTimestamp, Record, User
from apps.oversight.models.escalations import Escalation


class ViewSnapshot(models.Model):
    """The canonical JSON of what a page showed; ``hash`` is its digest, so equal views are kept once.

    PostgreSQL refuses to change it (migration 0040), but for ``shown`` becoming null: erased, while the digest stays.
    """

    hash = models.CharField(max_length=71, primary_key=True, validators=[MinLengthValidator(71)])
    shown = models.TextField(null=True)
    created_at = models.DateTimeField(db_default=ClockTimestamp(), editable=False)

    class Meta:
        default_permissions = ()

    def __str__(self) -> str:
        return self.hash


class EvidenceView(Record):
    """That a person opened a piece of evidence; ``digest`` is of its content, so a changed piece counts anew."""

    UNIT = "escalation__unit"

    escalation = models.ForeignKey(Escalation, models.CASCADE, related_name="evidence_views")
    viewer = models.ForeignKey(User, models.PROTECT, related_name="+")
    digest = models.CharField(max_length=71)

    class Meta:
        default_permissions = ()
        constraints = [models.UniqueConstraint(fields=["escalation", "viewer", "digest"], name="evidence_viewed_once")]

    def __str__(self) -> str:
        return f"evidence {self.digest} seen by {self.viewer}"


class EscalationView(models.Model):
    """That a person had the decision page of an item open.

    ``dwell`` adds up the time from one opening to their next one, of this or another item, or to their vote, five
    minutes at most each: what is known, not how long they read. ``looking_since``: when the opening began that is not
    added yet, null where none is. One person looks at one item at a time.
    """

    escalation = models.ForeignKey(Escalation, models.CASCADE, related_name="views")
    person = models.ForeignKey(User, models.PROTECT, related_name="+")
    first_at = models.DateTimeField(db_default=ClockTimestamp())
    last_at = models.DateTimeField(db_default=ClockTimestamp())
    opened = models.PositiveIntegerField(default=1)
    dwell = models.DurationField(default=timedelta(0))
    looking_since = models.DateTimeField(null=True)

    class Meta:
        default_permissions = ()
        indexes = [
            models.Index(fields=["person"], name="view_under_way", condition=Q(looking_since__isnull=False)),
        ]
        constraints = [models.UniqueConstraint(fields=["escalation", "person"], name="view_once_per_person")]

    def __str__(self) -> str:
        return f"{self.person} saw {self.escalation_id}"
