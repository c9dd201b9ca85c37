"""The inbox, one item, what was decided, what was decided before."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import reduce
from operator import or_
from typing import Any, Self
from uuid import UUID

from django.db.models import BooleanField, Exists, F, OuterRef, Prefetch, Q, QuerySet, Subquery

from apps.agents.models import Action, Agent
from apps.agents.selectors import shown_to
from apps.core.errors import NotFoundError
from apps.core.gate import holds, reader, refuse_agents, remembering, visible, visible_when_read
from apps.core.models import ClockTimestamp, User
from apps.core.prepared import Prepared, Slot
from apps.oversight.models import Delegation, Drill, Escalation, EscalationGroup, Snooze, Vote
from apps.oversight.models.groups import live_votes_of
from apps.oversight.rules import (
    OUTCOME,
    DrillOutcome,
    EscalationState,
    InboxView,
)
from apps.oversight.selectors.eligibility import DECIDE, VIEW, Place, called_to, standing_for

PENDING = EscalationState.PENDING
INBOX_ORDER = ("due_at", "id")
AUDIT = "audit.view_entry"
ENDING = re.compile(r"[0-9A-Fa-f-]{4,36}")
"""What may be the end of an id."""
CLASSED_MAX = 500
"""Of actions with classed values that hold what is looked for, so many of the newest are looked at one by one."""


@dataclass(frozen=True, slots=True)
class Named:
    """A person as conditions name them: by values, or by the slots of a prepared read."""

    name: Any
    listed: Any
    author: Any

    @classmethod
    def of(cls, username: str) -> Self:
        """By name, as a member of a list, as an author in a verdict."""
        return cls(username, username, {"authors": [username]})


PARTS = (
    "unit",
    "agent__owner",
    "agent__version",
    "action__principal",
    "action__on_behalf_of",
    "decided_by",
    "claimed_by",
    "assigned_to",
)


def escalations_for(actor: User) -> QuerySet[Escalation]:
    """All items ``actor`` may see, newest first, with what their rows show. Agents see none: NotAllowedError.

    The parts come by queries of their own, not by joins: with ten tables in one query PostgreSQL no longer finds the
    plan that reads the first page along the index and stops.
    """
    return _with_parts(actor, _visible(actor).prefetch_related(*PARTS)).order_by("-id")


def escalation_for(actor: User, escalation_id: UUID) -> Escalation:
    """One item ``actor`` may see, with everything its page shows. Raises NotFoundError."""
    refuse_agents(actor)
    asked = {"item": escalation_id, "person": actor.pk, **reader(actor, VIEW)}
    found = _item.first(**asked, audits=False)
    if found is None and holds(actor, AUDIT):  # the rare case costs the usual one nothing
        found = _item.first(**asked, audits=True)
    if found is None:
        raise NotFoundError
    found.prefetched_votes = live_votes_of(items=[found.pk])  # type: ignore[attr-defined] # as a list prefetches them
    return found


def _to_show() -> QuerySet[Escalation]:
    """Real items, one's own drills, and for auditors everybody's."""
    whose = Q(drill_for=None) | Q(drill_for=Slot("person")) | Q(Slot("audits", BooleanField()))
    rows = _with_snooze(Slot("person"), Escalation.everything.select_related(*PARTS))
    return visible_when_read(VIEW, rows).filter(whose, pk=Slot("item"))


_item = Prepared(_to_show)
_opened = Prepared(
    lambda: (
        visible_when_read(VIEW, Escalation.everything.filter(Q(drill_for=None) | Q(drill_for=Slot("person"))))
        .filter(pk__any_of=Slot("items"))
        .values_list("pk", flat=True)
    )
)


def require_shown(actor: User, escalation_id: UUID) -> None:
    """Raise NotFoundError unless ``actor`` may look at the item; auditors look at others' drills too."""
    if not (opened_for(actor, [escalation_id]) or _to_audit(actor).filter(pk=escalation_id).exists()):
        raise NotFoundError


def require_visible(actor: User, escalation_id: UUID) -> None:
    """Raise NotFoundError unless ``actor`` may see the item and do something about it: not another's drill."""
    if not opened_for(actor, [escalation_id]):
        raise NotFoundError


def _visible(actor: User) -> QuerySet[Escalation]:
    refuse_agents(actor)
    return visible(actor, VIEW, shown_in_lists(actor))


def shown_in_lists(person: User | Slot) -> QuerySet[Escalation]:
    """Real items, and the drills for ``person`` that wait: nobody's list tells of another's."""
    return Escalation.everything.filter(Q(drill_for=None) | Q(drill_for=person, state=PENDING))


def opened_for(actor: User, ids: Sequence[UUID]) -> frozenset[UUID]:
    """Which of them may be opened by their ids and acted on: beside those of lists, the drills one has behind one."""
    refuse_agents(actor)
    return frozenset(_opened(items=list(ids), person=actor.pk, **reader(actor, VIEW)))


def _to_audit(actor: User) -> QuerySet[Escalation]:
    """Everybody's drills, for auditors. Asked last: it is the rare case, and costs the usual one nothing."""
    rows = Escalation.everything.exclude(drill_for=None)
    return visible(actor, VIEW, rows) if holds(actor, AUDIT) else rows.none()


def _with_parts(actor: User, rows: QuerySet[Escalation]) -> QuerySet[Escalation]:
    return _with_snooze(actor, rows).prefetch_related(*_many())


def _with_snooze(person: User | Slot, rows: QuerySet[Escalation]) -> QuerySet[Escalation]:
    return rows.annotate(own_snooze=Subquery(_snoozes(person).values("until")[:1]))


def _many() -> tuple[Prefetch[Any], ...]:
    groups = EscalationGroup.objects.select_related("queue", "role")
    votes = Vote.objects.filter(voided_at=None).select_related("voter").order_by("id")
    return (
        Prefetch("groups", groups),
        Prefetch("votes", votes, to_attr="prefetched_votes"),
        Prefetch("delegations", _live_delegations(), to_attr="prefetched_handed"),
    )


def _live_delegations() -> QuerySet[Delegation]:
    return Delegation.objects.filter(ended_at=None).select_related("by", "to").order_by("id")


LINE = (
    *("title", "kind", "state", "risk", "consequence", "verdict", "workflow", "step", "drill_for"),
    *("due_at", "decided_at", "sla_paused_at", "agent__name", "action__operation"),
    *("decided_by__name", "decided_by__username", "assigned_to__name", "assigned_to__username"),
)
"""What a line of the list says of an item: a tenth of what its page says."""


def _to_list() -> QuerySet[Escalation]:
    rows = Escalation.everything.select_related("agent", "action", "decided_by", "assigned_to").only(*LINE)
    return _with_snooze(Slot("person"), rows).filter(pk__any_of=Slot("ids"))


_listed = Prepared(_to_list, is_list=True)


def lines_for(actor: User, ids: Sequence[UUID]) -> list[Escalation]:
    """The lines of items that ``inbox_for`` gave to ``actor``, in this order; what they do not say is read apart."""
    found = {row.pk: row for row in _listed(person=actor.pk, ids=list(ids))} if ids else {}
    return [found[key] for key in ids if key in found]


def inbox_for(actor: User, *, view: str = InboxView.MINE, **filters: str) -> QuerySet[Escalation]:
    """What waits, by due date, then id. ``filters``: see ``filtered``.

    ``mine``: what ``actor`` may decide now, has not voted on, handed on or put aside. ``team``: everything pending that
    ``actor`` may see. ``unassigned``: of that, what nobody claimed or was given. ``snoozed``: what ``actor`` put aside.
    ``claimed``: what ``actor`` holds. ``decided``: what ``actor`` voted on, the newest vote first.
    """
    rows = escalations_for(actor)
    match view:
        case InboxView.DECIDED:
            return filtered(actor, decided_for(actor), **filters)
        case InboxView.CLAIMED:
            rows = rows.filter(state=PENDING, claimed_by=actor, claimed_until__gt=ClockTimestamp())
        case InboxView.TEAM:
            rows = rows.filter(state=PENDING)
        case InboxView.UNASSIGNED:
            free = Q(claimed_by=None) | Q(claimed_until__lte=ClockTimestamp())
            rows = rows.filter(free, state=PENDING, assigned_to=None)
        case InboxView.SNOOZED:
            rows = rows.filter(_aside(actor), state=PENDING)
        case _:
            rows = _mine(actor, rows)
    return filtered(actor, rows, **filters).order_by(*INBOX_ORDER)


def _mine(actor: User, rows: QuerySet[Escalation]) -> QuerySet[Escalation]:
    return decidable_for(actor, rows).filter(in_hand_of(actor))


def in_hand_of(person: User | Slot) -> Q:
    """What ``person`` neither handed on nor put aside."""
    handed = Delegation.objects.filter(escalation=OuterRef("pk"), by=person, ended_at=None)
    return Q(~Exists(handed) & ~_aside(person))


def decidable_for(actor: User, rows: QuerySet[Escalation]) -> QuerySet[Escalation]:
    """What of ``rows`` waits for ``actor``'s say, put aside and handed on or not.

    The same conditions as ``why_not_eligible``, in SQL (tests compare them). A narrowed role is left to the vote.
    """
    if not actor.is_human:
        return rows.none()
    standing = standing_for(actor)
    asked_for = asked_of(list(standing.queues))
    if called := called_to(actor):
        asked_for |= Q(pk__in=called)
    for place in standing.places:
        asked_for |= _in_place(place)
    me = Named.of(actor.username)
    unsaid = ~voted_by(Q(voter=actor), me) & ~barred_from(me)
    return visible(actor, DECIDE, rows).filter(asked_for, unsaid, state=PENDING)


def asked_of(queues: Sequence[UUID] | Slot) -> Q:
    """Items with a group that is asked in one of these queues."""
    return Q(Exists(EscalationGroup.objects.filter(escalation=OuterRef("pk"), is_open=True, queue__pk__any_of=queues)))


def voted_by(voters: Q, *people: Named) -> Q:
    """Items on which a live vote of ``voters`` stands, or one that was cast for one of ``people``."""
    spoke = reduce(or_, (Q(acts_for__contains=person.listed) for person in people), voters)
    return Q(Exists(Vote.objects.filter(spoke, escalation=OuterRef("pk"), voided_at=None)))


def barred_from(*people: Named) -> Q:
    """Items from which one of these people is excluded.

    Subqueries, not joins: they run only where the word stands, and leave the planner its index over due dates.
    """
    found = Q()
    for person in people:
        owned = Agent.objects.filter(pk=OuterRef("agent"), owner__username=person.name)
        asked = Action.objects.filter(pk=OuterRef("action"), on_behalf_of__username=person.name)
        found |= (
            Q(Exists(owned), exclude__contains="agent_owner")
            | Q(Exists(asked), exclude__contains="requester")
            | Q(Q(action=None) | Q(run_id=None), exclude__contains="requester", run_starter=person.name)
            | Q(exclude__contains="run_starter", run_starter=person.name)
            | Q(editors__contains=person.listed)
            | Q(exclude__contains=person.listed)
            | Q(exclude__contains="policy_author", verdict__contains=person.author)
        )
    return found


def _in_place(place: Place) -> Q:
    """What waits for somebody who is away, for whoever takes their place."""
    names = sorted(place.people)
    people = [Named.of(name) for name in names]
    here = Q() if place.scope.everywhere else Q(unit__in=place.scope.units)
    asked_for = asked_of(list(place.queues))
    if called := called_to(place.user):
        asked_for |= Q(pk__in=called)
    return asked_for & ~voted_by(Q(voter__username__in=names), *people) & ~barred_from(*people) & here


def _aside(person: User | Slot) -> Exists:
    """What ``person`` put aside and whose time has not come. An item that is due earlier than then is back at once."""
    return Exists(_snoozes(person))


def _snoozes(person: User | Slot) -> QuerySet[Snooze]:
    return Snooze.objects.filter(
        escalation=OuterRef("pk"), person=person, until__gt=ClockTimestamp(), due_at__lte=OuterRef("due_at")
    )


def filtered(actor: User, rows: QuerySet[Escalation], **filters: str) -> QuerySet[Escalation]:
    """Narrow ``rows`` by state, queue, risk, agent, kind, operation, workflow (slugs and words), run (id), q (text).

    ``q`` is looked for in title, consequence, target and reference, and at the end of the ids and of the digest.
    """
    assert actor.is_active
    paths = {
        "state": "state",
        "risk": "risk",
        "kind": "kind",
        "agent": "agent__slug",
        "workflow": "workflow",
        "run": "run_id",
    }
    rows = rows.filter(**{path: filters[name] for name, path in paths.items() if filters.get(name)})
    if operation := filters.get("operation"):
        rows = rows.filter(
            Q(action__operation=operation) | _drills_where(actor, lambda shown: shown.operation == operation)
        )
    if queue := filters.get("queue"):
        rows = rows.filter(Exists(EscalationGroup.objects.filter(escalation=OuterRef("pk"), queue__slug=queue)))
    if text := filters.get("q", "").strip():
        wanted = text.casefold()
        named = _drills_where(actor, lambda shown: wanted in f"{shown.target}\n{shown.reference}".casefold())
        rows = rows.filter(_says(text) | named | _quoted_for(actor, rows, wanted))
    return rows


def _quoted_for(actor: User, rows: QuerySet[Escalation], wanted: str) -> Q:
    """Of actions with classed values: where it stands in the target or the reference as ``actor`` may see them."""
    holds = Q(action__target__icontains=wanted) | Q(action__reference__icontains=wanted)
    classed = rows.order_by().exclude(action__classed={}).filter(holds).values("action")
    shown = (shown_to(actor, action) for action in Action.objects.filter(pk__in=classed).order_by("-id")[:CLASSED_MAX])
    with remembering(actor):
        found = [one.pk for one in shown if wanted in f"{one.target}\n{one.reference}".casefold()]
    return Q(action__in=found) if found else Q()


def _drills_where(actor: User, fits: Callable[[Action], bool]) -> Q:
    """The drills for ``actor`` that wait and whose stand-in fits; nothing where there are none, as is usual."""
    waiting = Drill.objects.filter(outcome=DrillOutcome.OPEN, item__drill_for=actor)
    parts = waiting.select_related("item", "source__action__agent", "source__action__unit")
    found = [drill.pk for drill in parts if fits(drill.stand_in())]
    return Q(pk__in=found) if found else Q()


def _says(text: str) -> Q:
    found = Q(digest__endswith=text.lower()) | Q(title__icontains=text) | Q(consequence__icontains=text)
    plain = Q(action__target__icontains=text) | Q(action__reference__icontains=text)
    found |= plain & Q(action__classed={})
    if ENDING.fullmatch(text):
        found |= Q(pk__endswith=text.lower()) | Q(action__id__endswith=text.lower())
    return found


def unheard_items() -> QuerySet[Escalation]:
    """Pending items of which somebody was to be told by mail or chat, and nobody was reached; for the sweep.

    ``unheard_at`` says since when: every attempt failed several times, though some may go on.
    """
    return Escalation.objects.filter(state=PENDING, reached_at=None, unheard_at__isnull=False).order_by("unheard_at")


def decided_for(actor: User) -> QuerySet[Escalation]:
    """What ``actor`` voted on, the newest ``said`` first: "your decisions", with what became of each.

    A join, not a subquery: a person has one live vote on an item, and an index is in the order of a person's votes.
    """
    rows = escalations_for(actor).filter(votes__voter=actor, votes__voided_at=None)
    return rows.annotate(said=F("votes__id")).order_by("-said")


def winner_for(actor: User, item: Escalation) -> dict[str, Any] | None:
    """Who decided an item, how and when: what the loser is told; None while nobody has."""
    assert actor.is_active
    if item.decided_by is None:
        return None
    decided = item.outcome or item.state
    verdict = next((verdict for verdict, state in OUTCOME.items() if state == decided), decided)
    return {
        "by": item.decided_by.username,
        "name": str(item.decided_by),
        "verdict": str(verdict),
        "at": item.decided_at.isoformat() if item.decided_at else None,
    }
