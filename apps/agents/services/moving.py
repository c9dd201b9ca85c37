"""Taking an agent to another unit."""

from typing import Any

from django.db import transaction
from django.db.models import F
from django.utils.translation import gettext as _

from apps.access.models import BusinessUnit
from apps.access.rules.moves import Left
from apps.access.selectors import is_in_unit, left_by_moving, unit_for
from apps.access.services import hold_tree, refuse_to_leave, require_manager, require_two_to_move, take_along
from apps.agents.models import Agent
from apps.agents.rules import AgentState
from apps.audit.services import record
from apps.core.errors import ConflictError, InvalidError, NotFoundError
from apps.core.models import User

MANAGE = "agents.manage_agent"


@transaction.atomic
def change_unit(actor: User, *, agent: Agent, to: BusinessUnit, reason: str, **told: Any) -> Agent:
    """Take an agent to another unit, whose rules, budgets and halts hold from its next request on.

    At once, for what nothing is left by or somebody agreed to. Raises InvalidError where its owner has no part there,
    ConflictError where an engaged halt holds it.
    """
    before = agent.unit
    for unit in (before, to):
        require_manager(actor, unit, MANAGE)
    left = left_of(actor, agent, to)
    if Agent.objects.filter(pk=agent.pk, unit=before).update(unit=to, epoch=F("epoch") + 1) != 1:
        raise ConflictError
    agent.unit = to
    take_along(actor, to=to, agent=agent.slug)
    said = {"from": before.slug, "to": to.slug, "unit": str(to), "reason": reason, "leaves": left.as_json()}
    record(actor, agent, "agent.changed", payload={**said, **told})
    return agent


def left_of(actor: User, agent: Agent, to: BusinessUnit) -> Left:
    """What a locked agent would leave; other moves wait. Raises InvalidError and ConflictError where it may not go."""
    if agent.state == AgentState.RETIRED:
        raise ConflictError(_("A retired agent stays as it is."), state=agent.state)
    require_owner(agent.owner, to)
    hold_tree()
    left = left_by_moving(actor, before=agent.unit, after=to, agent=agent.slug)
    refuse_to_leave(left)
    return left


def require_movable(actor: User, agent: Agent, to: BusinessUnit, *, is_reviewed: bool, agreed_by: User | None) -> None:
    """Refuse what one person may not: to take an agent out from under what holds it. Documents count as reviewed."""
    if agent.unit_id == to.pk:
        return
    hold_tree()
    require_two_to_move(
        actor,
        agent,
        left_by_moving(actor, before=agent.unit, after=to, agent=agent.slug),
        units=(agent.unit, to),
        perm=MANAGE,
        how=_("It takes two people to take this agent to another unit: ask for the change of its unit."),
        is_reviewed=is_reviewed,
        agreed_by=agreed_by,
        at="unit",
    )


def unit_named(actor: User, slug: str) -> BusinessUnit:
    """The unit of this slug, where ``actor`` manages agents. Raises InvalidError at ``to``."""
    try:
        return unit_for(actor, slug, perm=MANAGE)
    except NotFoundError as error:
        raise InvalidError(errors={"to": [_("There is no such unit, or you manage no agents there.")]}) from error


def require_owner(owner: User, unit: BusinessUnit) -> None:
    """Whoever answers for an agent is there, and has a part in the unit where it works. Raises InvalidError."""
    if not owner.is_human or not owner.is_active:
        raise InvalidError(errors={"owner": [_("An agent's owner is a person who is active.")]})
    if not is_in_unit(owner, unit.pk):
        told = {"who": owner, "unit": unit}
        raise InvalidError(errors={"owner": [_("%(who)s holds no role in %(unit)s, so cannot own its agents.") % told]})
