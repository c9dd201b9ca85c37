"""Erasing what people wrote of an item where they wished for a rule because of it."""

from collections.abc import Sequence
from uuid import UUID

from apps.audit.selectors import is_written
from apps.audit.services import erase_payloads
from apps.core.models import User
from apps.core.services import blank_answers
from apps.policies.models import Proposal


def erase_proposals(actor: User, *, items: Sequence[UUID], reason: str) -> int:
    """Take the reasons out of what was proposed because of these items, and why it was declined; how many proposals.

    A proposal has a trail of its own, so its erasure has an entry of its own: it records it. The version that was
    proposed stays, as versions are immutable: what its rules compare with is not reached.
    """
    made = list(Proposal.objects.filter(item__in=items))
    for proposal in made:
        Proposal.objects.filter(pk=proposal.pk).update(reason="", answer="")
        if is_written(proposal.pk):
            erase_payloads(actor, proposal, trail=proposal.pk, reason=reason)
    blank_answers(ids=[proposal.pk for proposal in made])
    return len(made)
