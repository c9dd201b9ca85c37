"""What people approved in advance: asked for it runs at once, as if its approver had approved it now."""

from apps.agents.models import Action
from apps.agents.rules import Environment, Execution
from apps.connectors.services import prepare_effect
from apps.core.models import User
from apps.core.queue import ring
from apps.core.rules import highest_risk
from apps.oversight.models import StandingApproval
from apps.oversight.services import Like, note_standing_use, release_grant, take_standing_approval
from apps.policies.rules import Effect, Verdict
from apps.workflows.services.actions.pipeline import Ask, Place, Weighed


def approved_ahead(actor: User, ask: Ask, weighed: Weighed, place: Place, verdict: Verdict) -> StandingApproval | None:
    """What was approved in advance, used once more, where it takes the request in; None: the verdict stands alone."""
    if verdict.effect is not Effect.REQUIRE_APPROVAL or place.purpose != "act" or weighed.agent is None:
        return None
    if weighed.facts.environment == Environment.TEST:  # what was approved in advance was approved in earnest
        return None
    action = Action(
        principal=actor,
        agent=weighed.agent,
        version=weighed.agent.version,
        unit=weighed.unit,
        on_behalf_of=weighed.on_behalf_of,
        operation=ask.operation,
        parameters=ask.parameters,
        connector=weighed.permitted.operation.connector.slug,
        workflow=place.workflow,
        run_id=place.run_id,
        amount_minor=weighed.money.minor if weighed.money else None,
        currency=weighed.money.currency if weighed.money else "",
        target=weighed.target,
    )
    return take_standing_approval(
        Like(
            action=action,
            verdict=verdict,
            risk=highest_risk(weighed.facts.agent.risk, verdict.risk),
            run_starter=place.started_by,
            run_unit_id=place.run_unit_id,
        )
    )


def told_of(approval: StandingApproval) -> dict[str, str]:
    """What the verdict says of it: whose approval it is, which rule let it be given, the item where it was."""
    return {
        "id": str(approval.pk),
        "by": approval.maker.username,
        "rule": approval.rule,
        "escalation": str(approval.item_id),
    }


def let_run(actor: User, action: Action, approval: StandingApproval) -> Action:
    """The action has a grant of its own, used once; what the plane carries out is prepared."""
    note_standing_use(actor, approval=approval, action=action)
    release_grant(actor, action=action, standing=approval)
    if action.execution == Execution.PLANE:
        prepare_effect(actor, action=action)
        ring("effects")
    return action
