"""Imports of event logs that somebody asked for on a page: begun by a person, done by a worker, whole or not at all."""

import io
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, fields
from datetime import timedelta
from threading import Event as Signal
from threading import Thread
from typing import BinaryIO, Self, cast
from uuid import UUID

import psycopg
import structlog
from django.db import DatabaseError, OperationalError, close_old_connections, connection
from django.db.models import QuerySet
from django.utils.translation import gettext as _

from apps.access.services.units import require_manager
from apps.core.errors import ConflictError, DomainError, NotAllowedError
from apps.core.models import ClockTimestamp, User
from apps.core.queue import ring
from apps.kpis.models import EventLog, LogUpload
from apps.kpis.rules.eventlogs import Columns, Dates, Spelling, Watched
from apps.kpis.rules.eventlogs.reading import GZIP
from apps.kpis.rules.imports import TRIES, ImportState, ImportStep
from apps.kpis.services.goals import MANAGE, unit_of
from apps.kpis.services.logs import import_event_log

log = structlog.get_logger(__name__)

AT_ONCE = 256 * 1024
"""A file of so many bytes that is not packed is imported while its person waits: some tenths of a second."""
EVERY_S = 0.5
HOLD = timedelta(seconds=30)
"""For so long a worker that says nothing any more holds an import up."""


def start_import(
    actor: User,
    *,
    upload: LogUpload,
    name: str,
    workflow: str,
    tz: str,
    columns: Columns,
    encoding: str,
    spelling: Spelling,
    attributes: Sequence[str] = (),
) -> LogUpload:
    """Import a file that one left, read in this way; the file then. Small ones at once, others by a worker.

    Raises NotAllowedError and InvalidError where it is not theirs to import; ConflictError where that has begun.
    """
    require_manager(actor, unit_of(workflow), MANAGE)
    said = {"name": name, "workflow": workflow, "tz": tz, "encoding": encoding}
    waits = [ImportState.LEFT, ImportState.FAILED, ImportState.CANCELLED]
    begun = LogUpload.objects.filter(pk=upload.pk, owner=actor, state__in=waits)
    size, is_packed = len(upload.content), bytes(upload.content[: len(GZIP)]) == GZIP
    was_begun = begun.update(
        state=ImportState.RUNNING,
        asked={**said, **asdict(columns), **asdict(spelling), "attributes": list(attributes)},
        step=ImportStep.WAITING,
        done=0,
        total=size,
        attempts=0,
        began_at=ClockTimestamp(),
        finished_at=None,
        errors={},
        claimed_until=ClockTimestamp(),
    )
    if not was_begun:
        raise ConflictError(_("It is being imported already."))
    if is_packed or size > AT_ONCE or not _import_next(upload.pk):
        ring("imports")
    upload.refresh_from_db()
    return upload


def cancel_import(actor: User, *, upload: LogUpload) -> None:
    """End an import that runs: nothing of it is kept, and the file waits on. Raises ConflictError: it has ended."""
    running = LogUpload.objects.filter(pk=upload.pk, owner=actor, state=ImportState.RUNNING)
    if not running.update(state=ImportState.CANCELLED, finished_at=ClockTimestamp()):
        raise ConflictError(_("It has ended already."))


def import_uploads() -> int:
    """Import the file that waits longest; 1 if there was one.

    The claim commits first and is put off while the import goes on, so that a worker that dies holds it up for half a
    minute. What is written, and that it is done, is one transaction, and only of who holds the claim: nothing is
    imported twice, or by halves. Who takes over ends the session of who fell silent: one that was stopped, not ended,
    would hold its locks for as long as it stands.
    """
    return int(_import_next())


CLAIM = """
UPDATE kpis_logupload SET claimed_until = clock_timestamp() + %(hold_s)s * interval '1 second', step = 'reading',
       done = 0, total = octet_length(content), fence = fence + 1, attempts = attempts + 1
WHERE id = (SELECT id FROM kpis_logupload WHERE state = 'running' AND claimed_until <= clock_timestamp()
            AND (id = %(id)s OR %(id)s IS NULL) ORDER BY claimed_until, id LIMIT 1 FOR UPDATE SKIP LOCKED)
RETURNING id
"""


def _import_next(upload_id: UUID | None = None) -> bool:
    with connection.cursor() as cursor:
        cursor.execute(CLAIM, {"id": upload_id, "hold_s": HOLD.total_seconds()})
        found = cursor.fetchone()
    upload = LogUpload.objects.select_related("owner").filter(pk=found[0]).first() if found else None
    if upload is None:
        return found is not None
    if upload.attempts > TRIES:
        lost = _("Whoever read it stopped before the end, three times. Nothing was imported.")
        _end(upload, {"": [lost, _("Try it again, or import it by manage.py import_event_log.")]})
        return True
    try:
        with _alone(upload), Watch(upload) as watch:
            _import(upload, watch)
    except (OperationalError, psycopg.OperationalError):  # the latter out of a copy
        connection.close()
        if _held(upload).exists():
            raise
        log.info("import_taken_over", upload=str(upload.pk))
    except _UnwantedError:
        log.info("import_ended_early", upload=str(upload.pk))
    except NotAllowedError:
        _end(upload, {"": [_("You may not import it for this workflow, or under this name. Nothing was imported.")]})
    except DomainError as error:
        _end(upload, error.errors or {"": [str(error.message)]})
    return True


LOCK = "SELECT pg_try_advisory_lock(hashtextextended(%s, 0))"
UNLOCK = "SELECT pg_advisory_unlock(hashtextextended(%s, 0))"
END_OTHERS = """
SELECT pg_terminate_backend(pid, 5000) FROM pg_locks
WHERE locktype = 'advisory' AND granted AND objsubid = 1 AND pid <> pg_backend_pid()
  AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
  AND (classid::bigint << 32 | objid::bigint) = hashtextextended(%s, 0)
"""
"""Whoever still has the lock: nothing would come of what it does, as the claim is another's."""


@contextmanager
def _alone(upload: LogUpload) -> Iterator[None]:
    """No other session works on a file of this person, where each has one at a time."""
    key = f"import of {upload.owner_id}"
    with connection.cursor() as cursor:
        cursor.execute(END_OTHERS, [key])
        cursor.execute(LOCK, [key])
    try:
        yield
    finally:
        if connection.is_usable():  # else the lock went with the session
            with connection.cursor() as cursor:
                cursor.execute(UNLOCK, [key])


def _import(upload: LogUpload, watch: "Watch") -> None:
    asked = dict(upload.asked)
    file = Watched(io.BytesIO(upload.content), lambda place: watch.tell(ImportStep.READING, place, upload.total))
    import_event_log(
        upload.owner,
        file=cast("BinaryIO", file),
        columns=Columns(**{part.name: asked[part.name] for part in fields(Columns)}),
        spelling=Spelling(asked["delimiter"], Dates(asked["dates"]), asked["decimal"]),
        **{name: asked[name] for name in ("name", "workflow", "tz", "encoding")},
        attributes=asked.get("attributes", ()),
        tell=watch.tell,
        finish=lambda made, outcome: _finish(upload, made, outcome),
    )


def _held(upload: LogUpload) -> QuerySet[LogUpload]:
    return LogUpload.objects.filter(pk=upload.pk, state=ImportState.RUNNING, fence=upload.fence)


def _finish(upload: LogUpload, made: EventLog, outcome: str) -> None:
    """In the transaction of the import: where it was cancelled or taken over, all of it is taken back."""
    ended = {"state": ImportState.DONE, "finished_at": ClockTimestamp(), "content": b""}
    if not _held(upload).update(**ended, log=made, outcome=outcome):
        raise _UnwantedError


def _end(upload: LogUpload, errors: Mapping[str, list[str]]) -> None:
    _held(upload).update(state=ImportState.FAILED, errors=dict(errors), finished_at=ClockTimestamp())


class _UnwantedError(Exception):
    """Nobody waits for this import any more: it was cancelled, or another worker has it."""


class Watch:
    """Writes down how far an import is, while it lasts, and holds it; by a thread, outside of its transaction."""

    def __init__(self, upload: LogUpload) -> None:
        self._upload, self._over, self._unwanted = upload, Signal(), Signal()
        self._at: tuple[ImportStep, int, int] = (ImportStep.READING, 0, upload.total)
        self._thread = Thread(target=self._write_on, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._over.set()
        self._thread.join()

    def tell(self, step: ImportStep, done: int, total: int) -> None:
        """The import is so far. Raises _UnwantedError where it need not go on."""
        self._at = (step, done, total)
        if self._unwanted.is_set():
            raise _UnwantedError

    def _write_on(self) -> None:
        while not self._over.wait(EVERY_S):
            try:
                close_old_connections()
                self._write()
            except DatabaseError as error:
                log.warning("import_not_noted", upload=str(self._upload.pk), error=type(error).__name__)
            finally:
                connection.close()

    def _write(self) -> None:
        step, done, total = self._at
        is_held = _held(self._upload).update(step=step, done=done, total=total, claimed_until=ClockTimestamp() + HOLD)
        if not is_held and LogUpload.objects.filter(pk=self._upload.pk).exists():  # of a discarded file the end says so
            self._unwanted.set()
