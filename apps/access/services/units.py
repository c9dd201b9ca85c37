"""Commands on units, roles and queues."""

from typing import Any

from django.db import transaction
from django.db.models import Model
from django.utils.translation import gettext as _

from apps.access.models import BusinessUnit, Calendar, Queue, Role, Rota
from apps.access.rules import TargetKind, is_permission, level_errors, target_of
from apps.access.selectors import live_grants
from apps.access.services.holding import hold_people
from apps.audit.services import record
from apps.core.errors import InvalidError, NotAllowedError
from apps.core.gate import refuse_agents, scope_for
from apps.core.models import User


def require_manager(actor: User, unit: BusinessUnit | None, perm: str = "access.manage_access") -> None:
    """Raise NotAllowedError unless ``actor`` holds ``perm`` in ``unit`` (everywhere, if there is none).

    Agents never, whatever they were granted.
    """
    refuse_agents(actor)
    scope = scope_for(actor, perm)
    if not (scope.everywhere or (unit is not None and unit.pk in scope.units)):
        raise NotAllowedError


def write_if_changed(actor: User, row: Model, *, is_new: bool, values: dict[str, Any]) -> str:
    """Save ``values`` on ``row`` where they differ and record it: ``created``, ``changed`` or ``unchanged``."""
    changed = {name: value for name, value in values.items() if is_new or getattr(row, name) != value}
    for name, value in changed.items():
        setattr(row, name, value)
    if is_new:
        row.save(force_insert=True)
        record(actor, row, "created", payload=_plain(changed))
        return "created"
    if not changed:
        return "unchanged"
    row.save(update_fields=list(changed))
    record(actor, row, "changed", payload=_plain(changed))
    return "changed"


def _plain(values: dict[str, Any]) -> dict[str, Any]:
    return {name: str(value) if isinstance(value, Model) else value for name, value in values.items()}


@transaction.atomic
def save_role(actor: User, *, slug: str, name: str, permissions: list[str]) -> tuple[Role, str]:
    """Make or change a role. Roles hold everywhere they are granted, so only an admin of everything may.

    Raises NotAllowedError for whoever would add to a role that they hold: nobody gives a right to themselves.
    """
    require_manager(actor, None)
    if unknown := [perm for perm in permissions if not is_permission(perm)]:
        raise InvalidError(errors={"permissions": [_("There is no permission %s.") % perm for perm in unknown]})
    found = Role.objects.select_for_update(no_key=True).filter(slug=slug).first()
    if found and set(permissions) - set(found.permissions) and found.grants.filter(live_grants(), user=actor).exists():
        raise NotAllowedError(_("You hold this role: somebody else who administers adds to it."))
    if found and set(found.permissions) - set(permissions):
        hold_people(found.grants.filter(live_grants()).values_list("user_id", flat=True))
    role = found or Role(slug=slug)
    values = {"name": name, "permissions": sorted(set(permissions))}
    return role, write_if_changed(actor, role, is_new=found is None, values=values)


@transaction.atomic
def save_queue(
    actor: User,
    *,
    slug: str,
    unit: BusinessUnit,
    role: Role,
    name: str = "",
    sla_s: int = 3600,
    expires_s: int = 86400,
    unseen_after_s: int | None = None,
    escalation: list[dict[str, Any]] | None = None,
    repeat: int = 0,
    last_resort: bool = False,
    calendar: Calendar | None = None,
) -> tuple[Queue, str]:
    """Make or change a queue. Levels may name queues that do not exist yet; one that never does is passed over."""
    require_manager(actor, unit)
    errors = level_errors(escalation or [], repeat=repeat)
    if sla_s < 1 or expires_s < 1 or unseen_after_s == 0:
        errors["sla_s"] = [_("Durations are whole seconds from 1.")]
    if last_resort and (other := Queue.objects.filter(unit=unit, last_resort=True).exclude(slug=slug).first()):
        errors["last_resort"] = [_("%s is the last resort of this unit already.") % other.slug]
    errors = errors or _target_errors(escalation or [])
    if errors:
        raise InvalidError(errors=errors)
    found = Queue.objects.select_for_update(no_key=True, of=("self",)).select_related("unit").filter(slug=slug).first()
    if found:
        require_manager(actor, found.unit)
    queue = found or Queue(slug=slug)
    values = {
        "name": name or slug.replace("-", " ").capitalize(),
        "unit": unit,
        "role": role,
        "sla_s": sla_s,
        "expires_s": expires_s,
        "unseen_after_s": unseen_after_s,
        "escalation": escalation or [],
        "repeat": repeat,
        "last_resort": last_resort,
        "calendar": calendar,
    }
    return queue, write_if_changed(actor, queue, is_new=found is None, values=values)


def _target_errors(levels: list[dict[str, Any]]) -> dict[str, list[str]]:
    """Roles and people whom no level can reach, by path."""
    errors: dict[str, list[str]] = {}
    for place, level in enumerate(levels):
        target = target_of(level["to"])
        if target.kind == TargetKind.ROLE and not Role.objects.filter(slug=target.name).exists():
            errors[f"escalation.{place}.to"] = [_("There is no role %s.") % target.name]
        if target.kind == TargetKind.ROTA and not Rota.objects.filter(slug=target.name).exists():
            errors[f"escalation.{place}.to"] = [_("There is no rota %s.") % target.name]
        people = User.objects.filter(username=target.name, kind="human", is_active=True)
        if target.kind == TargetKind.USER and not people.exists():
            errors[f"escalation.{place}.to"] = [_("There is no active person called %s.") % target.name]
    return errors
