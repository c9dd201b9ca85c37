"""The end of retention: what carries a class of data is erased when its time is up, and the ledger says so."""

from datetime import timedelta
from uuid import UUID

from django.db import transaction
from django.db.models import Model
from django.utils.translation import gettext as _

from apps.agents.models import Action
from apps.classification.models import DataClass
from apps.core.errors import ConflictError
from apps.core.models import ClockTimestamp, User
from apps.core.services import system_user
from apps.workflows.models import Run
from apps.workflows.selectors.erasing import trail_on, why_not_erasable
from apps.workflows.selectors.retention import carrying_runs, ended_actions
from apps.workflows.services.erasing import erase_words

BATCH = 50
"""Trails in one go: each is a transaction, and the next go follows in minutes."""


def erase_ended() -> int:
    """Erase the trails whose data was kept for as long as one of its classes lets it; how many.

    The class with the shortest time decides for the whole trail: words cannot be told apart by class. What something
    still stands in the way of (an open item, an effect that nobody knows the outcome of) waits for the next time.
    """
    plane = system_user("plane")
    erased = 0
    for found in DataClass.objects.exclude(retention_days=None).order_by("retention_days", "slug"):
        for subject, pk in _due(found, BATCH - erased):
            erased += _erase(plane, subject, pk, found)
    return erased


def _due(found: DataClass, most: int) -> list[tuple[type[Run] | type[Action], UUID]]:
    """``(model, id)`` of trails that are over their time by a class, the oldest first."""
    until = ClockTimestamp() - timedelta(days=found.retention_days or 0)
    runs = carrying_runs(found.slug).filter(finished_at__lte=until).order_by("finished_at")
    alone = ended_actions(found.slug).filter(run_id=None, finished_at__lte=until).order_by("finished_at")
    trails: list[tuple[type[Run] | type[Action], UUID]] = [(Run, pk) for pk in runs.values_list("pk", flat=True)[:most]]
    return [*trails, *((Action, pk) for pk in alone.values_list("pk", flat=True)[:most])][:most]


def _erase(plane: User, model: type[Model], pk: UUID, found: DataClass) -> int:
    try:
        with transaction.atomic():
            return _erase_locked(plane, model, pk, found)
    except ConflictError:
        return 0  # something still follows from it: next time


def _erase_locked(plane: User, model: type[Model], pk: UUID, found: DataClass) -> int:
    subject = model._default_manager.select_for_update(of=("self",)).filter(pk=pk, erased_at=None).first()
    if not isinstance(subject, Run | Action):
        return 0
    trail = trail_on(subject)
    list(Action.objects.select_for_update().filter(pk__in=trail.action_ids).order_by("id").values("pk"))
    trail = trail_on(subject)
    if why_not_erasable(plane, trail):
        return 0
    reason = _("It was kept for %(days)d days, as the data class %(name)s says.")
    erase_words(plane, trail, reason=reason % {"days": found.retention_days, "name": found.slug}, data_class=found.slug)
    return 1
