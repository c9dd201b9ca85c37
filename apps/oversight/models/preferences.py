"""How a person likes their inbox. Saved views are comfort, and the ledger is not told; a hold is told."""

from django.db import models
from django.db.models import Q
from django.db.models.functions import Lower

from apps.core.models import Record, User
from apps.oversight.rules import MAX_HOLD_S


class DecidingHabit(Record):
    """How long a person's own decisions are held before they take effect, so that they can take them back."""

    person = models.OneToOneField(User, models.CASCADE, related_name="+")
    hold_s = models.PositiveSmallIntegerField(default=0)

    class Meta:
        default_permissions = ()
        constraints = [models.CheckConstraint(condition=Q(hold_s__lte=MAX_HOLD_S), name="habit_hold_within_bound")]

    def __str__(self) -> str:
        return f"{self.person}: {self.hold_s} s"


class SavedView(Record):
    """A person's own name for a set of filters; ``query`` is the part of the address behind ``?``."""

    owner = models.ForeignKey(User, models.CASCADE, related_name="+")
    name = models.CharField(max_length=40)
    query = models.CharField(max_length=600)

    class Meta:
        default_permissions = ()
        constraints = [models.UniqueConstraint("owner", Lower("name"), name="saved_view_name_once")]

    def __str__(self) -> str:
        return self.name
