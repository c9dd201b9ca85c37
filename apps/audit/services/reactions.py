"""Delivering what follows from an entry, once per entry."""

from django.db import connection, transaction
from django.utils.module_loading import import_string

from apps.audit.models import Delivery
from apps.core.prepared import Prepared, Slot, planned_once
from apps.core.tracing import span

CLAIM_DELIVERY = """
UPDATE audit_delivery SET attempts = attempts + 1,
       not_before = clock_timestamp() + least(power(2, attempts), 300) * interval '1 second'
WHERE id = (SELECT id FROM audit_delivery WHERE done_at IS NULL AND not_before <= clock_timestamp()
            ORDER BY not_before, id LIMIT 1 FOR UPDATE SKIP LOCKED)
RETURNING id
"""

MARK_DONE = "UPDATE audit_delivery SET done_at = clock_timestamp() WHERE id = %s AND done_at IS NULL"
PARTS = ("actor", "on_behalf_of", "written", "erasure")

_with_entry = Prepared(
    lambda: Delivery.objects.select_related(*(f"entry__{part}" for part in PARTS)).filter(pk=Slot("delivery"))
)


@transaction.atomic
def claim_delivery() -> int | None:
    """Take one due delivery and postpone its next try (1, 2, 4 ... 300 s); its id, or None when nothing is due.

    Claiming postpones first, so that a handler that fails, or kills its process, holds up nothing but itself.
    """
    with planned_once(), connection.cursor() as cursor:
        cursor.execute(CLAIM_DELIVERY)
        found = cursor.fetchone()
    return int(found[0]) if found else None


@transaction.atomic
def deliver(*, delivery_id: int) -> bool:
    """Run the handler of a delivery and mark it done in one transaction; False when it was done already."""
    with planned_once(), connection.cursor() as cursor:
        cursor.execute(MARK_DONE, [delivery_id])
        if not cursor.rowcount:
            return False
    (delivery,) = _with_entry(delivery=delivery_id)
    told = {"acp.reaction": delivery.reaction.rpartition(".")[2], "acp.entry": delivery.entry.name}
    trail = delivery.entry.trail_id.hex  # what a run's trace, and the span of it whole, are called
    with span(f"react to {delivery.entry.name}", links=[(trail, trail[16:])], attributes=told):
        import_string(delivery.reaction)(delivery.entry)
    return True
