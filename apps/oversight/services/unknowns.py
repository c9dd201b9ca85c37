"""Asking people what became of an action when nobody said."""

from typing import Any
from uuid import UUID

from django.db import transaction
from django.utils.translation import gettext as _

from apps.access.models import Queue
from apps.access.selectors import ancestors_for
from apps.agents.models import Action
from apps.agents.rules import Execution
from apps.audit.services import record
from apps.connectors.models import Operation
from apps.core.models import User
from apps.core.rules import Risk
from apps.oversight.models import Escalation, EscalationGroup
from apps.oversight.rules import Kind
from apps.oversight.selectors import standing_for
from apps.oversight.services.items import Wanted, open_escalation, title_of

HAPPENED, DID_NOT_HAPPEN = "succeeded", "failed"


@transaction.atomic
def open_unknown_escalation(
    actor: User, *, action: Action, effect_error: dict[str, Any], run_unit_id: UUID | None = None
) -> Escalation | None:
    """Ask people what became of an action whose effect is unknown: ``succeeded`` or ``failed``.

    In the queue that decided the action, else in the nearest queue of its unit; None where nobody can be asked.
    """
    queue = queue_of(action)
    if queue is None:
        return None
    operation = Operation.objects.filter(slug=action.operation).first()
    return open_escalation(
        actor,
        kind=Kind.UNKNOWN,
        unit=action.unit,
        groups=[Wanted(queue)],
        title=_("What happened? %s") % title_of(action, operation),
        action=action,
        consequence=_nobody_said(action),
        subject={"error": effect_error},
        options=[HAPPENED, DID_NOT_HAPPEN],
        risk=action.agent.risk if action.agent else Risk.MEDIUM,
        workflow=action.workflow,
        run_id=action.run_id,
        run_unit_id=run_unit_id,
        step=action.step,
        round=action.round,
        item=action.item,
    )


def _nobody_said(action: Action) -> str:
    if action.execution == Execution.AGENT:
        return _("The agent began it and did not say what came of it. Look in the system, then say what happened.")
    return _("The system did not say whether it was done. Look there, then say what happened.")


def give_to_owner(actor: User, item: Escalation, action: Action) -> None:
    """The owner of the action's agent sees to the item, where they may decide it."""
    owner = action.agent.owner if action.agent else None
    if owner is not None and standing_for(owner).why_not(item) is None:
        Escalation.objects.filter(pk=item.pk).update(assigned_to=owner)
        record(actor, item, "escalation.assigned", payload={"to": owner.username})


def queue_of(action: Action) -> Queue | None:
    """The queue that decided an action, else the nearest one of its unit; None where nobody can be asked."""
    last = EscalationGroup.objects.filter(escalation__action=action).order_by("-id").select_related("queue").first()
    if last:
        return last.queue
    above = ancestors_for(None, action.unit_id)
    near = Queue.objects.filter(unit__in=above, role__permissions__contains=["oversight.decide_escalation"])
    return min(near, key=lambda queue: (above.index(queue.unit_id), queue.slug), default=None)
