"""Budgets and breakers of an agent or a workflow that moves: its new unit's people answer for them from then on."""

from apps.access.models import BusinessUnit
from apps.access.services.units import write_if_changed
from apps.core.models import User
from apps.halts.services import take_breakers_along
from apps.policies.models import Budget


def take_along(actor: User, *, to: BusinessUnit, agent: str = "", workflow: str = "") -> None:
    """Give what counts or watches this agent or this workflow alone to the unit to which it moved.

    In the transaction of the move. What waits for somebody's release stays, and is released in the new unit. An engaged
    halt is not given along: it is lifted where it was engaged.
    """
    named = {"agent": agent, "workflow": workflow}
    for scope, target in named.items():
        if target:
            rows = Budget.objects.select_for_update(no_key=True, of=("self",)).filter(scope=scope, target=target)
            for budget in rows.order_by("slug"):
                write_if_changed(actor, budget, is_new=False, values={"unit": to})
    if agent:
        take_breakers_along(actor, agent=agent, to=to)
