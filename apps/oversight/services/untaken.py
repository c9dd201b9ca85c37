"""Asking people about what could not be taken back."""

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

NEXT = "next"
AGAIN, BY_HAND, LEFT = "try again", "done by hand", "left as it is"


@transaction.atomic
def open_untaken_escalation(actor: User, *, action: Action, error: dict[str, Any]) -> Escalation | None:
    """Put before people that ``action`` should have been taken back and was not: how to go on.

    In the queue that decided the action, else in the nearest queue of its unit; it is the agent's owner's to see to
    where the owner may decide there. None where nobody can be asked.
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
        title=_("Could not be taken back: %s") % title_of(action, operation),
        action=action,
        consequence=_("It was carried out, and what should have undone it did not. It still stands."),
        subject={"error": {name: error.get(name) for name in ("code", "message")}},
        schema=_schema(),
        risk=action.agent.risk if action.agent else Risk.MEDIUM,
        workflow=action.workflow,
    )
    give_to_owner(actor, item, action)
    return item


def _schema() -> dict[str, Any]:
    hint = _("“try again”: it is asked for once more. “done by hand”: you undid it in the system.")
    return {
        "type": "object",
        "additionalProperties": False,
        "required": [NEXT],
        "properties": {
            NEXT: {"title": _("How to go on"), "description": hint, "enum": [AGAIN, BY_HAND, LEFT]},
            "remark": {"title": _("Remark"), "type": "string", "maxLength": 2000},
        },
    }
