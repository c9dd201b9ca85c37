"""A person's own views and habits."""

from collections.abc import Iterable

from django.db.models import QuerySet
from django.db.models.functions import Lower

from apps.core.models import User
from apps.core.prepared import Prepared, Slot
from apps.core.rules import UserKind
from apps.oversight.models import DecidingHabit, SavedView

_habit = Prepared(lambda: DecidingHabit.objects.filter(person=Slot("person")).only("hold_s"))


def own_hold_for(actor: User) -> int:
    """How many seconds ``actor``'s own decisions are held; 0 unless they said otherwise."""
    habit = _habit.first(person=actor.pk)
    return habit.hold_s if habit else 0


def people_for(actor: User, keys: Iterable[str]) -> QuerySet[User]:
    """The people with these keys, for those who look at the same item as ``actor``."""
    assert actor.is_active
    return User.objects.filter(pk__in=list(keys), kind=UserKind.HUMAN)


def saved_views_for(actor: User) -> QuerySet[SavedView]:
    """The views that ``actor`` saved, by name."""
    return SavedView.objects.filter(owner=actor).order_by(Lower("name"))
