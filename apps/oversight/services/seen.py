"""What somebody saw: the view that a vote was cast on, the evidence that was opened."""

from collections.abc import Sequence
from datetime import timedelta
from uuid import UUID

from django.db import transaction
from django.db.models import F, QuerySet, Value
from django.db.models.functions import Least
from django.utils.translation import gettext as _

from apps.audit.services import record
from apps.core.errors import NotFoundError
from apps.core.gate import require_human
from apps.core.models import ClockTimestamp, User
from apps.core.rules import canonical_json
from apps.oversight.models import Escalation, EscalationGroup, EscalationView, EvidenceView, ViewSnapshot
from apps.oversight.rules import EscalationState
from apps.oversight.selectors import escalation_for, standing_for
from apps.oversight.selectors.evidence import evidence_for

MAX_DWELL = timedelta(minutes=5)
"""What counts at most between an opening and the next: longer, and they were elsewhere."""
MAX_LOOKED_MS = 2**31 - 1
"""What a vote can keep; nobody looks at one item for twenty-four days."""


def keep_view(item: Escalation) -> str:
    """Keep what the page shows of ``item`` now, once per digest; the digest. Call before anything of it changes."""
    digest = item.view_hash()
    text = canonical_json(item.shown()).decode()
    ViewSnapshot.objects.bulk_create([ViewSnapshot(hash=digest, shown=text)], ignore_conflicts=True)
    return digest


def note_view(actor: User, *, item: Escalation) -> None:
    """Remember that ``actor`` has the page of an item they may see before them; again: what became of the time between.

    Where somebody who may decide has seen it, it does not go up for want of that. Nothing is decided by it.
    """
    if not actor.is_human or item.state != EscalationState.PENDING:
        return
    _end_looks(EscalationView.objects.filter(person=actor))
    rows = EscalationView.objects.filter(escalation=item, person=actor)
    if rows.update(last_at=ClockTimestamp(), looking_since=ClockTimestamp(), opened=F("opened") + 1):
        return
    _note_first_view(actor, item)


def read_looks(actor: User, items: Sequence[Escalation]) -> None:
    """Give each item how long ``actor`` is known to have had it before them, in ms, or None; they look on no longer."""
    rows = EscalationView.objects.filter(escalation__in=items, person=actor)
    _end_looks(rows)
    looked = {key: time // timedelta(milliseconds=1) for key, time in rows.values_list("escalation_id", "dwell")}
    for item in items:
        time = looked.get(item.pk)
        vars(item).update(prefetched_looked_ms=None if time is None else min(max(time, 0), MAX_LOOKED_MS))


def _end_looks(views: QuerySet[EscalationView]) -> None:
    """Add what is under way to what was looked."""
    under_way = Least(ClockTimestamp() - F("looking_since"), Value(MAX_DWELL))
    views.filter(looking_since__isnull=False).update(dwell=F("dwell") + under_way, looking_since=None)


@transaction.atomic
def _note_first_view(actor: User, item: Escalation) -> None:
    view = EscalationView(escalation=item, person=actor, looking_since=ClockTimestamp())
    EscalationView.objects.bulk_create([view], ignore_conflicts=True)
    standing = standing_for(actor)
    if standing.why_not(item) is None:
        seen = standing.ballot(item.asked_groups(), acts_for=standing.acts_for(item)).serves
        ids = [group.pk for group in item.group_list() if group.key in seen]
        EscalationGroup.objects.filter(pk__in=ids, unseen_at__isnull=False).update(unseen_at=None)


@transaction.atomic
def view_evidence(actor: User, *, escalation_id: UUID, digest: str) -> None:
    """Note that ``actor`` opened a piece of evidence of an item they may see. Again: nothing more happens."""
    require_human(actor)
    item = escalation_for(actor, escalation_id)
    if digest not in {piece.digest for piece in evidence_for(actor, item)}:
        raise NotFoundError(_("The item has no such piece of evidence."))
    found, is_new = EvidenceView.objects.get_or_create(escalation=item, viewer=actor, digest=digest)
    if is_new:
        record(actor, found, "viewed", trail=item.trail, payload={"escalation": item.pk, "digest": digest})
