"""What the plane would say to an agent's stored tests, and to what people rejected of it: asked, and kept nowhere."""

from copy import copy
from datetime import timedelta

from apps.agents.models import Action, Agent
from apps.agents.rules import GATE_DAYS, ActionState, AgentState, Environment
from apps.agents.rules.cases import CaseResult, Expected, Trial
from apps.core.errors import DomainError
from apps.core.models import ClockTimestamp, User
from apps.policies.rules import Effect
from apps.policies.rules.quiet import CONFIDENTIAL
from apps.policies.services import evaluate_action
from apps.workflows.selectors.places import OUTSIDE, Place, place_of_action
from apps.workflows.services.actions.pipeline import Ask, weigh

SHOWN_ERRORS = 3
REJUDGED = 50
"""So many of the newest rejections are judged again."""


def trial_of(agent: Agent) -> Trial:
    """Every stored test through permissions, schema and the release in force, as if the agent were active.

    What people rejected in ``GATE_DAYS`` is judged again too: none of it may pass without them now. Writes nothing.
    """
    actor = _as_active(agent)
    results = tuple(
        CaseResult(case.name, case.operation, case.expected, *_said(actor, case.operation, case.parameters, OUTSIDE))
        for case in agent.cases.order_by("name")
    )
    since = ClockTimestamp() - timedelta(days=GATE_DAYS)
    rejected = Action.objects.filter(agent=agent, state=ActionState.REJECTED, environment=Environment.LIVE)
    rows = list(rejected.filter(created_at__gt=since, erased_at=None).select_related("unit").order_by("-id")[:REJUDGED])
    allowed = tuple(
        str(action.pk)
        for action in rows
        if _said(actor, action.operation, action.parameters, place_of_action(actor, action))[0] == Effect.ALLOW
    )
    return Trial(results, len(rows), allowed)


def _as_active(agent: Agent) -> User:
    """The agent's principal, with a copy of the agent that is active and live: what it is itself stays as it is."""
    actor, active = copy(agent.user), copy(agent)
    active.state, active.environment = AgentState.ACTIVE, Environment.LIVE
    active.user, actor.agent = actor, active
    return actor


def _said(actor: User, operation: str, parameters: dict[str, object], place: Place) -> tuple[str, str]:
    try:
        weighed = weigh(actor, Ask(operation=operation, parameters=parameters), place)
        verdict = evaluate_action(actor, facts=weighed.facts)
    except DomainError as error:
        wrong = [f"{path}: {texts[0]}" for path, texts in error.errors.items() if texts]
        return Expected.REFUSED, " ".join(wrong[:SHOWN_ERRORS]) or str(error.message)
    return verdict.effect.value, ", ".join(
        f"{rule.policy} · {CONFIDENTIAL if rule.confidential else rule.rule}" for rule in verdict.rules
    ) or verdict.reason
