"""What goes along with a move to another unit, and what does not, as the floor that keeps the rules says."""

from dataclasses import replace
from uuid import UUID

from django.conf import settings
from django.utils.module_loading import import_string

from apps.access.models import BusinessUnit, RoleGrant
from apps.access.rules.moves import Left
from apps.access.selectors.scopes import ancestors_for, live_grants
from apps.core.models import User


def left_by_moving(
    actor: User,
    *,
    before: BusinessUnit | None,
    after: BusinessUnit | None,
    agent: str = "",
    workflow: str = "",
    unit: str = "",
) -> Left:
    """What the agent, workflow or unit of this slug leaves that stands in ``before``, or below it, for ``after``.

    None is above every unit. Exact, where rules, halts and moves of others must wait, inside a transaction that holds
    the tree (``hold_tree``).
    """
    if before == after:
        return Left()
    weigh = import_string(settings.MOVES_WEIGHED)
    found: Left = weigh(actor, before=before, after=after, agent=agent, workflow=workflow, unit=unit)
    return replace(found, roles=_roles_gained(actor, before, after))


def _roles_gained(actor: User, before: BusinessUnit | None, after: BusinessUnit | None) -> tuple[str, ...]:
    """Roles of ``actor`` by which they may do there what they may not here: moving gives nobody rights."""
    here, there = _above(before), _above(after)
    grants = list(RoleGrant.objects.select_related("role").filter(live_grants(), user=actor))
    held = {
        perm for grant in grants if grant.unit_id is None or grant.unit_id in here for perm in grant.role.permissions
    }
    come = [grant.role for grant in grants if grant.unit_id in there - here]
    return tuple(sorted({role.slug for role in come if not held.issuperset(role.permissions)}))


def _above(unit: BusinessUnit | None) -> set[UUID]:
    return set(ancestors_for(None, unit.pk)) if unit else set()
