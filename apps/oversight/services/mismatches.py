"""Asking people about what a system of record shows otherwise than it was done."""

from typing import Any

from django.db import transaction
from django.utils.translation import gettext as _

from apps.agents.models import Action
from apps.connectors.models import Operation
from apps.core.models import User
from apps.core.rules import Risk
from apps.oversight.models import Escalation
from apps.oversight.rules import Kind
from apps.oversight.services.items import Wanted, open_escalation, title_of
from apps.oversight.services.unknowns import give_to_owner, queue_of

IN_ORDER, MENDED = "in order", "mended"


@transaction.atomic
def open_mismatch_escalation(actor: User, *, action: Action, read_back: dict[str, Any]) -> Escalation | None:
    """Put a mismatch before people: whether it is in order all the same, or was mended.

    In the queue that decided the action, else in the nearest queue of its unit; it is the agent's owner's to see to
    where the owner may decide there. None where nobody can be asked. It holds no run up.
    """
    queue = queue_of(action)
    if queue is None:
        return None
    operation = Operation.objects.filter(slug=action.operation).first()
    item = open_escalation(
        actor,
        kind=Kind.EXCEPTION,
        unit=action.unit,
        groups=[Wanted(queue)],
        title=_("Not as it was done: %s") % title_of(action, operation),
        action=action,
        consequence=_("It was carried out, and the system shows something else. Look there, mend it, then say so."),
        subject={
            name: read_back.get(name) for name in ("reading", "operation", "expect", "found", "problem", "status")
        },
        schema=_schema(),
        risk=action.agent.risk if action.agent else Risk.MEDIUM,
        workflow=action.workflow,
    )
    give_to_owner(actor, item, action)
    return item


def _schema() -> dict[str, Any]:
    hint = _("“in order”: the system is right as it is. “mended”: it was wrong; it still counts as an error.")
    return {
        "type": "object",
        "additionalProperties": False,
        "required": ["found"],
        "properties": {
            "found": {"title": _("What you found"), "description": hint, "enum": [IN_ORDER, MENDED]},
            "remark": {"title": _("Remark"), "type": "string", "maxLength": 2000},
        },
    }
