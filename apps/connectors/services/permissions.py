"""Commands on permissions: who may use an operation, with which parameters, until when. Agents never grant."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.contrib.auth.models import Permission
from django.db import connection, transaction
from django.utils.translation import gettext as _

from apps.access.models import BusinessUnit
from apps.access.services import require_manager
from apps.agents.models import Agent
from apps.agents.rules import AgentState
from apps.agents.services import bump_epoch
from apps.audit.services import record
from apps.connectors.models import Operation, OperationPermission
from apps.connectors.rules import ConnectorState, Money, field_problems, is_wider_limit, refused_paths
from apps.connectors.selectors import MANAGE, USE
from apps.core.amounts import EXPONENTS
from apps.core.errors import ConflictError, InvalidError, NotAllowedError, NotFoundError
from apps.core.gate import refuse_agents, scope_for
from apps.core.models import ClockTimestamp, User
from apps.core.rules import MAX_INTEGER

MANAGE_AGENT = "agents.manage_agent"
REASON_MAX = 500


@dataclass(frozen=True, slots=True)
class _Extent:
    """How much of an operation a permission gives."""

    fields: list[str] | None
    until: datetime | None
    limit: Money | None

    @classmethod
    def of(cls, held: OperationPermission) -> "_Extent":
        """What is held."""
        return cls(held.fields, held.until, held.limit)

    @property
    def columns(self) -> dict[str, Any]:
        """The same as the table has it."""
        minor, currency = (self.limit.minor, self.limit.currency) if self.limit else (None, "")
        return {"fields": self.fields, "until": self.until, "limit_minor": minor, "limit_currency": currency}

    def beyond(self, held: "_Extent") -> list[str]:
        """Which parts are more than what is held."""
        wider = []
        if held.fields is not None and (
            self.fields is None or refused_paths(dict.fromkeys(self.fields), held.fields, "")
        ):
            wider.append("fields")
        if held.until is not None and (self.until is None or self.until > held.until):
            wider.append("until")
        return [*wider, "limit"] if is_wider_limit(self.limit, held.limit) else wider


@transaction.atomic
def grant_operation(
    actor: User, *, holder: User, operation: Operation, fields: Sequence[str] | None = None,
    until: datetime | None = None, limit: Money | None = None, reason: str = "", unit: BusinessUnit | None = None,
) -> tuple[OperationPermission, str]:  # fmt: skip
    """Let an agent (or a workflow's system user, whose ``unit`` is given) use an operation; replaces what it had.

    Returns the permission and ``created``, ``changed`` or ``unchanged``. Acts on the holder's next request.
    """
    agent = authorise(actor, holder, unit)
    if agent and agent.state == AgentState.RETIRED:
        raise ConflictError(_("A retired agent is granted nothing."))
    _require_operation(actor, operation)
    _check_reason(actor, reason)
    if operation.state == ConnectorState.RETIRED:
        raise ConflictError(_("The operation is retired."))
    wanted = _Extent(_fields(fields, operation), until, _limit(limit, operation))
    _check_until(until)
    found = _locked(holder, operation)
    if found and _Extent.of(found) == wanted:
        return found, "unchanged"
    if found:
        name = "granted" if wanted.beyond(_Extent.of(found)) else "narrowed"
        return _change(actor, found, agent, name, wanted, reason=reason), "changed"
    made = OperationPermission.objects.create(
        user=holder, content_object=operation, permission=_use_operation(), granted_by=actor, reason=reason.strip(),
        **wanted.columns,
    )  # fmt: skip
    _tell(actor, made, agent, "granted", reason)
    return made, "created"


@transaction.atomic
def narrow_operation(
    actor: User, *, holder: User, operation: Operation, fields: Sequence[str] | None, until: datetime | None,
    limit: Money | None = None, reason: str = "", unit: BusinessUnit | None = None,
) -> OperationPermission:  # fmt: skip
    """Leave less of a permission: fewer fields, an earlier end, a lower limit. InvalidError for what would be more."""
    agent = authorise(actor, holder, unit)
    _check_reason(actor, reason)
    found = _locked(holder, operation)
    if found is None:
        raise NotFoundError
    wanted, held = _Extent(_fields(fields, operation), until, _limit(limit, operation)), _Extent.of(found)
    if wider := wanted.beyond(held):
        raise InvalidError(errors={name: [_("That would be more than it has: grant it instead.")] for name in wider})
    if held == wanted:
        return found
    return _change(actor, found, agent, "narrowed", wanted, reason=reason)


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


def authorise(actor: User, holder: User, unit: BusinessUnit | None) -> Agent | None:
    """The holder's agent, None for a workflow's system user. Raises NotAllowedError, NotFoundError.

    It is locked before anything else of it is: who asks, grants, narrows and revokes takes turns for each holder.
    """
    refuse_agents(actor)
    if holder.is_human:
        raise InvalidError(errors={"holder": [_("People use systems themselves; permissions are for agents.")]})
    agent = _locked_agent_of(holder)
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


def _locked_agent_of(holder: User) -> Agent | None:
    agents = Agent.objects.select_for_update(of=("self",), no_key=True).select_related("unit")
    if found := agents.filter(user=holder).first():
        return found
    User.objects.select_for_update(no_key=True).get(pk=holder.pk)
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


def _limit(limit: Money | None, operation: Operation) -> Money | None:
    if limit is None:
        return None
    if not operation.amount:
        raise InvalidError(errors={"limit": [_("The operation has no amount.")]})
    if limit.currency not in EXPONENTS:
        raise InvalidError(errors={"limit.currency": [_("A currency of ISO 4217.")]})
    if not 0 <= limit.minor <= MAX_INTEGER:
        raise InvalidError(errors={"limit.amount_minor": [_("From 0 to %d.") % MAX_INTEGER]})
    return limit


def _said(limit: Money | None) -> str | None:
    return str(limit) if limit else None


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
    actor: User, found: OperationPermission, agent: Agent | None, name: str, wanted: _Extent, *, reason: str
) -> OperationPermission:
    OperationPermission.objects.filter(pk=found.pk).update(
        **wanted.columns, granted_by=actor, granted_at=ClockTimestamp(), reason=reason.strip()
    )
    before = {"fields": found.fields, "until": found.until, "limit": _said(found.limit)}
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
        "until": permission.until, "limit": _said(permission.limit), "reason": reason.strip(), **more,
    }  # fmt: skip
    record(actor, agent or permission.content_object, f"permission.{name}", payload=payload)
