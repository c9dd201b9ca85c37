"""Why somebody may do something, and who may: by which role or permission, where, from whom, until when.

Whoever manages access in a unit sees what was given there. What was given above, or to agents that they may not see,
holds there too: they are told how many more there are, and nothing else of them.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db.models import Q, QuerySet

from apps.access.models import BusinessUnit, RoleGrant
from apps.access.rules import PERMISSIONS, is_permission
from apps.access.selectors import ancestors_for, live_grants, people_for, unit_for
from apps.agents.rules import AgentState
from apps.agents.selectors import agents_for
from apps.connectors.models import Operation, OperationPermission
from apps.connectors.selectors import all_operations_for
from apps.core.errors import InvalidError, NotAllowedError, NotFoundError
from apps.core.gate import holds, scope_for
from apps.core.models import ClockTimestamp, User
from apps.core.rules import UserKind
from apps.workflows.models import Workflow, WorkflowPermission
from apps.workflows.selectors import workflows_for

PERM = "access.manage_access"
OBJECTS = {
    "connectors.use_operation": "operation",
    "workflows.work_workflow": "workflow",
    "workflows.start_run": "workflow",
}
"""What can be granted on one object alone, to agents and workflows."""
MOST = 500
"""So many roles are named, by who holds them; of more it is said how many."""


@dataclass(frozen=True, slots=True)
class Asked:
    """A permission, and where: in a unit, on an operation or a workflow; everywhere without any."""

    permission: str
    unit: BusinessUnit | None = None
    operation: Operation | None = None
    workflow: Workflow | None = None

    @property
    def sentence(self) -> str:
        """What the permission lets its holder do."""
        return PERMISSIONS[self.permission]

    @property
    def target(self) -> Operation | Workflow | None:
        """The object, if one is meant."""
        return self.operation or self.workflow

    @property
    def unit_id(self) -> UUID | None:
        """The unit in which a role has to hold."""
        if self.operation:
            return self.operation.connector.unit_id
        return self.workflow.unit_id if self.workflow else self.unit.pk if self.unit else None


@dataclass(frozen=True, slots=True)
class Reason:
    """One way in which somebody may: a role (``unit`` empty: everywhere), or a permission on the object alone."""

    who: User
    name: str
    role: str
    unit: str
    granted_by: str
    granted_at: datetime
    until: datetime | None
    note: str = ""
    fields: list[str] | None = None
    limit: str = ""
    agent: str = ""
    state: str = ""


@dataclass(frozen=True, slots=True)
class Answer:
    """The reasons that the asker may see, by name, how many more there are of those, and how many others."""

    reasons: list[Reason]
    hidden: int
    more: int = 0

    @property
    def may(self) -> bool:
        """Whether anybody may at all."""
        return bool(self.reasons) or self.hidden > 0


def asked_for(actor: User, *, permission: str, unit: str = "", operation: str = "", workflow: str = "") -> Asked:
    """The question, with what it names looked up. Raises NotAllowedError for who manages no access, InvalidError."""
    if not holds(actor, PERM):
        raise NotAllowedError
    if not is_permission(permission):
        raise InvalidError(errors={"permission": [f"One of: {', '.join(PERMISSIONS)}."]})
    if sum(map(bool, (unit, operation, workflow))) > 1:
        raise InvalidError(errors={"unit": ["Name a unit, an operation or a workflow; not several."]})
    for name, given in (("operation", operation), ("workflow", workflow)):
        if given and OBJECTS.get(permission) != name:
            raise InvalidError(errors={name: [f"{permission} is not held on one {name}."]})
    return Asked(
        permission,
        _found("unit", lambda: unit_for(actor, unit)) if unit else None,
        _found("operation", lambda: _one(all_operations_for(actor), operation)) if operation else None,
        _found("workflow", lambda: _one(workflows_for(actor).select_related("unit"), workflow)) if workflow else None,
    )


def _found(name: str, look: Any) -> Any:
    try:
        return look()
    except NotFoundError as error:
        raise InvalidError(errors={name: ["There is none of this name, or it is not yours to ask about."]}) from error


def _one(rows: QuerySet[Any], slug: str) -> Any:
    if "\x00" not in slug and (found := rows.filter(slug=slug).first()):
        return found
    raise NotFoundError


def who_may_for(actor: User, asked: Asked) -> Answer:
    """Everybody who may, by name."""
    return _answer(actor, asked, None)


def why_may_for(actor: User, asked: Asked, username: str) -> Answer:
    """Why one person or agent may; no reasons: they may not. Raises NotFoundError for whom one may not see."""
    person = people_for(actor).filter(username=username).first()
    agent = None if person else agents_for(actor).filter(Q(user__username=username) | Q(slug=username)).first()
    if person is None and agent is None:
        raise NotFoundError
    return _answer(actor, asked, person or (agent.user if agent else None))


def _answer(actor: User, asked: Asked, who: User | None) -> Answer:
    roles, direct = _roles(asked, who), _direct(asked, who)
    scope = scope_for(actor, PERM)
    seen_roles = roles if scope.everywhere else roles.filter(unit__in=scope.units)
    by_role = [_of_role(grant) for grant in seen_roles.order_by("user__username", "id")[:MOST]]
    agents = {agent.user_id: agent for agent in agents_for(actor).filter(user__in=[row.user_id for row in direct])}
    shown = [row for row in direct if row.user_id in agents or row.user.kind == UserKind.SYSTEM]
    by_object = [_of_object(row, agents.get(row.user_id)) for row in shown]
    seen = seen_roles.count()
    found = sorted([*by_role, *by_object], key=lambda reason: (reason.name, reason.who.username, reason.role))
    return Answer(found, hidden=roles.count() - seen + len(direct) - len(shown), more=seen - len(by_role))


def _roles(asked: Asked, who: User | None) -> QuerySet[RoleGrant]:
    """Live grants of roles that hold there, whoever asks."""
    above = ancestors_for(None, asked.unit_id) if asked.unit_id else []
    rows = RoleGrant.objects.filter(live_grants(), Q(unit=None) | Q(unit__in=above), user__is_active=True)
    rows = rows.filter(role__permissions__contains=[asked.permission])
    rows = rows if who is None else rows.filter(user=who)
    return rows.select_related("user", "role", "unit", "granted_by")


def _direct(asked: Asked, who: User | None) -> list[Any]:
    """Live permissions of agents and workflows on the object alone, whoever asks."""
    if asked.target is None:
        return []
    table: Any = OperationPermission if asked.operation else WorkflowPermission
    app, codename = asked.permission.split(".", 1)
    rows = table.objects.filter(
        Q(until=None) | Q(until__gt=ClockTimestamp()),
        content_object=asked.target,
        permission__content_type__app_label=app,
        permission__codename=codename,
        user__is_active=True,
    ).exclude(user__agent__state=AgentState.RETIRED)
    rows = rows if who is None else rows.filter(user=who)
    return list(rows.select_related("user", "granted_by"))


def _of_role(grant: RoleGrant) -> Reason:
    return Reason(
        who=grant.user,
        name=str(grant.user),
        role=grant.role.name,
        unit=grant.unit.name if grant.unit else "",
        granted_by=str(grant.granted_by),
        granted_at=grant.created_at,
        until=grant.until,
    )


def _of_object(row: Any, agent: Any) -> Reason:
    limit = getattr(row, "limit", None)
    return Reason(
        who=row.user,
        name=str(agent or row.user),
        role="",
        unit="",
        granted_by=str(row.granted_by or ""),
        granted_at=row.granted_at,
        until=row.until,
        note=row.reason,
        fields=getattr(row, "fields", None),
        limit=str(limit) if limit else "",
        agent=agent.slug if agent else "",
        state=agent.state if agent else "",
    )


def askable_for(actor: User) -> dict[str, Iterable[Any]]:
    """What the page offers to ask about."""
    return {"operations": all_operations_for(actor), "workflows": workflows_for(actor)}
