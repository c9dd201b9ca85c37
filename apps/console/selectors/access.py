"""Who holds what, where, until when, given by whom: every effective right with its reason."""

from dataclasses import dataclass
from datetime import datetime

from django.db.models import Count

from apps.access.models import PersonalToken, Role, RoleGrant, Rota
from apps.access.rules import PERMISSIONS
from apps.access.selectors import emergency_rights_of, grants_for, live_grants, roles_for, rotas_for
from apps.agents.models import Agent
from apps.agents.rules import WORKING
from apps.agents.selectors import agents_for
from apps.core.gate import scope_for
from apps.core.models import User

NAMED_MAX = 50
"""So many holders of a role are named, the others counted: a page stays light, whatever the company's size."""


@dataclass(frozen=True, slots=True)
class Right:
    """One permission that somebody holds, and why."""

    permission: str
    sentence: str
    role: str
    unit: str
    granted_by: str
    granted_at: datetime
    until: datetime | None


@dataclass(frozen=True, slots=True)
class Leaving:
    """What ends or stops when somebody leaves: how many roles and tokens, which agents and rotas of those one sees."""

    roles: int
    tokens: int
    agents: list[Agent]
    unseen_agents: int
    rotas: list[Rota]


def leaving_of(actor: User, person: User) -> Leaving:
    """What follows if ``person`` leaves, as far as ``actor`` may see it; of agents beyond that, how many."""
    owned = Agent.objects.filter(owner=person, state__in=WORKING)
    seen = list(agents_for(actor).filter(pk__in=owned.values("pk")))
    return Leaving(
        roles=RoleGrant.objects.filter(live_grants(), user=person).count(),
        tokens=PersonalToken.objects.filter(PersonalToken.live(), user=person).count(),
        agents=seen,
        unseen_agents=owned.count() - len(seen),
        rotas=[rota for rota in rotas_for(actor) if person.username in rota.people],
    )


def rights_of(actor: User, person: User) -> list[Right]:
    """What ``person`` may do and why, by permission; only grants in units where ``actor`` manages access."""
    scope = scope_for(actor, "access.manage_access")
    rows = RoleGrant.objects.filter(live_grants(), user=person).select_related("role", "unit", "granted_by")
    if not scope.everywhere:
        rows = rows.filter(unit__in=scope.units)
    found = [
        Right(
            permission=permission,
            sentence=PERMISSIONS.get(permission, ""),
            role=grant.role.name,
            unit=grant.unit.name if grant.unit else "",
            granted_by=str(grant.granted_by),
            granted_at=grant.created_at,
            until=grant.until,
        )
        for grant in rows
        for permission in grant.role.permissions
    ]
    return sorted(found, key=lambda right: (right.permission, right.unit))


@dataclass(frozen=True, slots=True)
class Held:
    """One permission that the reader holds, and the names of the units where; none: everywhere."""

    permission: str
    sentence: str
    units: tuple[str, ...]


def rights_held_by(actor: User) -> list[Held]:
    """What ``actor`` itself may do and where, by permission."""
    where: dict[str, set[str]] = {right: {""} for right in (emergency_rights_of(actor) if actor.is_emergency else ())}
    for grant in RoleGrant.objects.filter(live_grants(), user=actor).select_related("role", "unit"):
        for permission in grant.role.permissions:
            where.setdefault(permission, set()).add(grant.unit.name if grant.unit else "")
    return [
        Held(name, PERMISSIONS[name], () if "" in units else tuple(sorted(units)))
        for name, units in sorted(where.items())
        if name in PERMISSIONS
    ]


@dataclass(frozen=True, slots=True)
class RoleColumn:
    """One role, who holds it now in the units where the reader manages access: the first by user name, and how many."""

    role: Role
    holders: tuple[User, ...]
    count: int

    @property
    def more(self) -> int:
        """How many are not named."""
        return self.count - len(self.holders)


@dataclass(frozen=True, slots=True)
class PermissionRow:
    """One permission in words, and for each role, in the order of the columns, whether it holds it."""

    permission: str
    sentence: str
    held: tuple[bool, ...]

    @property
    def is_held(self) -> bool:
        """Whether any role holds it."""
        return any(self.held)


@dataclass(frozen=True, slots=True)
class RoleMatrix:
    """Roles by permission; ``unknown``: what roles name and the plane does not know, which gives nothing."""

    columns: tuple[RoleColumn, ...]
    rows: tuple[PermissionRow, ...]
    unknown: tuple[str, ...]


def role_matrix_for(actor: User) -> RoleMatrix:
    """Every role with every permission, for those who manage access anywhere; few holders are read, however many."""
    held = grants_for(actor).order_by()
    counts = dict(held.values_list("role").annotate(Count("user", distinct=True)))
    columns = []
    for role in roles_for(actor):
        people = User.objects.filter(pk__in=held.filter(role=role).values("user")).order_by("username")
        shown = tuple(people[:NAMED_MAX]) if role.pk in counts else ()
        columns.append(RoleColumn(role, shown, counts.get(role.pk, 0)))
    named = {name for column in columns for name in column.role.permissions}
    rows = [
        PermissionRow(name, sentence, tuple(name in column.role.permissions for column in columns))
        for name, sentence in PERMISSIONS.items()
    ]
    return RoleMatrix(tuple(columns), tuple(rows), tuple(sorted(named - PERMISSIONS.keys())))
