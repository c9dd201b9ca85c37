"""What was seen when a vote was cast, from the snapshot that the vote names by its digest."""

import hashlib
import json
from dataclasses import dataclass
from typing import Any, cast
from uuid import UUID

from apps.core.errors import NotFoundError
from apps.core.models import User
from apps.oversight.models import Escalation, ViewSnapshot, Vote
from apps.oversight.selectors.details import hides_votes_for, masked
from apps.oversight.selectors.veils import Sight, sight_of
from apps.policies.selectors.quiet import quieted_for


@dataclass(frozen=True, slots=True)
class Seen:
    """One vote and its view. ``shown``: with secrets masked; None where none was sent with the vote or it was erased.

    ``is_proven``: the digest of the kept text is the one in the vote and in its ledger entry.
    """

    vote: Vote
    shown: dict[str, Any] | None
    is_proven: bool

    @property
    def values(self) -> Any:
        """What was to be decided."""
        return (self.shown or {}).get("values")


def seen_for(actor: User, item: Escalation, vote_id: UUID) -> Seen:
    """What the voter saw. Raises NotFoundError, also where others' votes are still hidden from ``actor``."""
    vote = Vote.objects.select_related("voter").filter(escalation=item, pk=vote_id).first()
    if vote is None or (hides_votes_for(actor, item) and vote.voter_id != actor.pk):
        raise NotFoundError
    return _seen(actor, vote, ViewSnapshot.objects.filter(hash=vote.view_hash).first(), sight_of(actor, item))


def votes_for(actor: User, item: Escalation) -> list[dict[str, Any]]:
    """Every vote on an item with what was seen, void ones too, oldest first; hidden as ``hides_votes_for`` says."""
    votes = list(Vote.objects.select_related("voter").filter(escalation=item).order_by("id"))
    if hides_votes_for(actor, item):
        votes = [vote for vote in votes if vote.voter_id == actor.pk]
    kept = ViewSnapshot.objects.in_bulk({vote.view_hash for vote in votes if vote.view_hash})
    sight = sight_of(actor, item)
    return [_told(_seen(actor, vote, kept.get(vote.view_hash), sight)) for vote in votes]


def _seen(actor: User, vote: Vote, kept: ViewSnapshot | None, sight: Sight) -> Seen:
    if kept is None or kept.shown is None:
        return Seen(vote, None, is_proven=False)
    digest = f"sha256:{hashlib.sha256(kept.shown.encode()).hexdigest()}"
    shown = json.loads(kept.shown)
    shown |= {"values": sight.values(shown["values"])} if "values" in shown else {}
    if shown.get("verdict"):
        shown = {**shown, "verdict": quieted_for(actor, shown["verdict"])}
    return Seen(vote, cast("dict[str, Any]", masked(shown)), is_proven=digest == vote.view_hash)


def _told(seen: Seen) -> dict[str, Any]:
    vote = seen.vote
    return {
        "id": vote.pk,
        "by": vote.voter.username,
        "verdict": vote.verdict,
        "at": vote.created_at,
        "version": vote.version,
        "digest": vote.digest or None,
        "view_hash": vote.view_hash or None,
        "seen": seen.shown,
        "voided_at": vote.voided_at,
        "void_why": vote.void_why or None,
    }
