"""Commands on who holds which role."""

from datetime import datetime

from django.db import transaction
from django.utils.translation import gettext as _

from apps.access.models import BusinessUnit, Role, RoleGrant
from apps.access.selectors import live_grants
from apps.access.services.holding import hold_people
from apps.access.services.units import require_manager
from apps.audit.services import record
from apps.core.errors import ConflictError, NotAllowedError, NotFoundError
from apps.core.gate import refuse_emergency
from apps.core.models import ClockTimestamp, User


@transaction.atomic
def grant_role(
    actor: User, *, user: User, role: Role, unit: BusinessUnit | None = None, until: datetime | None = None
) -> RoleGrant:
    """Give ``user`` a role in ``unit`` and below (everywhere without one), until ``until``. Again: the end is moved.

    Raises NotAllowedError for who does not manage there, and for whoever would give a role to themselves; ConflictError
    ``has_left`` for who has left. Their row is held, so that nobody leaves and is given a role at once.
    """
    require_manager(actor, unit)
    if actor.pk == user.pk:
        raise NotAllowedError(_("Nobody gives a role to themselves: ask somebody else who administers."))
    if not user.is_human:
        raise NotAllowedError
    refuse_emergency(user)
    if not User.objects.select_for_update(no_key=True).get(pk=user.pk).is_active:
        raise ConflictError(_("They have left: whoever has left is given no role."), code="has_left")
    found = (
        RoleGrant.objects.select_for_update(of=("self",))
        .filter(user=user, role=role, unit=unit, revoked_at=None)
        .first()
    )
    if found and found.until == until:
        return found
    if found:
        RoleGrant.objects.filter(pk=found.pk).update(until=until, granted_by=actor)
        found.until = until
    else:
        found = RoleGrant.objects.create(user=user, role=role, unit=unit, until=until, granted_by=actor)
    record(
        actor,
        found,
        "granted",
        payload={"user": user.username, "role": role.slug, "unit": unit and unit.slug, "until": until},
    )
    return found


@transaction.atomic
def revoke_role(actor: User, *, grant: RoleGrant, reason: str = "") -> None:
    """Take a role away; it acts on the holder's next request. What they decide in this moment comes before or after."""
    require_manager(actor, grant.unit)
    hold_people({grant.user_id})
    if RoleGrant.objects.filter(pk=grant.pk, revoked_at=None).update(revoked_at=ClockTimestamp()) != 1:
        raise NotFoundError
    record(
        actor,
        grant,
        "rolegrant.revoked",
        payload={
            "user": grant.user.username,
            "role": grant.role.slug,
            "unit": grant.unit and grant.unit.slug,
            "reason": reason,
        },
    )


@transaction.atomic
def set_roles(actor: User, *, user: User, wanted: list[tuple[Role, BusinessUnit | None, datetime | None]]) -> bool:
    """Make ``wanted`` the whole of what ``user`` holds; whether anything changed."""
    held = {(grant.role_id, grant.unit_id): grant for grant in RoleGrant.objects.filter(live_grants(), user=user)}
    changed = False
    for role, unit, until in wanted:
        grant = held.pop((role.pk, unit.pk if unit else None), None)
        if grant is None or grant.until != until:
            grant_role(actor, user=user, role=role, unit=unit, until=until)
            changed = True
    for grant in held.values():
        revoke_role(actor, grant=grant)
        changed = True
    return changed


@transaction.atomic
def end_person(actor: User, *, user: User, reason: str) -> None:
    """A person leaves: no sign-in, no token, no role from the next request on.

    Raises NotAllowedError for oneself, so that somebody who administers is always left; NotFoundError for who has left.
    """
    require_manager(actor, None)
    if actor.pk == user.pk:
        raise NotAllowedError(_("Nobody ends their own account: ask somebody else who administers."))
    if User.objects.filter(pk=user.pk, is_active=True, kind="human").update(is_active=False) != 1:
        raise NotFoundError
    user.tokens.filter(revoked_at=None).update(revoked_at=ClockTimestamp())
    for grant in RoleGrant.objects.filter(live_grants(), user=user):
        revoke_role(actor, grant=grant, reason=reason)
    record(actor, user, "user.ended", payload={"reason": reason})
