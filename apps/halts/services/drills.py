"""Drills: halts of synthetic work, held by a worker, that measure by the database's clock how long stopping takes.

Synthetic claims take a fence and ask the query that real ones ask; only which fence, and whether of halts or of drills,
differs (ADR 0017). So nothing real stops, and nothing real waits.
"""

import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from datetime import timedelta
from threading import Event, Semaphore
from typing import Any
from uuid import UUID

import structlog
from django.db import IntegrityError, connection, transaction
from django.db.models import F, Max
from django.utils.translation import gettext as _

from apps.access.models import BusinessUnit
from apps.audit.services import advance, record
from apps.core.errors import ConflictError, HaltedError, InvalidError
from apps.core.gate import require, require_human
from apps.core.models import ClockTimestamp, User, database_now
from apps.core.queue import ring
from apps.core.services import system_user
from apps.halts.models import DrillClaim, HaltDrill
from apps.halts.rules import (
    DRILL_CLAIMERS,
    DRILL_LEASE_S,
    DRILL_LIMIT_S,
    DRILL_PAUSE_S,
    DRILL_TRIES,
    DrillState,
    HaltScope,
    Stop,
    flaw_of,
)
from apps.halts.selectors import Scopes, take_fence
from apps.halts.selectors.drills import DRILL_FENCE, ENGAGE, claims_under_way, require_drill_running
from apps.halts.services.fence import close_fence

log = structlog.get_logger(__name__)

PATIENCE_S = 10.0
"""How long is waited for claims to be made, and at most for tries to be refused; a plane so slow has other troubles."""
WORK_S = 0.002
"""For so long a synthetic claim holds the fence after it was let through, as a real one does that writes."""
REST_S = 0.005
"""Between two claims of one claimer: a few hundred small transactions in a second are no load to speak of."""
LOOK_S = 0.001


@transaction.atomic
def start_drill(actor: User, *, scope: str, reason: str) -> HaltDrill:
    """Ask for a drill of a halt with this scope; a worker holds it within seconds. People who may stop something may.

    Raises InvalidError at ``scope`` or ``reason``; ConflictError while another is held or for a minute after it began.
    """
    require_human(actor)
    require(actor, ENGAGE)
    if scope not in set(HaltScope):
        raise InvalidError(errors={"scope": [_("One of: %s.") % ", ".join(HaltScope)]})
    if not reason.strip():
        raise InvalidError(errors={"reason": [_("Say why.")]})
    drill = HaltDrill(scope=scope, reason=reason.strip(), started_by=actor)
    drill.target = _target(drill)
    if HaltDrill.objects.filter(created_at__gt=ClockTimestamp() - timedelta(seconds=DRILL_PAUSE_S)).exists():
        raise ConflictError(_("A drill began less than a minute ago. One at a time: look at that one first."))
    try:
        with transaction.atomic():
            drill.save(force_insert=True)
    except IntegrityError as error:
        raise ConflictError(_("A drill is being held. One at a time: look at that one first.")) from error
    record(actor, drill, DrillState.WAITING, payload={"scope": scope, "target": drill.target, "reason": drill.reason})
    ring("halt_drills")
    return drill


def _target(drill: HaltDrill) -> str:
    """What its halt names: nothing real; of a unit, whose tree a halt climbs, the work alone is synthetic."""
    if drill.scope == HaltScope.EVERYTHING:
        return ""
    if drill.scope != HaltScope.UNIT:
        return str(dict(_names(drill))[drill.scope])
    unit = BusinessUnit.objects.select_related("parent").order_by(F("parent").asc(nulls_last=True), "id").first()
    if unit is None:
        raise InvalidError(errors={"scope": [_("There is no unit.")]})
    return (unit.parent or unit).slug


def _names(drill: HaltDrill) -> Scopes:
    name = f"drill-{drill.pk}"
    return Scopes(workflow=name, agent=name, version=f"{name}@1", connector=name, operation=f"{name}.work")


def _scopes(drill: HaltDrill) -> Scopes:
    """What its synthetic work belongs to; where it halts a unit, to one below that, if there is one."""
    scopes = _names(drill)
    if drill.scope == HaltScope.UNIT:
        unit = BusinessUnit.objects.get(slug=drill.target)
        below = BusinessUnit.objects.filter(parent=unit).order_by("id").first()
        scopes["units"] = [(below or unit).pk]
    return scopes


def perform_drill() -> int:
    """Hold the drill that waits; 1 if there was one. First of all, end what a worker that died has left."""
    _abandon_left()
    if (drill := _begin()) is None:
        return 0
    try:
        _hold(drill)
    except ConflictError:
        log.warning("drill_took_too_long", drill=str(drill.pk))  # it was found abandoned, and stays that
    return 1


@transaction.atomic
def _begin() -> HaltDrill | None:
    drill = (
        HaltDrill.objects.select_for_update(of=("self",), skip_locked=True, no_key=True)
        .select_related("started_by")
        .filter(state=DrillState.WAITING)
        .first()
    )
    if drill is None:
        return None
    return _advance(drill, DrillState.RUNNING, begun_at=ClockTimestamp())


def _advance(drill: HaltDrill, to: DrillState, payload: dict[str, Any] | None = None, **changes: Any) -> HaltDrill:
    return advance(system_user("plane"), drill, to, on_behalf_of=drill.started_by, payload=payload, **changes)


def _abandon_left() -> None:
    """A drill that nobody ended in time, and claims of drills that have ended: of neither anything is left behind."""
    lost = HaltDrill.objects.filter(
        state=DrillState.RUNNING, begun_at__lt=ClockTimestamp() - timedelta(seconds=DRILL_LEASE_S)
    )
    with transaction.atomic():
        for drill in lost.select_for_update(of=("self",), skip_locked=True, no_key=True).select_related("started_by"):
            _advance(drill, DrillState.ABANDONED, {"scope": drill.scope}, ended_at=ClockTimestamp())
    DrillClaim.objects.filter(drill__ended_at__isnull=False).delete()


def _hold(drill: HaltDrill) -> None:
    """Have synthetic work claimed by several at once, stop it, and see what came of it."""
    scopes, warm, stopped, over = _scopes(drill), Semaphore(0), Event(), Event()
    with ThreadPoolExecutor(DRILL_CLAIMERS) as pool:
        crew = [pool.submit(_work, drill.pk, scopes, warm, stopped, over) for _number in range(DRILL_CLAIMERS)]
        try:
            ends = time.monotonic() + PATIENCE_S
            for _number in crew:
                warm.acquire(timeout=max(ends - time.monotonic(), 0))
            stop = _engage(drill)
            stopped.set()
            refused = sum(one.result(PATIENCE_S * 2) for one in crew)
        finally:
            over.set()
    _end(drill, stop, refused)


def _work(drill_id: UUID, scopes: Scopes, warm: Semaphore, stopped: Event, over: Event) -> int:
    """Claim, again and again, until enough was tried behind the halt; how many tries were refused."""
    made = refused = behind = 0
    ends: float | None = None
    try:
        while behind < DRILL_TRIES and not over.is_set() and (ends is None or time.monotonic() < ends):
            if stopped.is_set():
                ends = ends or time.monotonic() + PATIENCE_S
                behind += 1
            try:
                _claim(drill_id, scopes)
            except HaltedError:
                refused += 1
            else:
                made += 1
                if made == DRILL_TRIES:
                    warm.release()
            time.sleep(REST_S)
    finally:
        connection.close()  # a thread's own
    return refused


@transaction.atomic
def _claim(drill_id: UUID, scopes: Scopes) -> None:
    """What every real claim does: share the fence, ask whether it is stopped, write."""
    take_fence(DRILL_FENCE)
    require_drill_running(**scopes)
    DrillClaim.objects.create(drill_id=drill_id)
    time.sleep(WORK_S)


def _engage(drill: HaltDrill) -> Stop:
    """Stop the synthetic work as ``engage_halt`` stops real work, and see what had committed when nothing moved.

    Under the closed fence every claim that was let through is visible: whatever turns up later has escaped, whatever
    clocks say. Raises ConflictError where somebody found it abandoned meanwhile.
    """
    asked_at = database_now()
    _outlast_claims_under_way()
    with transaction.atomic():
        close_fence(DRILL_FENCE)
        claims = DrillClaim.objects.filter(drill=drill).count()
        rows = HaltDrill.objects.filter(pk=drill.pk, state=DrillState.RUNNING, engaged_at=None)
        if rows.update(engaged_at=ClockTimestamp(), asked_at=asked_at) != 1:
            raise ConflictError(_("The drill was abandoned."))
        drill.refresh_from_db(fields=["engaged_at"])
        record(system_user("plane"), drill, "haltdrill.engaged", on_behalf_of=drill.started_by,
               payload={"scope": drill.scope, "target": drill.target, "claims": claims})  # fmt: skip
    assert drill.engaged_at is not None, "It was set a moment ago."
    return Stop(asked_at=asked_at, engaged_at=drill.engaged_at, stopped_at=database_now(), claims=claims)


def _outlast_claims_under_way() -> None:
    """Wait as a halt would: until the real claims under way now have ended. They are looked at, never held up."""
    waited_for, ends = claims_under_way(), time.monotonic() + DRILL_LIMIT_S
    while waited_for and time.monotonic() < ends:
        time.sleep(LOOK_S)
        waited_for &= claims_under_way()


@transaction.atomic
def _end(drill: HaltDrill, stop: Stop, refused: int) -> None:
    """Write down what was measured, and take the synthetic work away."""
    made = DrillClaim.objects.filter(drill=drill)
    counts = made.aggregate(last_claim_at=Max("claimed_at"))
    claims = made.count()
    flaw = flaw_of(stop, claims=claims, refused=refused)
    measured = {
        **asdict(stop), **counts, "refused": refused, "escaped": claims - stop.claims,
        "time_to_stop_ms": stop.time_to_stop_ms,
    }  # fmt: skip
    made.delete()
    told = {**measured, "scope": drill.scope, "target": drill.target, "code": flaw or ""}
    _advance(
        drill, DrillState.FAILED if flaw else DrillState.PASSED, told,
        flaw=flaw or "", ended_at=ClockTimestamp(), **measured,
    )  # fmt: skip
