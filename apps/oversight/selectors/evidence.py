"""The pieces of evidence an agent gave, by the digest of their content, and who opened them."""

import hashlib
from dataclasses import dataclass
from typing import Any

from apps.core.models import User
from apps.core.rules import digest_of
from apps.oversight.models import Escalation, EvidenceView


@dataclass(frozen=True, slots=True)
class Piece:
    """One piece. ``size``: bytes of its content, None where the agent gave an address alone; ``by``: who opened it."""

    title: str
    url: str
    text: str
    digest: str
    size: int | None
    is_viewed: bool
    by: list[str]

    @property
    def short(self) -> str:
        """What its address ends in."""
        return self.digest.removeprefix("sha256:")[:12]


def evidence_for(actor: User, item: Escalation) -> list[Piece]:
    """The evidence of an item that ``actor`` fetched through ``escalation_for``. One query, none without evidence."""
    given = item.action.evidence if item.action else []
    pieces = [piece for piece in given if isinstance(piece, dict)]
    if not pieces:
        return []
    views = EvidenceView.objects.filter(escalation=item).select_related("viewer").order_by("id")
    seen: dict[str, list[User]] = {}
    for view in views:
        seen.setdefault(view.digest, []).append(view.viewer)
    return [_piece(actor, piece, seen) for piece in pieces]


def _piece(actor: User, piece: dict[str, Any], seen: dict[str, list[User]]) -> Piece:
    text, url = str(piece.get("text") or ""), str(piece.get("url") or "")
    raw = text.encode()
    digest = f"sha256:{hashlib.sha256(raw).hexdigest()}" if text else digest_of({"url": url})
    viewers = seen.get(digest, [])
    return Piece(
        title=str(piece.get("title") or url or "—"),
        url=url,
        text=text,
        digest=digest,
        size=len(raw) if text else None,
        is_viewed=any(viewer.pk == actor.pk for viewer in viewers),
        by=[str(viewer) for viewer in viewers],
    )
