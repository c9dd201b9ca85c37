"""A person's own views."""

from django.db.models import QuerySet
from django.db.models.functions import Lower

from apps.core.models import User
from apps.oversight.models import SavedView


def saved_views_for(actor: User) -> QuerySet[SavedView]:
    """The views that ``actor`` saved, by name."""
    return SavedView.objects.filter(owner=actor).order_by(Lower("name"))
