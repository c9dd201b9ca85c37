"""Queues and who serves them, calendars, rotas, and who is on duty."""

from uuid import UUID

from django.db import connection
from django.db.models import Q, QuerySet

from apps.access.models import (
    BusinessUnit,
    Calendar,
    Queue,
    RoleGrant,
    Rota,
)
from apps.access.rules import OpenHours, Policy
from apps.access.selectors.scopes import ancestors_for, live_grants, units_near_for
from apps.core.errors import NotFoundError
from apps.core.gate import carries, holds, visible
from apps.core.models import User, database_now


def queues_for(actor: User) -> QuerySet[Queue]:
    """Queues of the units in which ``actor`` manages access, and those that it serves."""
    rows = Queue.objects.select_related("unit", "role", "calendar").order_by("slug")
    managed = visible(actor, "access.manage_access", Queue.objects.all()).values("pk")
    return rows.filter(Q(pk__in=managed) | Q(pk__in=queues_served_by(actor).values("pk")))


def queues_near_for(actor: User, perm: str) -> QuerySet[Queue]:
    """The queues whose people something in the units where ``actor`` holds ``perm`` may ask, by slug.

    Those of these units and of the ones above them, and those that ``actor`` sees.
    """
    rows, near = Queue.objects.order_by("slug"), units_near_for(actor, perm)
    return rows if near is None else rows.filter(Q(unit__in=near) | Q(pk__in=queues_for(actor).values("pk")))


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
    return open_hours_of_unit(queue.unit_id)


def open_hours_of_unit(unit_id: UUID) -> OpenHours | None:
    """By what a unit counts open time: its own calendar, else that of the nearest unit above it; None: always."""
    for found in Calendar.objects.raw(NEAREST_CALENDAR, [unit_id]):
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
