"""A person's own views and habits."""

from django.db.models import QuerySet
from django.db.models.functions import Lower

from apps.core.models import User
from apps.oversight.models import DecidingHabit, SavedView


def own_hold_for(actor: User) -> int:
    """How many seconds ``actor``'s own decisions are held; 0 unless they said otherwise."""
    return DecidingHabit.objects.filter(person=actor).values_list("hold_s", flat=True).first() or 0


def saved_views_for(actor: User) -> QuerySet[SavedView]:
    """The views that ``actor`` saved, by name."""
    return SavedView.objects.filter(owner=actor).order_by(Lower("name"))
