"""Commands on permissions: who may use an operation, with which parameters, until when. Agents never grant."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from django.contrib.auth.models import Permission
from django.core.exceptions import ObjectDoesNotExist
from django.db import connection, transaction
from django.utils.translation import gettext as _

from apps.access.models import BusinessUnit
from apps.access.services import require_manager
from apps.agents.models import Agent
from apps.agents.services import bump_epoch
from apps.audit.services import record
from apps.connectors.models import Operation, OperationPermission
from apps.connectors.rules import ConnectorState, field_problems, refused_paths
from apps.connectors.selectors import MANAGE, USE
from apps.core.errors import ConflictError, InvalidError, NotAllowedError, NotFoundError
from apps.core.gate import refuse_agents, scope_for
from apps.core.models import ClockTimestamp, User

MANAGE_AGENT = "agents.manage_agent"
REASON_MAX = 500


@transaction.atomic
def grant_operation(
    actor: User, *, holder: User, operation: Operation, fields: Sequence[str] | None = None,
    until: datetime | None = None, reason: str = "", unit: BusinessUnit | None = None,
) -> tuple[OperationPermission, str]:  # fmt: skip
    """Let an agent (or a workflow's system user, whose ``unit`` is given) use an operation; replaces what it had.

    Returns the permission and ``created``, ``changed`` or ``unchanged``. Acts on the holder's next request.
    """
    agent = authorise(actor, holder, unit)
    _require_operation(actor, operation)
    _check_reason(actor, reason)
    if operation.state == ConnectorState.RETIRED:
        raise ConflictError(_("The operation is retired."))
    narrowed = _fields(fields, operation)
    _check_until(until)
    found = _locked(holder, operation)
    if found and (found.fields, found.until) == (narrowed, until):
        return found, "unchanged"
    if found:
        name = "granted" if _widening(found, narrowed, until) else "narrowed"
        return _change(actor, found, agent, name, fields=narrowed, until=until, reason=reason), "changed"
    made = OperationPermission.objects.create(
        user=holder, content_object=operation, permission=_use_operation(), fields=narrowed, until=until,
        granted_by=actor, reason=reason.strip(),
    )  # fmt: skip
    _tell(actor, made, agent, "granted", reason)
    return made, "created"


@transaction.atomic
def narrow_operation(
    actor: User, *, holder: User, operation: Operation, fields: Sequence[str] | None, until: datetime | None,
    reason: str = "", unit: BusinessUnit | None = None,
) -> OperationPermission:  # fmt: skip
    """Leave less of a permission: fewer fields, an earlier end. Raises InvalidError for what would be more."""
    agent = authorise(actor, holder, unit)
    _check_reason(actor, reason)
    found = _locked(holder, operation)
    if found is None:
        raise NotFoundError
    narrowed = _fields(fields, operation)
    if wider := _widening(found, narrowed, until):
        raise InvalidError(errors={name: [_("That would be more than it has: grant it instead.")] for name in wider})
    if (found.fields, found.until) == (narrowed, until):
        return found
    return _change(actor, found, agent, "narrowed", fields=narrowed, until=until, reason=reason)


@transaction.atomic
def revoke_operation(
    actor: User, *, holder: User, operation: Operation, reason: str = "", unit: BusinessUnit | None = None
) -> None:
    """Take a permission away; it acts on the holder's next request. Raises NotFoundError where there is none."""
    agent = authorise(actor, holder, unit)
    _check_reason(actor, reason)
    found = _locked(holder, operation)
    if found is None:
        raise NotFoundError
    _tell(actor, found, agent, "revoked", reason)
    found.delete()


def _widening(found: OperationPermission, fields: list[str] | None, until: datetime | None) -> list[str]:
    """Which parts would be more than what is held."""
    wider = []
    if found.fields is not None and (fields is None or refused_paths(dict.fromkeys(fields), found.fields, "")):
        wider.append("fields")
    if found.until is not None and (until is None or until > found.until):
        wider.append("until")
    return wider


def authorise(actor: User, holder: User, unit: BusinessUnit | None) -> Agent | None:
    """The holder's agent, None for a workflow's system user. Raises NotAllowedError, NotFoundError."""
    refuse_agents(actor)
    if holder.is_human:
        raise InvalidError(errors={"holder": [_("People use systems themselves; permissions are for agents.")]})
    agent = _agent_of(holder)
    if holder.is_agent and agent is None:
        raise NotFoundError
    where = agent.unit if agent else unit
    for permission in (MANAGE_AGENT, MANAGE):
        try:
            require_manager(actor, where, permission)
        except NotAllowedError:
            continue
        return agent
    raise NotAllowedError


def _agent_of(holder: User) -> Agent | None:
    try:
        return Agent.objects.select_related("unit").get(user=holder)
    except ObjectDoesNotExist:
        return None


def _require_operation(actor: User, operation: Operation) -> None:
    """Whoever grants must be able to see the system: its unit's people, everybody's if it belongs to no unit."""
    if actor.username == "console" and not actor.is_human:
        return
    unit_id = operation.connector.unit_id
    scopes = [scope_for(actor, MANAGE), scope_for(actor, USE)]
    if not any(scope.everywhere or (scope.units if unit_id is None else unit_id in scope.units) for scope in scopes):
        raise NotFoundError


def _check_reason(actor: User, reason: str) -> None:
    if actor.is_human and not reason.strip():
        raise InvalidError(errors={"reason": [_("Say why.")]})
    if len(reason) > REASON_MAX:
        raise InvalidError(errors={"reason": [_("At most %d characters.") % REASON_MAX]})


def _fields(fields: Sequence[str] | None, operation: Operation) -> list[str] | None:
    if fields is None:
        return None
    wanted = sorted(set(fields))
    if problems := field_problems(wanted, operation.parameters):
        raise InvalidError(errors={f"fields.{name}": [problem] for name, problem in problems.items()})
    return wanted


def _check_until(until: datetime | None) -> None:
    if until is not None and until.tzinfo is None:
        raise InvalidError(errors={"until": [_("A time with its zone.")]})
    if until is not None:
        with connection.cursor() as cursor:
            cursor.execute("SELECT %s > clock_timestamp()", [until])
            if not cursor.fetchone()[0]:
                raise InvalidError(errors={"until": [_("This time is over.")]})


def _use_operation() -> Permission:
    return Permission.objects.get(content_type__app_label="connectors", codename="use_operation")


def _locked(holder: User, operation: Operation) -> OperationPermission | None:
    return OperationPermission.objects.select_for_update().filter(user=holder, content_object=operation).first()


def _change(
    actor: User, found: OperationPermission, agent: Agent | None, name: str, *, reason: str, **values: Any
) -> OperationPermission:
    OperationPermission.objects.filter(pk=found.pk).update(
        **values, granted_by=actor, granted_at=ClockTimestamp(), reason=reason.strip()
    )
    before = {"fields": found.fields, "until": found.until}
    found.refresh_from_db()
    _tell(actor, found, agent, name, reason, before=before)
    return found


def _tell(
    actor: User, permission: OperationPermission, agent: Agent | None, name: str, reason: str, **more: Any
) -> None:
    """Void what was cached about the agent, and leave the entry on the agent (on the operation, without one)."""
    if agent:
        bump_epoch(agent)
    payload = {
        "operation": permission.content_object.slug, "holder": permission.user.username, "fields": permission.fields,
        "until": permission.until, "reason": reason.strip(), **more,
    }  # fmt: skip
    record(actor, agent or permission.content_object, f"permission.{name}", payload=payload)
