"""Who may decide an item: read fresh each time, at the vote and again at the count."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.db import connection
from django.db.models import Q, QuerySet

from apps.access.models import BusinessUnit, Queue, RoleGrant
from apps.access.rules import Target, TargetKind, represented, stand_in
from apps.access.selectors import (
    ancestors_for,
    away_now,
    live_grants,
    members_of_queue_for,
    on_duty_of,
    queue_ids_served_by,
)
from apps.core.gate import Scope, recall, scope_for
from apps.core.models import User
from apps.oversight.models import Escalation, EscalationGroup, Vote
from apps.oversight.rules import (
    Ballot,
    EscalationState,
    Person,
    Separation,
    Tally,
    VoteVerdict,
    acted_for,
    can_reach,
    tally,
    why_not_eligible,
)

DECIDE = "oversight.decide_escalation"
VIEW = "oversight.view_escalation"


@dataclass(frozen=True, slots=True)
class Place:
    """The place of somebody who is away, which ``taker`` takes: who is away, who stands in between (``people``)."""

    taker: User
    user: User
    people: frozenset[str]
    scope: Scope
    queues: frozenset[UUID]

    def serves(self, group: EscalationGroup) -> bool:
        """Whether who is away serves the group's queue, and holds its role where it names one, or was called to it."""
        serves = group.queue_id in self.queues and (
            not group.role_id or bool(_held_units(self.taker, self.user, group, group.role_id))
        )
        return serves or _is_called(self.taker, self.user, group)

    def may_be_taken(self, item: Escalation, separation: Separation) -> bool:
        """Whether who is away could decide ``item``, and nobody in between is barred from it."""
        return (
            (self.scope.everywhere or item.unit_id in self.scope.units)
            and any(self.serves(group) for group in item.asked_groups())
            and not any(separation.bars(name) for name in self.people)
        )


@dataclass(frozen=True, slots=True)
class Standing:
    """What one person brings to any item: where they may decide, which queues they serve, whose places they take."""

    user: User
    scope: Scope
    queues: frozenset[UUID]
    places: tuple[Place, ...] = ()

    def may_decide_in(self, unit: UUID) -> bool:
        """Whether they hold the permission to decide in this unit."""
        return self.scope.everywhere or unit in self.scope.units

    def ballot(
        self, groups: Sequence[EscalationGroup], verdict: str = VoteVerdict.APPROVE, acts_for: Iterable[str] = ()
    ) -> Ballot:
        """Their vote, with the groups of an item in which they count now, from which units, and for whom they act."""
        serves: set[str] = set()
        units: set[str] = set()
        places = [place for place in self.places if place.people <= frozenset(acts_for)]
        for group in groups:
            is_own = self._serves(group) or _is_called(self.user, self.user, group)
            holder = self.user if is_own else next((place.user for place in places if place.serves(group)), None)
            if holder is None:
                continue
            serves.add(group.key)
            if group.distinct_units:
                units |= _held_units(self.user, holder, group, group.role_id or group.queue.role_id)
        return Ballot(
            self.user.username, VoteVerdict(verdict), frozenset(serves), frozenset(units or {""}), frozenset(acts_for)
        )

    def _serves(self, group: EscalationGroup) -> bool:
        if group.queue_id not in self.queues:
            return False
        return not group.role_id or bool(_held_units(self.user, self.user, group, group.role_id))

    def acts_for(self, item: Escalation) -> frozenset[str]:
        """Who handed ``item`` to them, and who to those; where they serve it for somebody who is away, those too.

        Whoever serves it themselves decides it themselves: who is away is then another person with another vote.
        """
        handed = acted_for(item.handed(), self.user.username)
        if not self.places or self.ballot(item.asked_groups()).serves:
            return handed
        separation = item.separation()
        open_places = [place for place in self.places if place.may_be_taken(item, separation)]
        said = {name for vote in item.live_votes() for name in (vote.voter.username, *vote.acts_for)}
        free = [place for place in open_places if not place.people & said]
        return handed.union(*(place.people for place in (free or open_places)[:1]))

    def ballot_of(self, item: Escalation, vote: Vote) -> Ballot:
        """What a vote that they cast says now, in the groups that were asked then."""
        return self.ballot(item.groups_of(vote), vote.verdict, vote.acts_for)

    def why_void(self, item: Escalation, vote: Vote) -> str | None:
        """Why a vote that they cast counts no more, as a stable word; None if it does."""
        return self._why_not(item, item.groups_of(vote), vote.acts_for)

    def why_not(self, item: Escalation) -> str | None:
        """Why they may not decide ``item`` now, as a stable word; None if they may.

        Whoever is barred does not decide through somebody else either.
        """
        acts_for = self.acts_for(item)
        why = self._why_not(item, item.asked_groups(), acts_for)
        if why == "not_in_queue" and self.ballot(item.group_list(), acts_for=acts_for).serves:
            return "not_yet_asked"
        return why

    def why_not_alone(self, item: Escalation) -> str | None:
        """Why they could not decide ``item`` in their own name alone, whatever its state; None if they could."""
        return self._why_not(item, item.group_list(), ())

    def _why_not(self, item: Escalation, groups: Sequence[EscalationGroup], acts_for: Iterable[str]) -> str | None:
        person = Person(
            username=self.user.username,
            is_human=self.user.is_human,
            is_active=self.user.is_active,
            has_permission=self.may_decide_in(item.unit_id),
            serves=self.ballot(groups, acts_for=acts_for).serves,
        )
        separation = item.separation()
        if why := why_not_eligible(person, separation):
            return why
        return next((why for name in sorted(acts_for) if (why := separation.bars(name))), None)


def _is_called(actor: User, user: User, group: EscalationGroup) -> bool:
    """Whether the ladder asked ``user``, or holders of a role that they hold above the group's queue."""

    def holds(unit_id: UUID, role: str) -> bool:
        ask = _called_holders(unit_id, role).filter(user=user).exists
        return recall(actor, f"oversight.called.{user.pk}.{role}.{unit_id}", ask)

    roles = [called["role"] for called in group.called if "role" in called]
    is_named = any(called.get("user") == user.username for called in group.called)
    return is_named or any(holds(group.queue.unit_id, slug) for slug in roles)


def standing_for(actor: User) -> Standing:
    """What ``actor`` brings. Three queries, whatever the number of items it is then compared with."""
    return recall(actor, "oversight.standing", lambda: _standing(actor))


def _standing(actor: User) -> Standing:
    places = [
        Place(
            taker=actor,
            user=chain[0],
            people=frozenset(person.username for person in chain),
            scope=scope_for(chain[0], DECIDE),
            queues=queue_ids_served_by(chain[0]),
        )
        for chain in represented(_away(actor), actor)
    ]
    return Standing(actor, scope_for(actor, DECIDE), queue_ids_served_by(actor), tuple(places))


CALLED = """
SELECT c.escalation_id FROM oversight_escalationgroup c
WHERE c.is_open AND c.called <> '[]' AND (
    c.called @> jsonb_build_array(jsonb_build_object('user', %s::text))
    OR EXISTS (SELECT 1 FROM access_rolegrant g JOIN access_role r ON r.id = g.role_id
        WHERE g.user_id = %s AND g.revoked_at IS NULL AND (g.until IS NULL OR g.until > clock_timestamp())
          AND c.called @> jsonb_build_array(jsonb_build_object('role', r.slug))))
LIMIT 1000
"""


def called_to(actor: User) -> list[UUID]:
    """The few items to which a ladder called ``actor`` or a role of theirs; where that counts is left to the vote."""
    return recall(actor, "oversight.called", lambda: _called_to(actor))


def _called_to(actor: User) -> list[UUID]:
    with connection.cursor() as cursor:
        cursor.execute(CALLED, [actor.username, actor.pk])
        return [row[0] for row in cursor.fetchall()]


def _away(actor: User) -> dict[User, User | None]:
    """Everybody who is away now, asked once per request that reads."""
    return recall(actor, "access.away", away_now)


def eligible_for(actor: User, item: Escalation, *, most: int | None = None) -> dict[str, list[User]]:
    """Who could still decide ``item``, by group that is asked: who serves it, may decide in its unit, is not barred.

    For somebody who is away, who stands in; nobody where nobody does. ``most``: the first so many, by username.
    """
    separation, away = item.separation(), _away(actor)
    deciders = _holders(actor, DECIDE, item.unit_id)
    holders = set(deciders.values_list("user", flat=True)) if away else set()
    done = {name for vote in item.live_votes() for name in (vote.voter.username, *vote.acts_for)}
    found: dict[str, list[User]] = {}
    for group in item.asked_groups():
        there: dict[str, User] = {}
        members = _asked(actor, group).filter(pk__in=deciders)
        if most is not None and not away:  # nobody stands in for anybody, so that the order is the members' own
            members = members.exclude(username__in=done | separation.barred)[:most]
        for member in members:
            chain = stand_in(away, member) if member in away else (member,)
            names = {person.username for person in chain}
            if not chain or names & done or any(separation.bars(name) for name in names):
                continue
            if chain[-1] == member or chain[-1].pk in holders:
                there[chain[-1].username] = chain[-1]
        found[group.key] = [there[name] for name in sorted(there)][:most]
    return found


def _asked(actor: User, group: EscalationGroup) -> QuerySet[User]:
    """The people of a group: who serve its queue (and hold its role), and whom its ladder called."""
    members = members_of_queue_for(actor, group.queue)
    if group.role_id:
        members = members.filter(pk__in=_grants(actor, group, group.role_id).values("user"))
    if not group.called:
        return members
    users = [called["user"] for called in group.called if "user" in called]
    roles = [called["role"] for called in group.called if "role" in called]
    among = Q(pk__in=members.values("pk")) | Q(username__in=users)
    for slug in roles:
        among |= Q(pk__in=_called_holders(group.queue.unit_id, slug).values("user"))
    return User.objects.filter(among, is_active=True, kind="human").order_by("username")


def _called_holders(unit_id: UUID, role: str) -> QuerySet[RoleGrant]:
    above = ancestors_for(None, unit_id)
    return RoleGrant.objects.filter(live_grants(), Q(unit=None) | Q(unit__in=above), role__slug=role)


def reachable_by(actor: User, item: Escalation, group: EscalationGroup, target: Target) -> list[User]:
    """Who could decide ``item`` if ``group`` asked ``target``; ``actor`` is the plane."""
    separation = item.separation()
    people = User.objects.filter(is_active=True, kind="human", pk__in=_holders(actor, DECIDE, item.unit_id))
    match target.kind:
        case TargetKind.QUEUE:
            queue = Queue.objects.filter(slug=target.name).first()
            people = people.filter(pk__in=members_of_queue_for(actor, queue).values("pk")) if queue else people.none()
        case TargetKind.ROLE:
            people = people.filter(pk__in=_called_holders(group.queue.unit_id, target.name).values("user"))
        case TargetKind.USER:
            people = people.filter(username=target.name)
        case TargetKind.ROTA:
            duty = on_duty_of(target.name)
            people = people.filter(pk=duty.pk) if duty else people.none()
    away = _away(actor)
    chains = [stand_in(away, person) if person in away else (person,) for person in people]
    return [chain[-1] for chain in chains if chain and not any(separation.bars(one.username) for one in chain)]


def is_reachable_for(actor: User, item: Escalation) -> bool:
    """Whether those who approved and those who still could are enough for the quorum."""
    return not unreachable_for(actor, item)


def unreachable_for(actor: User, item: Escalation) -> list[EscalationGroup]:
    """The groups that those who approved and those who still could cannot fill; all, where only together they cannot.

    Only what is asked: a later stage is looked at when its turn comes.
    """
    groups = item.asked_groups()
    serves: dict[User, set[str]] = {}
    for key, members in eligible_for(actor, item).items():
        for member in members:
            serves.setdefault(member, set()).add(key)
    if any(group.distinct_units for group in groups):
        people = [standing_for(member).ballot(groups) for member in serves]
    else:
        people = [Ballot(one.username, VoteVerdict.APPROVE, frozenset(keys)) for one, keys in serves.items()]
    people += [ballot for ballot in live_ballots_for(actor, item) if ballot.verdict == VoteVerdict.APPROVE]
    if can_reach([group.as_rule() for group in groups], people):
        return []
    return [group for group in groups if not can_reach([group.as_rule()], people)] or groups


def _held_units(actor: User, user: User, group: EscalationGroup, role_id: UUID) -> frozenset[str]:
    """The units through which ``user`` holds a role for the group's queue; ``everywhere`` for a grant without unit.

    Asked once per request of ``actor`` that reads, however many items name the role.
    """

    def ask() -> frozenset[str]:
        grants = _grants(actor, group, role_id).filter(user=user)
        return frozenset(str(grant.unit_id) if grant.unit_id else "everywhere" for grant in grants)

    return recall(actor, f"oversight.held.{user.pk}.{role_id}.{group.queue.unit_id}", ask)


def _grants(actor: User, group: EscalationGroup, role_id: UUID) -> QuerySet[RoleGrant]:
    above = ancestors_for(actor, group.queue.unit_id)
    return RoleGrant.objects.filter(live_grants(), Q(unit=None) | Q(unit__in=above), role=role_id)


def _holders(actor: User, perm: str, unit: UUID) -> "QuerySet[RoleGrant, Any]":
    """Who holds ``perm`` in ``unit`` by role: the gate's question asked of everybody at once."""
    above = ancestors_for(actor, unit)
    grants = RoleGrant.objects.filter(live_grants(), Q(unit=None) | Q(unit__in=above))
    return grants.filter(role__permissions__contains=[perm]).values("user")


def still_stands_for(actor: User, item: Escalation) -> bool:
    """Whether the approval of ``item`` would be given again by those who gave it: they may still decide it now."""
    return tally_for(actor, item).outcome == EscalationState.APPROVED


def tally_for(actor: User, item: Escalation) -> Tally:
    """The count of ``item`` now: who counts in which group, who is missing. Nothing is changed by it."""
    rules = [group.as_rule() for group in item.group_list()]
    return tally(rules, live_ballots_for(actor, item), deny_needed=item.deny_needed)


def live_ballots_for(actor: User, item: Escalation) -> list[Ballot]:
    """The live votes of ``item`` that would be given again now, oldest first."""
    assert actor.is_active
    standings = [
        (standing_for(vote.voter), vote)
        for vote in item.votes.filter(voided_at=None).select_related("voter").order_by("id")
    ]
    return [standing.ballot_of(item, vote) for standing, vote in standings if standing.why_void(item, vote) is None]


def units_below(slug: str) -> list[UUID]:
    """A unit and everything below it."""
    found, level = [], list(BusinessUnit.objects.filter(slug=slug).values_list("pk", flat=True))
    while level:
        found += level
        level = list(BusinessUnit.objects.filter(parent__in=level).values_list("pk", flat=True))
    return found
