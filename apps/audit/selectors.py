"""Reading the ledger."""

from datetime import datetime
from uuid import UUID

from django.db.models import Q, QuerySet

from apps.audit.models import Cursor, Delivery, Entry, Stumble
from apps.audit.rules import REFUSED
from apps.core.errors import NotFoundError
from apps.core.gate import holds, scope_for, visible
from apps.core.models import ClockTimestamp, User

VIEW = "audit.view_entry"


def entries_for(
    actor: User,
    *,
    trail: UUID | None = None,
    actor_name: str = "",
    subject: str = "",
    name: str = "",
    since: datetime | None = None,
    until: datetime | None = None,
) -> QuerySet[Entry]:
    """Entries that ``actor`` may read, newest first. ``name`` may end in ``.`` or ``*``: then it is a beginning.

    ``subject`` is an id, or a kind such as ``agent``. Filters are exact, so that each uses an index.
    """
    rows = _readable(actor)
    if trail is not None:
        rows = rows.filter(trail_id=trail)
    if actor_name:
        rows = rows.filter(actor__in=User.objects.filter(username=actor_name))
    if subject:
        rows = rows.filter(_subject(subject))
    if name.endswith((".", "*")):
        rows = rows.filter(name__startswith=name.rstrip("*"))
    elif name:
        rows = rows.filter(name=name)
    if since is not None:
        rows = rows.filter(occurred_at__gte=since)
    if until is not None:
        rows = rows.filter(occurred_at__lt=until)
    return rows.order_by("-id")


def _readable(actor: User) -> QuerySet[Entry]:
    """The entries of the units where ``actor`` reads the ledger, all of them where it does so everywhere.

    People belong to no unit: whoever reads any part of the ledger sees what they were refused.
    """
    rows, scope = Entry.objects.select_related("actor", "on_behalf_of"), scope_for(actor, VIEW)
    if scope.units and not scope.everywhere:
        return rows.filter(Q(unit__in=scope.units) | Q(unit=None, name=REFUSED))
    return visible(actor, VIEW, rows)


def _subject(text: str) -> Q:
    try:
        return Q(subject_id=UUID(text))
    except ValueError:
        return Q(subject_kind=text)


def entry_for(actor: User, entry_id: int) -> Entry:
    """One entry that ``actor`` may read. Raises NotFoundError."""
    if found := entries_for(actor).filter(pk=entry_id).first():
        return found
    raise NotFoundError


def trail_for(actor: User, trail_id: UUID) -> list[Entry]:
    """Everything on one trail, oldest first: the whole story. Only for those who read the ledger."""
    return list(entries_for(actor, trail=trail_id).order_by("id")[:2000])


def overdue_deliveries_for(actor: User) -> QuerySet[Delivery]:
    """Reactions that failed at least three times and still wait; for those who read the ledger."""
    rows = Delivery.objects.filter(done_at=None, attempts__gte=3).select_related("entry").order_by("id")
    return rows if holds(actor, VIEW) else rows.none()


def stumbles_for(actor: User) -> QuerySet[Stumble]:
    """Entries that a projection could not fold and that are not mended yet; for those who read the ledger."""
    rows = Stumble.objects.filter(mended_at=None).order_by("id")
    return rows if holds(actor, VIEW) else rows.none()


def lag_s_for(actor: User, projection: str) -> float:
    """Seconds since the projection last read; 0.0 before its first time."""
    found = Cursor.objects.filter(pk=projection).values("read_at", now=ClockTimestamp()).first()
    if found is None or not actor.is_active:
        return 0.0
    return max(0.0, float((found["now"] - found["read_at"]).total_seconds()))
