"""Reading the ledger on for those who fold it, in order, behind the horizon."""

from collections.abc import Callable, Sequence
from datetime import timedelta

import structlog
from django.conf import settings
from django.db import DataError, IntegrityError, connection, transaction
from django.db.models import F
from django.utils.module_loading import import_string

from apps.audit.models import Cursor, Entry, Stumble
from apps.core.models import ClockTimestamp

log = structlog.get_logger(__name__)

type Fold = Callable[[list[Entry]], None]
UNFIT = (DataError, IntegrityError, ValueError, TypeError, LookupError, ArithmeticError, AttributeError)
"""What an entry does to a fold that cannot take it. A lost connection or a deadlock is no fault of the entry's."""
MAX_STUMBLES = 100
"""So many entries unread, and it is the projection that is at fault: it stands still, and is seen to."""
RETRY = timedelta(hours=1)

READ_ON = """
SELECT e.id FROM audit_entry e
WHERE (e.xid, e.id) > (%s::xid8, %s) AND e.xid < pg_snapshot_xmin(pg_current_snapshot())
ORDER BY e.xid, e.id LIMIT %s
"""


@transaction.atomic
def read_on(*, projection: str, limit: int = 1000) -> int:
    """Fold the next batch of entries, in order; how many. Cursor and fold commit together; one reader at a time.

    Only entries whose transactions are all finished are read (``pg_snapshot_xmin``): a plain "last id seen" would lose
    rows, because transactions commit in another order than they draw ids. An entry that the fold cannot take is kept
    as a ``Stumble`` and stepped around, so that nobody stops all figures by one odd value.
    """
    if not _lock(projection):
        return 0
    seen, _ = Cursor.objects.get_or_create(projection=projection)
    with connection.cursor() as cursor:
        cursor.execute(READ_ON, [str(seen.xid), seen.entry_id, limit])
        ids = [row[0] for row in cursor.fetchall()]
    if not ids:
        Cursor.objects.filter(pk=projection).update(read_at=ClockTimestamp())
        return 0
    entries = _entries(ids)
    _fold_around(projection, _fold_of(projection), entries)
    last = entries[-1]
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE audit_cursor SET xid = %s::xid8, entry_id = %s, read_at = clock_timestamp() WHERE projection = %s",
            [str(last.xid), last.id, projection],
        )
    return len(entries)


@transaction.atomic
def retry_stumbles(*, projection: str) -> int:
    """Fold again what a projection stepped around more than an hour ago: a release may have mended it; how many went.

    Facts are keyed by what they tell of, so that an entry folded late changes nothing that came after it.
    """
    if not _lock(projection):
        return 0
    due = Stumble.objects.filter(projection=projection, mended_at=None, tried_at__lt=ClockTimestamp() - RETRY)
    fold, mended = _fold_of(projection), 0
    for stumble in due.order_by("entry_id")[:MAX_STUMBLES]:
        error = _tried(fold, _entries([stumble.entry_id]))
        now = {"mended_at": ClockTimestamp()} if error is None else {"error": _named(error)}
        Stumble.objects.filter(pk=stumble.pk).update(tried_at=ClockTimestamp(), tries=F("tries") + 1, **now)
        mended += error is None
    return mended


def _lock(projection: str) -> bool:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_xact_lock(hashtextextended(%s, 0))", [f"projection:{projection}"])
        return bool(cursor.fetchone()[0])


def _fold_of(projection: str) -> Fold:
    fold: Fold = import_string(settings.PROJECTIONS[projection])
    return fold


def _entries(ids: Sequence[int]) -> list[Entry]:
    rows = Entry.objects.filter(id__in=ids).select_related("actor")
    return sorted(rows, key=lambda entry: (entry.xid or 0, entry.id))


def _fold_around(projection: str, fold: Fold, entries: list[Entry]) -> None:
    """Fold in order; where that fails, by halves, until only what cannot be folded is left aside."""
    error = _tried(fold, entries)
    if error is None:
        return
    if len(entries) > 1:
        middle = len(entries) // 2
        _fold_around(projection, fold, entries[:middle])
        _fold_around(projection, fold, entries[middle:])
        return
    if Stumble.objects.filter(projection=projection, mended_at=None).count() >= MAX_STUMBLES:
        raise error
    log.warning("projection_stumbled", projection=projection, entry=entries[0].id, error=_named(error))
    Stumble.objects.get_or_create(projection=projection, entry=entries[0], defaults={"error": _named(error)})


def _tried(fold: Fold, entries: list[Entry]) -> Exception | None:
    try:
        with transaction.atomic():
            fold(entries)
    except UNFIT as error:
        return error
    return None


def _named(error: Exception) -> str:
    """The kind of error alone: its text may hold what an entry's payload held."""
    return type(error).__name__
