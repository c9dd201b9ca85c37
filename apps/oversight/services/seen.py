"""What somebody saw: the view that a vote was cast on, the evidence that was opened."""

from uuid import UUID

from django.db import transaction
from django.utils.translation import gettext as _

from apps.audit.services import record
from apps.core.errors import NotFoundError
from apps.core.gate import require_human
from apps.core.models import User
from apps.core.rules import canonical_json
from apps.oversight.models import Escalation, EvidenceView, ViewSnapshot
from apps.oversight.selectors import escalation_for
from apps.oversight.selectors.evidence import evidence_for


def keep_view(item: Escalation) -> str:
    """Keep what the page shows of ``item`` now, once per digest; the digest. Call before anything of it changes."""
    digest = item.view_hash()
    text = canonical_json(item.shown()).decode()
    ViewSnapshot.objects.bulk_create([ViewSnapshot(hash=digest, shown=text)], ignore_conflicts=True)
    return digest


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
