"""Changing how autonomous one agent is with one operation: a rule of its own, proposed like every other."""

from django.db import transaction
from django.utils.translation import gettext as _

from apps.access.selectors import ancestors_for
from apps.agents.models import Agent
from apps.core.errors import ConflictError, InvalidError
from apps.core.gate import require_human
from apps.core.models import User
from apps.policies.models import Policy, Proposal
from apps.policies.rules.levels import LevelWish, rules_at
from apps.policies.services.proposals import propose_rules, release_if_stricter


@transaction.atomic
def propose_level(
    actor: User,
    *,
    agent: Agent,
    operation: str,
    policy: Policy,
    wish: LevelWish,
    queue: str,
    reason: str,
    instead_of: int,
) -> Proposal:
    """Propose the rule that makes it so in ``policy``; in force at once where nothing can come out milder by it.

    So it is for ``people``. Otherwise somebody else releases it: a rule that asks turns what nothing allowed into a
    question. Raises as ``propose_rules``; InvalidError at ``policy`` where it does not reach the agent, at ``queue``
    where it is missing.
    """
    require_human(actor)
    if policy.unit_id is not None and policy.unit_id not in set(ancestors_for(actor, agent.unit_id)):
        raise InvalidError(errors={"policy": [_("Its rules do not hold for this agent's unit.")]})
    if policy.in_force is None:
        raise ConflictError(_("The policy is not in force; there is nothing to change."), state=policy.state)
    if wish is LevelWish.ASKS and not queue:
        raise InvalidError(errors={"queue": [_("Say who is asked.")]})
    rules = rules_at(policy.in_force.rules, agent=agent.slug, operation=operation, wish=wish, queue=queue)
    made = propose_rules(
        actor, policy=policy, rules=rules, tests=list(policy.in_force.tests), reason=reason, instead_of=instead_of
    )
    return release_if_stricter(actor, policy, made)
