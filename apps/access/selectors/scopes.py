"""Who may what, where: units, roles, people, and who holds which."""

from collections.abc import Hashable
from uuid import UUID

from django.db import connection
from django.db.models import Q, QuerySet

from apps.access.models import BusinessUnit, Role, RoleGrant
from apps.access.selectors.emergencies import emergency_rights_of
from apps.core.errors import NotFoundError
from apps.core.gate import NOWHERE, Scope, has_direct_grants, holds, recall, scope_for, visible
from apps.core.models import ClockTimestamp, User
from apps.core.rules import UserKind

CONSOLE, DIRECTORY, METRICS = "console", "directory", "metrics"
RESERVED = frozenset({"plane", CONSOLE, DIRECTORY, METRICS})
"""Names of the plane's own users, which may not be there yet."""

SCOPE = """
WITH RECURSIVE held AS (
    SELECT g.unit_id FROM access_rolegrant g JOIN access_role r ON r.id = g.role_id
    WHERE g.user_id = %s AND g.revoked_at IS NULL AND (g.until IS NULL OR g.until > clock_timestamp())
      AND r.permissions ? %s
), tree AS (
    SELECT unit_id AS id FROM held
    UNION
    SELECT b.id FROM access_businessunit b JOIN tree t ON b.parent_id = t.id
)
SELECT id FROM tree
"""


def unit_scopes_for(actor: User, perm: str) -> Scope:
    """Where ``actor`` holds ``perm`` by role: one query, children included. The gate's hook.

    The system user ``console`` (``manage.py``) holds everything but deciding: whoever runs it owns the machine.
    ``directory`` manages access: it does what a directory's groups come to by the mappings that people made.
    ``metrics`` counts for monitoring, and sees nothing else.
    An emergency account holds its few rights while it is open, and no role.
    """
    if actor.is_emergency:
        return Scope(everywhere=perm in emergency_rights_of(actor), units=frozenset())
    if actor.kind == UserKind.SYSTEM and actor.username == CONSOLE:
        return Scope(everywhere=perm != "oversight.decide_escalation", units=frozenset())
    if actor.kind == UserKind.SYSTEM and actor.username == DIRECTORY:
        return Scope(everywhere=perm == "access.manage_access", units=frozenset())
    if actor.kind == UserKind.SYSTEM and actor.username == METRICS:
        return Scope(everywhere=perm == "kpis.view_kpi", units=frozenset())
    with connection.cursor() as cursor:
        cursor.execute(SCOPE, [actor.pk, perm])
        units = [row[0] for row in cursor.fetchall()]
    if not units:
        return NOWHERE
    return Scope(everywhere=None in units, units=frozenset(unit for unit in units if unit is not None))


ROLE_SCOPE = SCOPE.replace("r.permissions ? %s", "r.slug = %s")


def role_scope_for(actor: User, role: str) -> Scope:
    """Where ``actor`` holds this very role, children included: one query, once per request where rights are remembered.

    Nowhere with a token that carries only some rights.
    """
    if not actor.is_active or getattr(actor, "carries", None) is not None:
        return NOWHERE
    return recall(actor, f"role:{role}", lambda: _role_scope(actor, role))


def _role_scope(actor: User, role: str) -> Scope:
    with connection.cursor() as cursor:
        cursor.execute(ROLE_SCOPE, [actor.pk, role])
        units = [row[0] for row in cursor.fetchall()]
    return Scope(everywhere=None in units, units=frozenset(unit for unit in units if unit is not None))


def live_grants() -> Q:
    """Role grants that hold now, by the database's clock."""
    return Q(revoked_at=None) & (Q(until=None) | Q(until__gt=ClockTimestamp()))


def rights_key_for(actor: User) -> Hashable:
    """Equal for two people who hold the same rights in the same units by the same roles, so that they see the same.

    ``actor`` alone has theirs where anything but roles gives them rights, or takes some away.
    """
    is_plain = actor.is_human and actor.is_active and not actor.is_emergency
    if not is_plain or getattr(actor, "carries", None) is not None or has_direct_grants(actor):
        return actor.pk
    rows = RoleGrant.objects.filter(live_grants(), user=actor).values_list("role__slug", "role__permissions", "unit")
    return frozenset((role, frozenset(permissions), unit) for role, permissions, unit in rows)


def units_for(actor: User) -> QuerySet[BusinessUnit]:
    """Units in which ``actor`` manages access."""
    return visible(actor, "access.manage_access", BusinessUnit.objects.select_related("parent", "calendar")).order_by(
        "slug"
    )


def unit_for(actor: User, slug: str, *, perm: str = "access.manage_access") -> BusinessUnit:
    """One unit on which ``actor`` holds ``perm``. Raises NotFoundError."""
    if found := visible(actor, perm, BusinessUnit.objects.filter(slug=slug)).first():
        return found
    raise NotFoundError


def units_near_for(actor: User, perm: str) -> set[UUID] | None:
    """The units in which ``actor`` holds ``perm`` and those above them; None: all, as they hold it everywhere."""
    scope = scope_for(actor, perm)
    if scope.everywhere:
        return None
    near, level = set(scope.units), set(scope.units)
    while level:
        above = BusinessUnit.objects.filter(pk__in=level).values_list("parent_id", flat=True)
        level = set(above.exclude(parent=None)) - near
        near |= level
    return near


def unit_ids_below(slug: str) -> list[UUID]:
    """The unit of this slug and every unit below it; empty if there is none."""
    children: dict[UUID | None, list[UUID]] = {}
    found: list[UUID] = []
    for pk, parent, name in BusinessUnit.objects.values_list("id", "parent_id", "slug"):
        children.setdefault(parent, []).append(pk)
        if name == slug:
            found.append(pk)
    for pk in found:  # grows while it is walked: breadth first
        found.extend(children.get(pk, []))
    return found


def roles_for(actor: User) -> QuerySet[Role]:
    """All roles, for those who manage access anywhere."""
    rows = Role.objects.order_by("slug")
    return rows if holds(actor, "access.manage_access") else rows.none()


def people_for(actor: User) -> QuerySet[User]:
    """People: all of them for those who manage access everywhere, else those who hold a role in the actor's units."""
    rows = User.objects.filter(kind="human").order_by("username")
    scope = scope_for(actor, "access.manage_access")
    if scope.everywhere:
        return rows
    return rows.filter(pk__in=RoleGrant.objects.filter(live_grants(), unit__in=scope.units).values("user"))


def person_for(actor: User, username: str) -> User:
    """One person whose access ``actor`` manages. Raises NotFoundError."""
    if found := people_for(actor).filter(username=username).first():
        return found
    raise NotFoundError


def grants_for(actor: User) -> QuerySet[RoleGrant]:
    """Roles held now in the units in which ``actor`` manages access."""
    rows = RoleGrant.objects.filter(live_grants()).select_related("user", "role", "unit", "granted_by")
    return visible(actor, "access.manage_access", rows).order_by("user__username", "role__slug")


def grant_for(actor: User, grant_id: UUID) -> RoleGrant:
    """One role that is held now. Raises NotFoundError."""
    if found := grants_for(actor).filter(pk=grant_id).first():
        return found
    raise NotFoundError


def ancestors_for(actor: User | None, unit_id: UUID) -> list[UUID]:
    """The unit and everything above it, nearest first; asked once per request that reads."""
    if actor is not None:
        return recall(actor, f"access.above.{unit_id}", lambda: ancestors_for(None, unit_id))
    with connection.cursor() as cursor:
        cursor.execute(
            "WITH RECURSIVE up AS (SELECT id, parent_id, 0 AS n FROM access_businessunit WHERE id = %s"
            " UNION ALL SELECT b.id, b.parent_id, up.n + 1 FROM access_businessunit b JOIN up ON b.id = up.parent_id)"
            " SELECT id FROM up ORDER BY n",
            [unit_id],
        )
        return [row[0] for row in cursor.fetchall()]


def holders_for(actor: User, perm: str, unit_id: UUID | None) -> QuerySet[User]:
    """The active people who hold ``perm`` by role in this unit (everywhere, if there is none), by name."""
    where = Q(unit=None) if unit_id is None else Q(unit=None) | Q(unit__in=ancestors_for(actor, unit_id))
    grants = RoleGrant.objects.filter(live_grants(), where, role__permissions__contains=[perm])
    return User.objects.filter(pk__in=grants.values("user"), is_active=True, kind="human").order_by("name", "username")


def is_in_unit(person: User, unit_id: UUID) -> bool:
    """Whether a person holds any role in this unit: given there, above it, or everywhere."""
    where = Q(unit=None) | Q(unit__in=ancestors_for(None, unit_id))
    return RoleGrant.objects.filter(live_grants(), where, user=person).exists()
