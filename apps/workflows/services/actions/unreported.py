"""What agents began themselves and never reported: nobody knows what came of it, so people find out."""

from datetime import timedelta
from uuid import UUID

from django.db import transaction
from django.db.models import Exists, OuterRef, QuerySet
from django.db.models.functions import Now

from apps.agents.models import Action
from apps.agents.rules import REPORT_WITHIN_S, ActionState, AgentState, Execution
from apps.audit.services import advance
from apps.core.models import User
from apps.core.services import one_by_one, system_user
from apps.oversight.models import Grant
from apps.oversight.rules import GrantState
from apps.workflows.services.actions.ending import ask_what_happened, lock_action

BATCH = 100
CODE = "not_reported"


def raise_unreported() -> int:
    """Ask people what came of actions whose agents said nothing in time, or are retired and cannot; how many."""
    plane = system_user("plane")
    return one_by_one(lambda pk: _raise(plane, pk), _unreported().order_by("id").values_list("pk", flat=True)[:BATCH])


def _unreported() -> QuerySet[Action]:
    """A suspended agent has its time too: it may be let go on within it."""
    since = Now() - timedelta(seconds=REPORT_WITHIN_S)
    begun = Grant.objects.filter(action=OuterRef("pk"), state=GrantState.CONSUMED, consumed_at__lte=since)
    rows = Action.objects.filter(state=ActionState.EXECUTING, execution=Execution.AGENT)
    return rows.filter(Exists(begun)) | rows.filter(agent__state=AgentState.RETIRED)


@transaction.atomic
def _raise(plane: User, action_id: UUID) -> int:
    action = lock_action(action_id)
    if not _unreported().filter(pk=action.pk).exists():
        return 0
    error = {"code": CODE, "message": ""}
    advance(plane, action, ActionState.UNKNOWN, payload={"why": CODE}, error=error)
    ask_what_happened(plane, action, error)
    return 1
