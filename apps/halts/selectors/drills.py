"""Drills of halts: what they measured, and the ground on which their synthetic work asks whether it may begin."""

from datetime import timedelta
from typing import Unpack
from uuid import UUID

from django.db import connection
from django.db.models import QuerySet

from apps.core.errors import NotFoundError
from apps.core.gate import holds, scope_for
from apps.core.models import ClockTimestamp, User
from apps.halts.models import HaltDrill
from apps.halts.rules import DRILL_EVERY_DAYS, DrillState
from apps.halts.selectors.halts import COVERING, FENCE, Scopes, refuse_stopped

ENGAGE, LIFT, AUDIT = "halts.engage_halt", "halts.lift_halt", "audit.view_entry"
DRILL_FENCE = 7_231_002
"""The fence of synthetic claims. Real ones share another, so that no drill makes them wait."""
STOPPED_IN_DRILL = COVERING.format(table="halts_haltdrill", when="state = 'running' AND engaged_at IS NOT NULL")

HOLDERS = """
SELECT l.virtualtransaction FROM pg_locks l JOIN pg_database d ON d.oid = l.database AND d.datname = current_database()
WHERE l.locktype = 'advisory' AND l.classid = 0 AND l.objid = %s AND l.objsubid = 1 AND l.granted
"""


def require_drill_running(**scopes: Unpack[Scopes]) -> None:
    """``require_running`` of synthetic work: the same query, asked of drills instead of halts."""
    refuse_stopped(STOPPED_IN_DRILL, scopes)


def claims_under_way() -> set[str]:
    """The transactions that hold the real fence at this moment: those for which a halt would wait."""
    with connection.cursor() as cursor:
        cursor.execute(HOLDERS, [FENCE])
        return {row[0] for row in cursor.fetchall()}


def may_start_drill(actor: User) -> bool:
    """Whether ``actor`` may hold one: people who may stop something, anywhere. It stops nothing."""
    return actor.is_human and holds(actor, ENGAGE)


def may_see_drills(actor: User) -> bool:
    """Whether ``actor`` sees them: people who may engage or lift, and whoever reads the whole ledger."""
    return actor.is_human and (holds(actor, ENGAGE) or holds(actor, LIFT) or scope_for(actor, AUDIT).everywhere)


def drills_for(actor: User) -> QuerySet[HaltDrill]:
    """Drills, newest first, for people who may see them."""
    rows = HaltDrill.objects.select_related("started_by").order_by("-id")
    return rows if may_see_drills(actor) else rows.none()


def drill_for(actor: User, drill_id: UUID) -> HaltDrill:
    """One of them. Raises NotFoundError."""
    if found := drills_for(actor).filter(pk=drill_id).first():
        return found
    raise NotFoundError


def is_drill_due_for(actor: User) -> bool:
    """Whether ``actor`` may hold drills, and none has passed within ``DRILL_EVERY_DAYS``."""
    recent = ClockTimestamp() - timedelta(days=DRILL_EVERY_DAYS)
    return may_start_drill(actor) and not (
        HaltDrill.objects.filter(state=DrillState.PASSED, ended_at__gt=recent).exists()
    )
