"""Commands that put finished actions before people once more."""

from django.db import transaction
from django.utils.translation import gettext as _

from apps.agents.models import Action
from apps.agents.rules import Environment
from apps.connectors.models import Operation
from apps.core.models import User
from apps.core.rules import Risk
from apps.oversight.models import Escalation, StandingUse, Vote
from apps.oversight.rules import REVIEW_DUE_S, REVIEW_SCHEMA, Kind, is_sampled
from apps.oversight.services.items import Wanted, open_escalation, title_of
from apps.oversight.services.unknowns import queue_of


@transaction.atomic(savepoint=False)
def open_review(actor: User, *, action: Action) -> Escalation | None:
    """Ask people to judge an action that succeeded, where its rules want a sample and it is in it; else None.

    It changes nothing of the action. Whoever approved it, also in advance, does not review it. The tier is
    low whatever the action's was: nothing waits for the answer, and nobody is to be called for it. It names no run,
    so that it outlives it.
    """
    if action.environment == Environment.TEST:
        return None
    share = action.verdict.get("obligations", {}).get("sample")
    if not is_sampled(action.pk, share) or (queue := queue_of(action)) is None:
        return None
    operation = Operation.objects.filter(slug=action.operation).first()
    approved = Vote.objects.filter(escalation__action=action, voided_at=None).values_list("voter__username", flat=True)
    ahead = StandingUse.objects.filter(action=action).values_list("approval__maker__username", flat=True)
    return open_escalation(
        actor,
        kind=Kind.REVIEW,
        unit=action.unit,
        groups=[Wanted(queue)],
        title=_("Was this right? %s") % title_of(action, operation),
        action=action,
        consequence=action.consequence,
        schema=dict(REVIEW_SCHEMA),
        verdict=action.verdict,
        risk=Risk.LOW,
        exclude=["agent_owner", *approved, *ahead],
        due_s=REVIEW_DUE_S,
        workflow=action.workflow,
    )
