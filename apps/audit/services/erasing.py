"""Erasing what was written in entries. The entries stay, and so does every proof."""

from typing import Any
from uuid import UUID

from django.db import connection, transaction
from django.db.models import Model, Q
from django.utils.translation import gettext as _

from apps.audit.models import Delivery, Entry, Payload
from apps.audit.rules import ERASED, OF_ERASURES, facts_digest, facts_of
from apps.audit.services.entries import record
from apps.audit.services.writing import PLAIN
from apps.core.errors import ConflictError
from apps.core.models import User


@transaction.atomic
def erase_payloads(actor: User, subject: Model, *, trail: UUID, reason: str, **told: Any) -> Entry:
    """Erase what is written in the entries of ``trail``; the entry that says who did, why, and how many (``payloads``).

    The caller answers for the permission, and ``told`` for what else went. States, times, amounts and ids are kept
    (``rules.FACTS``): PostgreSQL lets in only what was written. Raises ConflictError ``invalid_state`` while something
    still has to follow from an entry, or when nothing is left to erase.
    """
    waiting = Delivery.objects.filter(entry__trail_id=trail, done_at=None)
    harmless = Q(entry__name=ERASED) | Q(entry__name__startswith=OF_ERASURES)  # what people are told reads no word
    if waiting.exclude(harmless).exists():
        raise ConflictError(_("Something still has to follow from what happened here. Try again in a minute."))
    found = Payload.objects.filter(entry__trail_id=trail).exclude(entry__name=ERASED).order_by("entry_id")
    facts = [(entry_id, facts_of(content["payload"])) for entry_id, content in found.values_list("entry_id", "content")]
    if not facts:
        raise ConflictError(_("Everything that was written here is erased already."))
    payload = {"reason": reason, "payloads": len(facts), "facts": facts_digest(facts), **told}
    entry = record(actor, subject, ERASED, trail=trail, payload=payload)
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT audit_erase(%s, %s::bigint[], %s::json[])",
            [entry.pk, [number for number, _facts in facts], [PLAIN.encode(kept) for _number, kept in facts]],
        )
        erased = cursor.fetchone()[0]
    if erased != len(facts):
        raise ConflictError(_("Somebody else erased here at the same time."))
    return entry
