"""Commands on who is signed in where, and what the ledger says of it.

Locks have one order, here and in ``emergencies``: first the account (``hold_account``), then its sessions and the
openings of an emergency account. Whoever holds the account is alone with all of them, so nobody waits in a ring; what
takes one row of them alone (``note_seen``, a sweep) waits for nothing while it holds it.
"""

from datetime import datetime
from typing import Any
from uuid import UUID

from django.db import transaction
from django.db.models import Q
from django.utils.crypto import salted_hmac

from apps.access.models import Session
from apps.access.services.emergencies import end_emergency, note_emergency_try
from apps.access.services.units import require_manager
from apps.access.sessions import ADDRESS, BROWSER, ENDS
from apps.audit.services import record
from apps.core.errors import NotFoundError
from apps.core.gate import refuse_limited, require_human
from apps.core.models import ClockTimestamp, User
from apps.core.noting import is_worth_a_line
from apps.core.services import system_user

MAX_SESSIONS = 10
"""So many browsers one person is signed in with at once; the oldest gives way."""
BROWSER_MAX, ADDRESS_MAX = 200, 45
FAILED, SIGNED_OUT, ENDED = "user.sign_in_failed", "user.signed_out", "user.session_ended"
FAILED_EVERY_S = 60
"""However often one address fails at one name, the ledger says so once in this time."""
FAILED_AT_MOST = 60
"""And of all addresses and names together so often in that time: who guesses fills no ledger."""


def hold_account(user: User) -> None:
    """Be alone with somebody's sessions until this transaction ends. Call before anything else is locked."""
    User.objects.select_for_update(no_key=True).get(pk=user.pk)


def note_seen(session: Any) -> None:
    """Somebody does something in this session. One write a minute, not one a request."""
    row = session.row
    if row is None or row.user_id is None or not row.is_unseen:
        return
    Session.objects.filter(Session.unseen(), pk=row.pk).update(seen_at=ClockTimestamp())
    row.seen_at, row.is_unseen = ClockTimestamp(), False


@transaction.atomic
def begin_session(
    user: User, *, session: Any, address: str, browser: str, methods: list[str], ends_at: datetime | None = None
) -> None:
    """Somebody signed in: keep from where and with what, end the oldest sessions beyond the limit, and record it.

    ``ends_at``: when it ends at the latest, where that is sooner than of other sessions.
    """
    hold_account(user)
    session[ADDRESS], session[BROWSER] = address[:ADDRESS_MAX], browser[:BROWSER_MAX]
    if ends_at:
        session[ENDS] = ends_at.isoformat()
    session.save()
    rows = Session.objects.filter(Session.live(), user=user).order_by("-began_at")
    for old in rows[MAX_SESSIONS:]:
        _end(user, old, why="too_many")
    told = {"methods": methods, "address": address[:ADDRESS_MAX], "browser": browser[:BROWSER_MAX]}
    record(user, user, "user.signed_in", payload={**told, "session": str(session.row.ref)})


@transaction.atomic
def note_sign_out(user: User, *, session: Any) -> None:
    """Somebody signs out; the framework deletes the session next."""
    if session.row is not None:
        record(user, user, SIGNED_OUT, payload={"session": str(session.row.ref)})
        if user.is_emergency:
            end_emergency(user, session=session.row.ref, why="signed_out")


@transaction.atomic
def note_account(user: User, *, name: str, told: dict[str, Any] | None = None) -> None:
    """Somebody did something to their own account: ``name`` as in ``user.<name>``. Call with the change itself."""
    record(user, user, f"user.{name}", payload=told or {})


@transaction.atomic
def note_failed_sign_in(*, named: str, user: User | None, address: str, method: str) -> None:
    """A sign-in failed. Never what was typed: it may be a password, in the wrong field or of somebody else.

    Where there is such a person the entry is theirs; else it is the plane's, with a keyed digest that tells two names
    apart and says nothing of them. At most once in a minute an address and name, and sixty in a minute in all.
    """
    if user and user.is_emergency:
        note_emergency_try(user, address=address[:ADDRESS_MAX])
    who = str(user.pk) if user else name_digest(named)
    if not is_worth_a_line("failed-sign-in", f"{who}:{address}", every_s=FAILED_EVERY_S, at_most=FAILED_AT_MOST):
        return
    plane = system_user("plane")
    told = {"method": method, "address": address[:ADDRESS_MAX], **({} if user else {"name_digest": who})}
    record(plane, user or plane, FAILED, payload=told)


def name_digest(named: str) -> str:
    """Sixteen hex digits for a name that was typed, the same for the same name; without the plane's key, nothing."""
    return salted_hmac("acp.sign-in.name", named.strip().lower(), algorithm="sha256").hexdigest()[:16]


@transaction.atomic
def end_session(actor: User, *, ref: UUID) -> None:
    """End one of one's own sessions; it acts on the next request. Raises NotFoundError."""
    require_human(actor)
    refuse_limited(actor)
    hold_account(actor)
    found = Session.objects.select_for_update().filter(user=actor, ref=ref).first()
    if found is None:
        raise NotFoundError
    _end(actor, found, why="by_hand")


@transaction.atomic
def end_other_sessions(actor: User, *, but: UUID | None) -> int:
    """End all of one's own sessions but one (``ref``); how many."""
    require_human(actor)
    refuse_limited(actor)
    hold_account(actor)
    others = ~Q(ref=but) if but else Q()
    rows = list(Session.objects.select_for_update().filter(others, user=actor))
    for row in rows:
        _end(actor, row, why="by_hand")
    return len(rows)


@transaction.atomic
def end_sessions_of(actor: User, *, user: User) -> int:
    """End every session of somebody, as who manages access everywhere may; how many. Their tokens stay."""
    require_manager(actor, None)
    hold_account(user)
    rows = list(Session.objects.select_for_update().filter(user=user))
    for row in rows:
        _end(actor, row, why="by_administrator")
    return len(rows)


def forget_sessions() -> int:
    """Delete the sessions that are over or were left; how many."""
    over = Session.objects.exclude(Session.live()).select_for_update(skip_locked=True)
    return Session.objects.filter(pk__in=over.values("pk")).delete()[0]


def _end(actor: User, row: Session, *, why: str) -> None:
    row.delete()
    if row.user is not None:
        record(actor, row.user, ENDED, payload={"session": str(row.ref), "why": why})
        if row.user.is_emergency:
            end_emergency(actor, session=row.ref, why=why)
