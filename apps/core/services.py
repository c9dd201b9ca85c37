"""Commands that every floor uses: system users, idempotent answers, signs of life."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import timedelta
from typing import Any
from uuid import UUID

import structlog
from django.db import connection, transaction
from django.db.models import CharField, F, Func, Q, Value

from apps.core.errors import ConflictError, DomainError, InvalidError
from apps.core.models import ClockTimestamp, Heartbeat, IdempotencyKey, User
from apps.core.prepared import Prepared, Slot, planned_once
from apps.core.rules import UserKind
from apps.core.shortcuts import shortcut_errors

log = structlog.get_logger(__name__)


_named = Prepared(lambda: User.objects.filter(username=Slot("name")))


def system_user(name: str) -> User:
    """The system user of this name (``plane``, ``console``, ``workflow:<slug>``); made when first needed."""
    found = _named.first(name=name)
    if found is None:
        found, _ = User.objects.get_or_create(
            username=name, defaults={"kind": UserKind.SYSTEM, "name": name, "password": "!"}
        )
    if found.kind != UserKind.SYSTEM:
        raise ConflictError(f"{name} is the name of somebody else.")
    return found


def lock_key(space: int, key: str) -> None:
    """Wait for whoever locked the same key of this space, and hold it until the transaction ends."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, %s))", [key, space])


@transaction.atomic
def answer_once(
    actor: User, *, scope: str, key: str, digest: str, answer: Callable[[], tuple[int, Any]]
) -> tuple[int, Any, bool]:
    """Run ``answer`` once per (principal, scope, key) and keep what it said: ``(status, body, replayed)``.

    The row is inserted first, so that a second request with the same key waits for the first one's commit.
    Raises ConflictError ``idempotency_conflict`` when the same key comes with another body. An error leaves no row.
    """
    with planned_once(), connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO core_idempotencykey (principal_id, scope, key, digest) VALUES (%s, %s, %s, %s)"
            " ON CONFLICT ON CONSTRAINT idempotency_key_once DO NOTHING RETURNING id",
            [actor.pk, scope, key, digest],
        )
        mine = cursor.fetchone()
    if mine is None:
        kept = IdempotencyKey.objects.get(principal=actor, scope=scope, key=key)
        if kept.digest != digest:
            raise ConflictError("This Idempotency-Key was used with another body.", code="idempotency_conflict")
        return kept.status or 200, kept.answer, True
    status, body = answer()
    IdempotencyKey.objects.filter(pk=mine[0]).update(status=status, answer=body)
    return status, body, False


def beat(*, kind: str, name: str, details: dict[str, Any] | None = None) -> None:
    """Say that this process lives."""
    Heartbeat.objects.update_or_create(
        kind=kind, name=name, defaults={"at": ClockTimestamp(), "details": details or {}}
    )


def one_by_one(take: Callable[[UUID], int], ids: Iterable[UUID]) -> int:
    """Sum what ``take`` does, each in its own transaction: one that is refused is logged and holds up no other."""
    done = 0
    for found in ids:
        try:
            done += take(found)
        except DomainError as error:
            log.warning("passed_over", id=str(found), code=error.code, take=getattr(take, "__name__", ""))
    return done


def blank_answers(*, ids: Sequence[UUID]) -> int:
    """Take the words out of the answers that are kept for retries about these things; how many. A retry stays one.

    An answer is about what its ``id`` names and about what its address names: a comment's own id says nothing of where
    it stands.
    """
    names = [str(key) for key in ids]
    named = Func(
        F("scope"), Value("[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"), function="substring", output_field=CharField()
    )
    rows = IdempotencyKey.objects.alias(named=named).filter(Q(answer__id__in=names) | Q(named__in=names))
    for row in rows:
        kept = row.answer if isinstance(row.answer, dict) else {}
        bare = {name: value for name, value in kept.items() if name in BARE and not isinstance(value, dict | list)}
        IdempotencyKey.objects.filter(pk=row.pk).update(answer=bare)
    return len(rows)


BARE = frozenset({"id", "state", "final", "operation", "workflow", "digest", "version", "run", "task"})
"""What an answer still says when its words are erased."""


@transaction.atomic
def forget_answers() -> int:
    """Delete the answers to idempotency keys older than 48 hours, and signs of life older than a day; how many."""
    kept, _ = IdempotencyKey.objects.filter(created_at__lt=ClockTimestamp() - timedelta(hours=48)).delete()
    Heartbeat.objects.filter(at__lt=ClockTimestamp() - timedelta(days=1)).delete()
    return kept


def keep_shortcuts(actor: User, *, keys: Mapping[str, str], off: bool) -> User:
    """Keep a person's own keys, and whether single keys work at all. Raises InvalidError by key. Not in the ledger."""
    own = {key: pressed for key, pressed in keys.items() if pressed != key}
    if errors := shortcut_errors(own):
        raise InvalidError(errors={key: [text] for key, text in errors.items()})
    User.objects.filter(pk=actor.pk).update(shortcuts={"off": off, "keys": own})
    actor.refresh_from_db(fields=["shortcuts"])
    return actor
