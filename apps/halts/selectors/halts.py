"""Which halts are engaged, and whether one stops a piece of work."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any, TypedDict, Unpack
from uuid import UUID

from django.db import connection
from django.db.models import Q, QuerySet

from apps.access.models import BusinessUnit
from apps.access.selectors import ancestors_for
from apps.core.errors import HaltedError, NotFoundError
from apps.core.gate import holds
from apps.core.models import User
from apps.core.prepared import planned_once
from apps.halts.models import Halt

FENCE = 7_231_001  # the advisory lock that engaging takes alone and every claim shares


def engaged_for(actor: User) -> QuerySet[Halt]:
    """Engaged halts, newest first. Everyone who signs in sees them: a stopped plane is nobody's secret."""
    return (
        Halt.objects.filter(lifted_at=None).select_related("engaged_by").order_by("-id")
        if actor.is_active
        else Halt.objects.none()
    )


def halts_for(actor: User) -> QuerySet[Halt]:
    """All halts ever, newest first, for people who may engage or lift."""
    if holds(actor, "halts.engage_halt") or holds(actor, "halts.lift_halt"):
        return Halt.objects.select_related("engaged_by", "lifted_by", "trip__breaker").order_by("-id")
    return engaged_for(actor)


def halt_for(actor: User, halt_id: UUID) -> Halt:
    """One halt. Raises NotFoundError."""
    if found := halts_for(actor).filter(pk=halt_id).first():
        return found
    raise NotFoundError


def affecting_for(actor: User, *, agent: str, version: str, unit_id: UUID | None) -> QuerySet[Halt]:
    """Engaged halts that stop this agent: everything, the agent itself, its version, its unit or one above."""
    named = Q(scope="everything") | Q(scope="agent", target=agent) | Q(scope="version", target=version)
    if unit_id is not None:
        above = BusinessUnit.objects.filter(pk__in=ancestors_for(actor, unit_id)).values("slug")
        named |= Q(scope="unit", target__in=above)
    return engaged_for(actor).filter(named)


def take_fence(fence: int = FENCE) -> None:
    """Share the fence until this transaction ends. Every claim of an effect, grant or task does.

    Engaging takes it alone; without it a claim that looked before could still commit after the halt. Synthetic claims
    of drills share a ``fence`` of their own in the same way.
    """
    with planned_once(), connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock_shared(%s)", [fence])


COVERING = """
WITH RECURSIVE up AS (
    SELECT id, slug, parent_id FROM access_businessunit WHERE id = ANY(%s)
    UNION SELECT b.id, b.slug, b.parent_id FROM access_businessunit b JOIN up ON b.id = up.parent_id
)
SELECT scope, target, reason, id FROM {table}
WHERE {when} AND (scope = 'everything' OR (scope, target) IN (SELECT * FROM unnest(%s::text[], %s::text[]))
      OR (scope = 'unit' AND target IN (SELECT slug FROM up)))
ORDER BY id LIMIT 1
"""
STOPPED = COVERING.format(table="halts_halt", when="lifted_at IS NULL")
STOPPED_SINCE = COVERING.format(table="halts_halt", when="created_at >= %s")


class Scopes(TypedDict, total=False):
    """What a piece of work belongs to, by the names that halts use; a ``version`` is ``slug@number``."""

    units: Iterable[UUID]
    workflow: str
    agent: str
    version: str
    connector: str
    operation: str


def require_running(**scopes: Unpack[Scopes]) -> None:
    """Raise HaltedError (scope, target, reason) if an engaged halt covers any of what is named. One query."""
    refuse_stopped(STOPPED, scopes)


def refuse_stopped(query: str, scopes: Scopes) -> None:
    """Raise HaltedError if what ``query`` finds covers any of ``scopes``: a halt, or the halt of a drill."""
    if found := _covering(query, scopes):
        scope, target, reason, halt_id = found
        raise HaltedError(scope=scope, target=target, reason=reason, halt=str(halt_id))


def halt_since(moment: datetime, **scopes: Unpack[Scopes]) -> UUID | None:
    """The first halt, lifted or not, that has covered any of what is named since ``moment``. Exact under the fence."""
    found = _covering(STOPPED_SINCE, scopes, moment)
    return found[-1] if found else None


def _covering(query: str, scopes: Scopes, *when: datetime) -> tuple[Any, ...] | None:
    units = list(scopes.get("units", ()))
    pairs = [(name, target) for name, target in scopes.items() if name != "units" and target]
    with planned_once(), connection.cursor() as cursor:
        cursor.execute(query, [units, *when, [name for name, _ in pairs], [target for _, target in pairs]])
        found: tuple[Any, ...] | None = cursor.fetchone()
    return found
