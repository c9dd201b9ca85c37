"""Asking people how to go on after an action that did not end as it should."""

from collections.abc import Sequence
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


@transaction.atomic
def open_exception(
    actor: User, *, action: Action, title: str, consequence: str, subject: dict[str, Any], schema: dict[str, Any]
) -> Escalation | None:
    """Put an action before people; ``title`` has a place for what it was.

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
        title=title % title_of(action, operation),
        action=action,
        consequence=consequence,
        subject=subject,
        schema=schema,
        risk=action.agent.risk if action.agent else Risk.MEDIUM,
        workflow=action.workflow,
    )
    give_to_owner(actor, item, action)
    return item


def one_answer(name: str, *, title: str, hint: str, answers: Sequence[str]) -> dict[str, Any]:
    """The schema of one answer out of several, and a remark."""
    return {
        "type": "object",
        "additionalProperties": False,
        "required": [name],
        "properties": {
            name: {"title": title, "description": hint, "enum": list(answers)},
            "remark": {"title": _("Remark"), "type": "string", "maxLength": 2000},
        },
    }
