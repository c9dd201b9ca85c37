"""Breakers, and changes of theirs that wait for a second person."""

from collections import Counter
from collections.abc import Iterable
from uuid import UUID

from django.db.models import Count, Q, QuerySet

from apps.access.selectors import holders_for
from apps.core.errors import NotFoundError
from apps.core.gate import holds, scope_for, visible
from apps.core.models import User
from apps.core.rules import ProposalState
from apps.halts.models import Breaker, BreakerChange, Trip

ENGAGE, LIFT, LOWER = "halts.engage_halt", "halts.lift_halt", "policies.lower_enforcement"
SHOWN_MAX = 20


def breakers_for(actor: User) -> QuerySet[Breaker]:
    """Breakers, by slug, for people who may engage or lift: those of everything, and of their units."""
    rows = Breaker.objects.select_related("unit").order_by("slug")
    scopes = [scope_for(actor, perm) for perm in (ENGAGE, LIFT)]
    if any(scope.everywhere for scope in scopes):
        return rows
    units = [unit for scope in scopes for unit in scope.units]
    return rows.filter(Q(unit=None) | Q(unit__in=units)) if units else rows.none()


def breaker_for(actor: User, slug: str) -> Breaker:
    """One of them. Raises NotFoundError."""
    if found := breakers_for(actor).filter(slug=slug).first():
        return found
    raise NotFoundError


def opened_of(breakers: Iterable[Breaker]) -> Counter[UUID]:
    """How often each opened, 0 where it never did. One query."""
    rows = Trip.objects.filter(breaker__in=list(breakers)).values_list("breaker")
    return Counter(dict(rows.annotate(Count("pk")).order_by()))


def breaker_changes_for(actor: User) -> QuerySet[BreakerChange]:
    """What was proposed of the breakers that ``actor`` may see."""
    rows = BreakerChange.objects.select_related("breaker__unit", "author", "decided_by")
    return rows.filter(breaker__in=breakers_for(actor))


def breaker_change_for(actor: User, slug: str, change_id: UUID) -> BreakerChange:
    """One of them, of the breaker ``slug``. Raises NotFoundError."""
    if found := breaker_changes_for(actor).filter(breaker__slug=slug, pk=change_id).first():
        return found
    raise NotFoundError


def breaker_changes_of(breakers: Iterable[Breaker]) -> dict[UUID, list[BreakerChange]]:
    """What waits of each of these breakers, newest first. One query."""
    found: dict[UUID, list[BreakerChange]] = {breaker.pk: [] for breaker in breakers}
    rows = BreakerChange.objects.select_related("breaker__unit", "author", "decided_by").order_by("-id")
    for change in rows.filter(breaker__in=found, state=ProposalState.OPEN):
        found[change.breaker_id].append(change)
    return found


def waiting_breaker_changes_for(actor: User) -> QuerySet[BreakerChange]:
    """Those that wait for somebody who may lower enforcement, where ``actor`` may and did not propose them."""
    return visible(actor, LOWER, BreakerChange.objects.filter(state=ProposalState.OPEN).exclude(author=actor))


def breaker_releasers_of(actor: User, change: BreakerChange) -> list[User]:
    """Who else than its author may release it, by name."""
    unit = change.breaker.unit_id
    found = holders_for(actor, LIFT, unit).filter(pk__in=holders_for(actor, LOWER, unit).values("pk"))
    return list(found.exclude(pk=change.author_id)[:SHOWN_MAX])


def may_release_breaker_change(actor: User, change: BreakerChange) -> bool:
    """Whether ``actor`` may release it while it waits."""
    is_other = change.state == ProposalState.OPEN and change.author_id != actor.pk and actor.is_human
    return is_other and holds(actor, LIFT, change) and holds(actor, LOWER, change)
