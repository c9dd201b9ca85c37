"""Campaigns of access reviews, their lines, and who decides which."""

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.db.models import Count, Exists, OuterRef, Q, QuerySet

from apps.access.models import RoleGrant
from apps.access.selectors import ancestors_for, live_grants
from apps.connectors.rules import Money
from apps.core.errors import NotFoundError
from apps.core.gate import Scope, scope_for
from apps.core.models import ClockTimestamp, User
from apps.oversight.models import AccessReview, AccessReviewLine
from apps.oversight.rules.access_reviews import LineState, ReviewState, RightKind, Use
from apps.oversight.selectors.rights import Right, rights_now

MANAGE, AGENTS, READ = "access.manage_access", "agents.manage_agent", "audit.view_entry"
TAKES: dict[str, str] = {
    RightKind.ROLE: MANAGE,
    RightKind.OPERATION: AGENTS,
    RightKind.WORKFLOW: AGENTS,
    RightKind.KEY: AGENTS,
    RightKind.TOKEN: MANAGE,
}
"""Who could take a right of a kind away, and so decides about it."""


def _where(scope: Scope) -> Q:
    return Q(pk__isnull=False) if scope.everywhere else Q(unit__in=scope.units)  # an empty Q would vanish beside others


def _seen_by(actor: User) -> Q:
    """Lines of one's units: all for who manages access or reads the ledger, agents' for who manages agents."""
    agents = Q(kind__in=[kind for kind, perm in TAKES.items() if perm == AGENTS])
    return _where(scope_for(actor, MANAGE)) | _where(scope_for(actor, READ)) | agents & _where(scope_for(actor, AGENTS))


def _decided_by(actor: User) -> Q:
    """Lines that ``actor`` may decide: rights that they could take away, never their own."""
    if not actor.is_human:
        return Q(pk__in=[])
    named = Q(review__reviewers=[]) | Q(review__reviewers__contains=[actor.username])
    kinds = Q(pk__in=[])
    for kind, perm in TAKES.items():
        kinds |= Q(kind=kind) & _where(scope_for(actor, perm))
    return named & kinds & ~Q(holder=actor)


def reviews_for(actor: User) -> QuerySet[AccessReview]:
    """The campaigns of which ``actor`` may see a line, newest first."""
    lines = AccessReviewLine.objects.filter(_seen_by(actor), review=OuterRef("pk"))
    return AccessReview.objects.filter(Exists(lines)).select_related("unit", "opened_by", "closed_by").order_by("-id")


def review_for(actor: User, review_id: UUID) -> AccessReview:
    """One of them. Raises NotFoundError."""
    if found := reviews_for(actor).filter(pk=review_id).first():
        return found
    raise NotFoundError


def reviews_waiting_for(actor: User) -> QuerySet[AccessReview]:
    """The open campaigns in which a right waits for ``actor`` to decide, the most urgent first."""
    lines = AccessReviewLine.objects.filter(_decided_by(actor), review=OuterRef("pk"), state=LineState.WAITING)
    rows = AccessReview.objects.filter(Exists(lines), state=ReviewState.OPEN, due_at__gt=ClockTimestamp())
    return rows.select_related("unit", "opened_by").order_by("due_at", "id")


def lines_for(actor: User, review: AccessReview) -> QuerySet[AccessReviewLine]:
    """The rights of a campaign in the units of ``actor``, in the order of their keys."""
    rows = AccessReviewLine.objects.filter(_seen_by(actor), review=review)
    return rows.select_related("review", "unit", "holder", "decided_by").order_by("id")


def line_for(actor: User, review: AccessReview, line_id: UUID) -> AccessReviewLine:
    """One of them. Raises NotFoundError."""
    if found := lines_for(actor, review).filter(pk=line_id).first():
        return found
    raise NotFoundError


def mine_for(actor: User, review: AccessReview) -> QuerySet[AccessReviewLine]:
    """The rights of a campaign that ``actor`` may decide and that nobody has decided yet."""
    return lines_for(actor, review).filter(_decided_by(actor), state=LineState.WAITING)


def may_decide(actor: User, line: AccessReviewLine) -> bool:
    """Whether ``actor`` may decide this right."""
    return AccessReviewLine.objects.filter(_decided_by(actor), pk=line.pk).exists()


@dataclass(frozen=True, slots=True)
class Shown:
    """A line as it is shown: what the right is now (None: it has ended), and whether the reader may decide it."""

    line: AccessReviewLine
    now: Right | None
    may_decide: bool

    @property
    def is_changed(self) -> bool:
        """Whether the right is no longer what it was at the opening."""
        return self.now is not None and self.now.seen != self.line.seen

    @property
    def seen(self) -> str:
        """What a decision has to name: the digest of the right as it is shown; empty where it has ended."""
        return self.now.seen if self.now else ""


def shown_for(actor: User, lines: Iterable[AccessReviewLine]) -> list[Shown]:
    """These lines with what their rights are now; the same few queries however many."""
    rows = list(lines)
    waiting = [line for line in rows if line.state == LineState.WAITING]
    wanted: dict[str, list[str]] = defaultdict(list)
    for line in waiting:
        wanted[line.kind].append(line.right)
    now = rights_now(wanted)
    mine = AccessReviewLine.objects.filter(_decided_by(actor), pk__in=[line.pk for line in waiting])
    may = set(mine.values_list("pk", flat=True)) if waiting else set()
    return [Shown(line, now.get((line.kind, line.right)), line.pk in may) for line in rows]


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a campaign is, of what the reader may see; ``mine``: what waits for them."""

    total: int
    waiting: int
    left: int
    by_state: dict[str, int]
    mine: int
    mine_used: int
    mine_unused: int

    @property
    def decided(self) -> int:
        """How many people, or the clock, did something about; what was left undecided at the end is not among them."""
        return self.total - self.waiting - self.left


def progress_for(actor: User, review: AccessReview) -> Progress:
    """How far it is."""
    counted = lines_for(actor, review).order_by().values_list("state").annotate(n=Count("id"))
    by_state = {str(state): n for state, n in counted}
    mine = {str(use): n for use, n in mine_for(actor, review).order_by().values_list("use").annotate(n=Count("id"))}
    return Progress(
        total=sum(by_state.values()),
        waiting=by_state.get(LineState.WAITING, 0),
        left=by_state.get(LineState.LEFT, 0),
        by_state=by_state,
        mine=sum(mine.values()),
        mine_used=mine.get(Use.USED, 0),
        mine_unused=mine.get(Use.UNUSED, 0),
    )


def reviewers_of(review: AccessReview) -> list[User]:
    """The people for whom a right of an open campaign still waits, by name."""
    rows = review.lines.filter(state=LineState.WAITING).order_by().values_list("kind", "unit", "holder").distinct()
    asked: dict[tuple[str, UUID | None], set[UUID]] = defaultdict(set)
    for kind, unit, holder in rows:
        asked[kind, unit].add(holder)
    found: dict[UUID, User] = {}
    for (kind, where), holders in asked.items():
        for person in takers(TAKES[kind], where):
            if holders != {person.pk} and (not review.reviewers or person.username in review.reviewers):
                found[person.pk] = person
    return sorted(found.values(), key=lambda person: person.username)


def takers(perm: str, unit: UUID | None) -> Sequence[User]:
    """The active people who hold ``perm`` there: given there, above, or everywhere."""
    where = Q(unit=None) if unit is None else Q(unit=None) | Q(unit__in=ancestors_for(None, unit))
    grants = RoleGrant.objects.filter(live_grants(), where, role__permissions__contains=[perm])
    return list(User.objects.filter(pk__in=grants.values("user"), is_active=True, kind="human"))


def undecidable_of(review: AccessReview) -> int:
    """How many waiting rights nobody may decide: their only possible reviewer holds them, or there is none."""
    known: dict[tuple[str, UUID | None], set[UUID]] = {}
    count = 0
    rows: Any = review.lines.filter(state=LineState.WAITING).values_list("kind", "unit", "holder")
    for kind, unit, holder in rows:
        if (kind, unit) not in known:
            people = takers(TAKES[kind], unit)
            named = [one for one in people if not review.reviewers or one.username in review.reviewers]
            known[kind, unit] = {one.pk for one in named}
        count += not known[kind, unit] - {holder}
    return count


def evidence_of_review(review: AccessReview) -> QuerySet[AccessReviewLine]:
    """Every line of a campaign, whoever asks, in the order of its evidence."""
    return review.lines.select_related("unit", "holder", "decided_by").order_by("id")


def evidence_json(line: AccessReviewLine) -> dict[str, Any]:
    """A line as the evidence has it: plain JSON, and what the campaign's digest is made of."""
    return {
        "id": str(line.pk),
        "kind": line.kind,
        "holder": line.holder.username,
        "what": line.what,
        "unit": line.unit.slug if line.unit else None,
        "granted_at": line.granted_at.isoformat(),
        "granted_by": line.granted_by,
        "until": line.until.isoformat() if line.until else None,
        "frozen": line.frozen,
        "evidence": line.evidence,
        "use": line.use,
        "state": line.state,
        "decided_by": line.decided_by.username if line.decided_by else None,
        "decided_at": line.decided_at.isoformat() if line.decided_at else None,
        "reason": line.reason,
        "after": line.after,
    }


COLUMNS = (
    "kind", "holder", "what", "unit", "granted_at", "granted_by", "until", "measured_since", "whole_window", "uses",
    "last_used_at", "largest", "not_measured", "use", "state", "decided_by", "decided_at", "reason", "after",
)  # fmt: skip


def evidence_rows_for(actor: User, review: AccessReview) -> Iterator[Sequence[object]]:
    """The evidence as rows of a table with a head, of the rights that ``actor`` may see."""
    yield COLUMNS
    for line in lines_for(actor, review):
        told, found = evidence_json(line), line.evidence
        largest = "; ".join(str(Money(one["amount_minor"], one["currency"])) for one in found["most"])
        measured = [found["since"], found["whole"], found["uses"], found["last_used_at"], largest]
        unseen = ", ".join(found["unseen"])
        after = json.dumps(line.after, sort_keys=True) if line.after else ""
        head = [told[name] for name in COLUMNS[:7]]
        yield [*head, *measured, unseen, *(told[name] for name in COLUMNS[13:18]), after]
