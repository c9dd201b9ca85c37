"""Where chats are: an incoming webhook of a queue or of a person, sealed."""

import re

from django.conf import settings
from django.db import transaction
from django.utils.translation import gettext as _

from apps.access.models import Queue
from apps.access.services import require_manager
from apps.audit.services import record
from apps.core import envelope
from apps.core.errors import InvalidError, UnavailableError
from apps.core.models import ClockTimestamp, User
from apps.notifications.adapters.chat import webhook_of
from apps.notifications.models import ChatTarget

SLUG = re.compile(r"[a-z0-9][a-z0-9_-]{0,62}")
CREATED, CHANGED, UNCHANGED = "created", "changed", "unchanged"


@transaction.atomic
def save_chat_target(
    actor: User,
    *,
    slug: str,
    queue: Queue | None = None,
    user: User | None = None,
    url: str = "",
    allow_internal: bool = False,
) -> tuple[ChatTarget, str]:
    """Say where messages of a queue or for a person are posted; it and ``created``, ``changed`` or ``unchanged``.

    ``url`` is sealed and never shown again; without one the present one stays, unless somebody else gets it then. A
    queue's chat is for those who manage access in its unit; a person's, and one inside the house, for those who manage
    it everywhere.
    """
    found = ChatTarget.objects.select_for_update(of=("self",)).filter(slug=slug, removed_at=None).first()
    _require_manager(actor, queue, is_inside=allow_internal)
    if found:
        _require_manager(actor, found.queue, is_inside=found.allow_internal)
    about = (queue and queue.pk, user and user.pk)
    keeps_url = found is not None and about == (found.queue_id, found.user_id)
    _check(slug=slug, queue=queue, user=user, url=url, needs_url=not keeps_url)
    if not settings.ACP_URL:
        raise UnavailableError(_("Set ACP_URL first: the links in messages lead to it."))
    if found and not (url and _is_new(found, url)) and (*about, allow_internal) == _said(found):
        return found, UNCHANGED
    if found:
        ChatTarget.objects.filter(pk=found.pk, removed_at=None).update(removed_at=ClockTimestamp(), sealed=b"")
    made = ChatTarget(slug=slug, queue=queue, user=user, allow_internal=allow_internal, set_by=actor)
    _seal(made, url or webhook_url(found) if found else url)
    made.save(force_insert=True)
    told = {"queue": queue.slug if queue else None, "user": user.username if user else None, "host": made.host}
    outcome = CHANGED if found else CREATED
    record(actor, made, outcome, payload={**told, "fingerprint": made.fingerprint, "allow_internal": allow_internal})
    return made, outcome


def _said(target: ChatTarget) -> tuple[object, ...]:
    return target.queue_id, target.user_id, target.allow_internal


def _require_manager(actor: User, queue: Queue | None, *, is_inside: bool) -> None:
    require_manager(actor, None if is_inside or queue is None else queue.unit)


def _check(*, slug: str, queue: Queue | None, user: User | None, url: str, needs_url: bool) -> None:
    errors: dict[str, list[str]] = {}
    if not SLUG.fullmatch(slug):
        errors["slug"] = [_("Small letters, digits, “-” and “_”, at most 63.")]
    if (queue is None) == (user is None):
        errors["queue"] = [_("Name a queue or a person, one of the two.")]
    if user is not None and not (user.is_human and user.is_active):
        errors["user"] = [_("Only people who sign in are told.")]
    if needs_url and not url:
        errors["url"] = [_("Give the webhook's address.")]
    if url:
        try:
            webhook_of(url)
        except ValueError as problem:
            errors["url"] = [str(problem)]
    if errors:
        raise InvalidError(errors=errors)


def _is_new(target: ChatTarget, url: str) -> bool:
    return target.fingerprint not in {master.fingerprint(url) for master in envelope.master_keys()}


def _place(target: ChatTarget) -> bytes:
    return envelope.place_of("chat", target.pk, 1)


def _seal(target: ChatTarget, url: str) -> None:
    master = envelope.master_keys()[0]
    target.host = webhook_of(url)[0].authority
    target.key_id, target.fingerprint = master.key_id, master.fingerprint(url)
    target.sealed = envelope.seal(master, url, _place(target))


def webhook_url(target: ChatTarget) -> str:
    """The address in clear, for the call alone. Raises UnavailableError, which names no part of it."""
    return envelope.unseal(envelope.master_keys(), bytes(target.sealed), _place(target))


@transaction.atomic
def remove_chat_target(actor: User, *, target: ChatTarget) -> bool:
    """Destroy a webhook's address; what is queued for it stays unsent. False when it was gone already."""
    _require_manager(actor, target.queue, is_inside=target.allow_internal)
    rows = ChatTarget.objects.filter(pk=target.pk, removed_at=None)
    if not rows.update(removed_at=ClockTimestamp(), sealed=b""):
        return False
    record(actor, target, "removed", payload={"slug": target.slug, "fingerprint": target.fingerprint})
    return True
