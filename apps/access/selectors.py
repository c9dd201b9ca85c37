"""Who may what, where; who serves a queue, and when."""

from uuid import UUID

from django.db import connection
from django.db.models import Q, QuerySet

from apps.access.models import (
    Absence,
    BusinessUnit,
    Calendar,
    DirectoryAccount,
    DirectoryGroup,
    PersonalToken,
    Queue,
    Role,
    RoleGrant,
    Rota,
    Session,
)
from apps.access.rules import OpenHours, Policy
from apps.core.errors import NotFoundError
from apps.core.gate import NOWHERE, Scope, carries, holds, recall, scope_for, visible
from apps.core.models import ClockTimestamp, User, database_now
from apps.core.prepared import Prepared
from apps.core.rules import UserKind

CONSOLE, DIRECTORY, METRICS = "console", "directory", "metrics"

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
    """
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


def queues_for(actor: User) -> QuerySet[Queue]:
    """Queues of the units in which ``actor`` manages access, and those that it serves."""
    rows = Queue.objects.select_related("unit", "role", "calendar").order_by("slug")
    managed = visible(actor, "access.manage_access", Queue.objects.all()).values("pk")
    return rows.filter(Q(pk__in=managed) | Q(pk__in=queues_served_by(actor).values("pk")))


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


def queues_served_by(actor: User) -> QuerySet[Queue]:
    """Queues whose role ``actor`` holds in the queue's unit, above it, or everywhere."""
    return Queue.objects.filter(pk__in=queue_ids_served_by(actor))


def queue_ids_served_by(actor: User) -> frozenset[UUID]:
    """The ids of the same queues. One query. None for a token that decides nothing."""
    if not carries(actor, "oversight.decide_escalation"):
        return frozenset()
    with connection.cursor() as cursor:
        cursor.execute(SERVED, [actor.pk])
        return frozenset(row[0] for row in cursor.fetchall())


SERVED = """
WITH RECURSIVE held AS (
    SELECT g.unit_id, g.role_id FROM access_rolegrant g
    WHERE g.user_id = %s AND g.revoked_at IS NULL AND (g.until IS NULL OR g.until > clock_timestamp())
), tree AS (
    SELECT unit_id AS id, role_id FROM held WHERE unit_id IS NOT NULL
    UNION
    SELECT b.id, t.role_id FROM access_businessunit b JOIN tree t ON b.parent_id = t.id
)
SELECT q.id FROM access_queue q
WHERE EXISTS (SELECT 1 FROM held h WHERE h.unit_id IS NULL AND h.role_id = q.role_id)
   OR EXISTS (SELECT 1 FROM tree t WHERE t.id = q.unit_id AND t.role_id = q.role_id)
"""


def may_serve_queue(actor: User, queue: Queue) -> bool:
    """Whether ``actor`` is a person who serves ``queue`` now."""
    return actor.is_human and queues_served_by(actor).filter(pk=queue.pk).exists()


def holders_for(actor: User, perm: str, unit_id: UUID | None) -> QuerySet[User]:
    """The active people who hold ``perm`` by role in this unit (everywhere, if there is none), by name."""
    where = Q(unit=None) if unit_id is None else Q(unit=None) | Q(unit__in=ancestors_for(actor, unit_id))
    grants = RoleGrant.objects.filter(live_grants(), where, role__permissions__contains=[perm])
    return User.objects.filter(pk__in=grants.values("user"), is_active=True, kind="human").order_by("name", "username")


def is_in_unit(person: User, unit_id: UUID) -> bool:
    """Whether a person holds any role in this unit: given there, above it, or everywhere."""
    where = Q(unit=None) | Q(unit__in=ancestors_for(None, unit_id))
    return RoleGrant.objects.filter(live_grants(), where, user=person).exists()


def members_of_queue_for(actor: User | None, queue: Queue) -> QuerySet[User]:
    """The active people who serve ``queue`` now."""
    units = ancestors_for(actor, queue.unit_id)
    grants = RoleGrant.objects.filter(live_grants(), Q(unit=None) | Q(unit__in=units), role=queue.role_id)
    return User.objects.filter(pk__in=grants.values("user"), is_active=True, kind="human").order_by("username")


NEAREST_CALENDAR = """
WITH RECURSIVE up AS (
    SELECT id, parent_id, calendar_id, 0 AS n FROM access_businessunit WHERE id = %s
    UNION ALL
    SELECT b.id, b.parent_id, b.calendar_id, up.n + 1 FROM access_businessunit b JOIN up ON b.id = up.parent_id
)
SELECT c.* FROM up JOIN access_calendar c ON c.id = up.calendar_id ORDER BY up.n LIMIT 1
"""
NEAREST_LAST_RESORT = """
WITH RECURSIVE up AS (
    SELECT id, parent_id, 0 AS n FROM access_businessunit WHERE id = %s
    UNION ALL SELECT b.id, b.parent_id, up.n + 1 FROM access_businessunit b JOIN up ON b.id = up.parent_id
)
SELECT q.* FROM up JOIN access_queue q ON q.unit_id = up.id AND q.last_resort ORDER BY up.n LIMIT 1
"""


def calendars_for(actor: User) -> QuerySet[Calendar]:
    """All calendars, for those who manage access anywhere."""
    rows = Calendar.objects.order_by("slug")
    return rows if holds(actor, "access.manage_access") else rows.none()


def calendar_for(actor: User, slug: str) -> Calendar:
    """One calendar, for those who manage access anywhere. Raises NotFoundError."""
    if found := calendars_for(actor).filter(slug=slug).first():
        return found
    raise NotFoundError


def open_hours_of(queue: Queue) -> OpenHours | None:
    """By what ``queue`` counts open time: its calendar, else that of the nearest unit from its own up; None: always."""
    if queue.calendar_id:
        return queue.calendar.open_hours() if queue.calendar else None
    for found in Calendar.objects.raw(NEAREST_CALENDAR, [queue.unit_id]):
        return found.open_hours()
    return None


def last_resort_of(unit_id: UUID) -> Queue | None:
    """The queue that takes what nobody took, nearest from this unit up; None where there is none."""
    return next(iter(Queue.objects.raw(NEAREST_LAST_RESORT, [unit_id])), None)


def rotas_for(actor: User) -> QuerySet[Rota]:
    """The rotas of the units in which ``actor`` manages access, by slug."""
    return visible(actor, "access.manage_access", Rota.objects.select_related("unit").order_by("slug"))


def rota_for(actor: User, slug: str) -> Rota:
    """One rota of a unit in which ``actor`` manages access. Raises NotFoundError."""
    if found := rotas_for(actor).filter(slug=slug).first():
        return found
    raise NotFoundError


def names_asking_rota(rota: Rota) -> list[str]:
    """The slugs of all queues of which a level asks the rota: what keeps it from being removed, whoever looks."""
    rows = Queue.objects.filter(escalation__contains=[{"to": {"rota": rota.slug}}])
    return list(rows.order_by("slug").values_list("slug", flat=True))


def names_using_calendar(calendar: Calendar) -> list[str]:
    """The slugs of the queues and units that count by the calendar: what keeps it from being removed."""
    queues = Queue.objects.filter(calendar=calendar).order_by("slug").values_list("slug", flat=True)
    return [*queues, *BusinessUnit.objects.filter(calendar=calendar).order_by("slug").values_list("slug", flat=True)]


def on_duty_of(slug: str) -> User | None:
    """Who is on duty now by this rota; None where there is none, before its first turn, or where they left."""
    rota = Rota.objects.filter(slug=slug).first()
    name = rota.turns().on_duty(database_now()) if rota else None
    return User.objects.filter(username=name, kind="human", is_active=True).first() if name else None


def escalation_policies() -> dict[str, Policy]:
    """What the queues with levels say, by slug."""
    rows = Queue.objects.exclude(escalation=[]).values_list("slug", "escalation", "repeat")
    return {slug: Policy(levels, repeat) for slug, levels, repeat in rows}


_away = Prepared(lambda: Absence.objects.filter(Absence.now(), closed_at=None).select_related("user", "delegate"))


def away_now() -> dict[User, User | None]:
    """Everybody who is away now, with their delegate. Few rows: one query along an index of what is not over."""
    rows = _away()
    return {row.user: row.delegate if row.delegate and row.delegate.is_active else None for row in rows}


def absences_for(actor: User, user: User) -> QuerySet[Absence]:
    """The absences of ``user`` that are not over, for themselves and for admins of everything."""
    rows = Absence.objects.filter(user=user, ends_at__gt=ClockTimestamp()).select_related("user", "delegate")
    is_theirs = actor.pk == user.pk or scope_for(actor, "access.manage_access").everywhere
    return (rows if is_theirs else rows.none()).order_by("starts_at")


def absence_for(actor: User, absence_id: UUID) -> Absence:
    """One absence that is not over, of oneself or, for admins of everything, of anybody. Raises NotFoundError."""
    found = (
        Absence.objects.select_related("user", "delegate").filter(pk=absence_id, ends_at__gt=ClockTimestamp()).first()
    )
    if found and (found.user_id == actor.pk or scope_for(actor, "access.manage_access").everywhere):
        return found
    raise NotFoundError


def delegates_for(actor: User) -> QuerySet[User]:
    """The people who may decide where ``actor`` may: one of them can do so in their place."""
    decide = "oversight.decide_escalation"
    scope = scope_for(actor, decide)
    above = dict(BusinessUnit.objects.values_list("pk", "parent_id"))
    units = set(scope.units)
    for unit in scope.units:
        at = above.get(unit)
        while at is not None and at not in units:
            units.add(at)
            at = above.get(at)
    grants = RoleGrant.objects.filter(live_grants(), role__permissions__contains=[decide])
    if not scope.everywhere:
        grants = grants.filter(Q(unit=None) | Q(unit__in=units))
    people = User.objects.filter(pk__in=grants.values("user"), is_active=True, kind="human").exclude(pk=actor.pk)
    return people.order_by("username")


def tokens_for(actor: User) -> QuerySet[PersonalToken]:
    """One's own tokens for scripts, newest first; never their secrets."""
    return PersonalToken.objects.filter(user=actor).order_by("-id")


def own_tokens_for(actor: User, *, dead: int) -> list[PersonalToken]:
    """Those that are live, all of them, then as many of the others; each newest first."""
    rows = tokens_for(actor)
    return [*rows.filter(PersonalToken.live()), *rows.exclude(PersonalToken.live())[:dead]]


def token_for(actor: User, token_id: UUID) -> PersonalToken:
    """One of them. Raises NotFoundError."""
    if found := tokens_for(actor).filter(pk=token_id).first():
        return found
    raise NotFoundError


def sessions_for(actor: User) -> QuerySet[Session]:
    """Where ``actor`` is signed in now, newest first."""
    return Session.objects.filter(Session.live(), user=actor).order_by("-began_at")


def accounts_for(actor: User) -> QuerySet[DirectoryAccount]:
    """The people whom a directory brought, for whoever provisions them."""
    rows = DirectoryAccount.objects.filter(removed_at=None).select_related("user").order_by("created_at", "pk")
    return rows if scope_for(actor, "access.provision_people").everywhere else rows.none()


def directory_groups_for(actor: User) -> QuerySet[DirectoryGroup]:
    """The groups of a directory, for whoever provisions people."""
    rows = DirectoryGroup.objects.order_by("created_at", "pk")
    return rows if scope_for(actor, "access.provision_people").everywhere else rows.none()
