"""Announcing drills in a queue, changing what was announced, turning them off."""

from dataclasses import asdict

from django.db import transaction
from django.utils.translation import gettext as _

from apps.access.models import Queue
from apps.access.services.units import require_manager
from apps.audit.services import record
from apps.core.errors import ConflictError, InvalidError
from apps.core.models import ClockTimestamp, User, database_now
from apps.oversight.models import DrillPlan
from apps.oversight.rules import MAX_ANNOUNCEMENT, MAX_PER_WEEK, NOTICE, DrillTerms
from apps.oversight.services.drills.ending import withdraw_drill
from apps.oversight.services.drills.making import gap_of


@transaction.atomic
def plan_drills(
    actor: User, *, queue: Queue, per_week: int, announcement: str, critical: bool = False
) -> tuple[DrillPlan, str]:
    """Announce drills in ``queue``, or change them; the plan, and ``created``, ``changed`` or ``unchanged``.

    No drill comes before what is announced has stood for a day, and that begins anew with every change. ``critical``:
    items of critical risk are copied too. Takes ``access.manage_access`` in the queue's unit. Raises NotAllowedError,
    InvalidError at the field.
    """
    require_manager(actor, queue.unit)
    terms = DrillTerms(per_week, announcement.strip(), critical)
    if errors := _errors(terms):
        raise InvalidError(errors=errors)
    Queue.objects.select_for_update(of=("self",), no_key=True).get(pk=queue.pk)  # two come one after the other
    now, plan = database_now(), DrillPlan.objects.filter(queue=queue).first()
    if plan is not None and plan.is_on and plan.terms == terms:
        return plan, "unchanged"
    was_on = plan is not None and plan.is_on
    first = now + NOTICE + gap_of(per_week)
    said = {
        "per_week": per_week,
        "announcement": terms.announcement,
        "critical": critical,
        "set_by": actor,
        "announced_at": now,
        "next_at": max(plan.next_at, now + NOTICE) if plan is not None and was_on else first,
        "ended_at": None,
    }
    plan, _is_new = DrillPlan.objects.update_or_create(queue=queue, defaults=said)
    told = {"queues": [queue.slug], "per_week": per_week, "text": terms.announcement, "critical": critical}
    record(actor, plan, "drills.announced", payload=told)
    return plan, "changed" if was_on else "created"


def _errors(terms: DrillTerms) -> dict[str, list[str]]:
    errors = {}
    if not 1 <= terms.per_week <= MAX_PER_WEEK:
        errors["per_week"] = [_("From 1 to %d.") % MAX_PER_WEEK]
    if not 1 <= len(terms.announcement) <= MAX_ANNOUNCEMENT:
        said = _("From 1 to %d characters: people read it before the first drill.") % MAX_ANNOUNCEMENT
        errors["announcement"] = [said]
    return errors


@transaction.atomic
def end_drills(actor: User, *, queue: Queue) -> int:
    """Turn drills off in ``queue``; how many that waited were taken away. ConflictError ``no_drills`` without any."""
    require_manager(actor, queue.unit)
    plan = DrillPlan.objects.select_for_update(of=("self",)).filter(queue=queue, ended_at=None).first()
    if plan is None:
        raise ConflictError(_("There are no drills in this queue."), code="no_drills")
    DrillPlan.objects.filter(pk=plan.pk).update(ended_at=ClockTimestamp())
    record(actor, plan, "drills.ended", payload={"queues": [queue.slug]})
    return sum(withdraw_drill(actor, drill, "turned_off") for drill in plan.open_drills())


def set_drills(actor: User, *, queue: Queue, terms: DrillTerms | None) -> str:
    """Make the drills of ``queue`` as ``terms`` say, None: off; ``created``, ``changed`` or ``unchanged``."""
    if terms is not None:
        return plan_drills(actor, queue=queue, **asdict(terms))[1]
    if not DrillPlan.objects.filter(queue=queue, ended_at=None).exists():
        return "unchanged"
    end_drills(actor, queue=queue)
    return "changed"
