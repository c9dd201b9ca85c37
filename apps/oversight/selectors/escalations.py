"""The inbox, one item, what was decided, what was decided before."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Self
from uuid import UUID

from django.db.models import BooleanField, Exists, OuterRef, Prefetch, Q, QuerySet, Subquery

from apps.agents.models import Action, Agent
from apps.core.errors import NotFoundError
from apps.core.gate import holds, reader, refuse_agents, visible, visible_when_read
from apps.core.models import ClockTimestamp, User
from apps.core.prepared import Prepared, Slot
from apps.core.rules import Risk
from apps.core.walking import along_an_index
from apps.oversight.models import Delegation, Drill, Escalation, EscalationGroup, Snooze, Vote
from apps.oversight.models.groups import live_votes_of_item
from apps.oversight.rules import (
    OUTCOME,
    DrillOutcome,
    EscalationState,
    InboxView,
)
from apps.oversight.selectors.eligibility import DECIDE, VIEW, Place, called_to, standing_for

PENDING = EscalationState.PENDING
INBOX_ORDER = ("due_at", "id")
MENU_CAP = 200
"""Beyond so many the exact number helps nobody, and would cost every page."""
AUDIT = "audit.view_entry"
ENDING = re.compile(r"[0-9A-Fa-f-]{4,36}")
"""What may be the end of an id."""


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
    found.prefetched_votes = live_votes_of_item(item=found.pk)  # type: ignore[attr-defined] # as a list prefetches them
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
        .filter(pk=Slot("item"))
        .only("pk")
    )
)


def require_shown(actor: User, escalation_id: UUID) -> None:
    """Raise NotFoundError unless ``actor`` may look at the item; auditors look at others' drills too."""
    if not (_may_open(actor, escalation_id) or _to_audit(actor).filter(pk=escalation_id).exists()):
        raise NotFoundError


def require_visible(actor: User, escalation_id: UUID) -> None:
    """Raise NotFoundError unless ``actor`` may see the item and do something about it: not another's drill."""
    if not _may_open(actor, escalation_id):
        raise NotFoundError


def _visible(actor: User) -> QuerySet[Escalation]:
    """Real items, and the drills for ``actor`` that wait: nobody's list tells of another's."""
    refuse_agents(actor)
    mine = Q(drill_for=None) | Q(drill_for=actor, state=PENDING)
    return visible(actor, VIEW, Escalation.everything.filter(mine))


def _may_open(actor: User, escalation_id: UUID) -> bool:
    """Whether it may be opened by its id: beside that, the drills one has behind one."""
    refuse_agents(actor)
    return bool(_opened(item=escalation_id, person=actor.pk, **reader(actor, VIEW)))


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
    ``claimed``: what ``actor`` holds. ``decided``: what ``actor`` voted on, newest first.
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
    handed = Delegation.objects.filter(escalation=OuterRef("pk"), by=actor, ended_at=None)
    return decidable_for(actor, rows).filter(~Exists(handed) & ~_aside(actor))


def decidable_for(actor: User, rows: QuerySet[Escalation]) -> QuerySet[Escalation]:
    """What of ``rows`` waits for ``actor``'s say, put aside and handed on or not.

    The same conditions as ``why_not_eligible``, in SQL (tests compare them). A narrowed role is left to the vote.
    """
    if not actor.is_human:
        return rows.none()
    standing = standing_for(actor)
    groups = EscalationGroup.objects.filter(escalation=OuterRef("pk"), is_open=True, queue__in=standing.queues)
    by_me = Q(voter=actor) | Q(acts_for__contains=actor.username)
    voted = Vote.objects.filter(by_me, escalation=OuterRef("pk"), voided_at=None)
    asked_for: Any = Exists(groups)
    if called := called_to(actor):
        asked_for |= Q(pk__in=called)
    for place in standing.places:
        asked_for |= _in_place(place)
    barred = _barred([actor.username])
    return visible(actor, DECIDE, rows).filter(asked_for, ~Exists(voted), ~barred, state=PENDING)


def _barred(names: Sequence[str]) -> Q:
    """Items from which one of these people is excluded.

    Subqueries, not joins: they run only where the word stands, and leave the planner its index over due dates.
    """
    owned = Agent.objects.filter(pk=OuterRef("agent"), owner__username__in=names)
    asked = Action.objects.filter(pk=OuterRef("action"), on_behalf_of__username__in=names)
    found = (
        Q(Exists(owned), exclude__contains="agent_owner")
        | Q(Exists(asked), exclude__contains="requester")
        | Q(exclude__contains="requester", action=None, run_starter__in=names)
        | Q(exclude__contains="run_starter", run_starter__in=names)
    )
    for name in names:
        found |= Q(editors__contains=name) | Q(exclude__contains=name)
        found |= Q(exclude__contains="policy_author", verdict__contains={"authors": [name]})
    return found


def _in_place(place: Place) -> Q:
    """What waits for somebody who is away, for whoever takes their place."""
    groups = EscalationGroup.objects.filter(escalation=OuterRef("pk"), is_open=True, queue__in=place.queues)
    names = sorted(place.people)
    spoke = Q(voter__username__in=names)
    for name in names:
        spoke |= Q(acts_for__contains=name)
    voted = Vote.objects.filter(spoke, escalation=OuterRef("pk"), voided_at=None)
    here = Q() if place.scope.everywhere else Q(unit__in=place.scope.units)
    asked_for: Any = Exists(groups)
    if called := called_to(place.user):
        asked_for |= Q(pk__in=called)
    return Q(asked_for, ~Exists(voted), ~_barred(names), here)


def _aside(actor: User) -> Exists:
    """What ``actor`` put aside and whose time has not come. An item that is due earlier than then is back at once."""
    return Exists(_snoozes(actor))


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
        rows = rows.filter(_says(text) | named)
    return rows


def _drills_where(actor: User, fits: Callable[[Action], bool]) -> Q:
    """The drills for ``actor`` that wait and whose stand-in fits; nothing where there are none, as is usual."""
    waiting = Drill.objects.filter(outcome=DrillOutcome.OPEN, item__drill_for=actor)
    parts = waiting.select_related("item", "source__action__agent", "source__action__unit")
    found = [drill.pk for drill in parts if fits(drill.stand_in())]
    return Q(pk__in=found) if found else Q()


def _says(text: str) -> Q:
    names = ("title", "consequence", "action__target", "action__reference")
    found = Q(digest__endswith=text.lower())
    for name in names:
        found |= Q(**{f"{name}__icontains": text})
    if ENDING.fullmatch(text):
        found |= Q(pk__endswith=text.lower()) | Q(action__id__endswith=text.lower())
    return found


def unheard_items() -> QuerySet[Escalation]:
    """Pending items of which somebody was to be told by mail or chat, and nobody was reached; for the sweep.

    ``unheard_at`` says since when: every attempt failed several times, though some may go on.
    """
    return Escalation.objects.filter(state=PENDING, reached_at=None, unheard_at__isnull=False).order_by("unheard_at")


def decided_for(actor: User) -> QuerySet[Escalation]:
    """What ``actor`` voted on, newest first: "your decisions", with what became of each.

    A join, not a subquery: a person has one live vote on an item, and the votes' index is in the order of the items.
    """
    return escalations_for(actor).filter(votes__voter=actor, votes__voided_at=None)


@dataclass(frozen=True, slots=True)
class Counts:
    """How much waits; ``is_capped``: at least so many."""

    mine: int
    grave: int
    is_capped: bool

    def __str__(self) -> str:
        return f"{self.mine:,}+" if self.is_capped else f"{self.mine:,}"

    @classmethod
    def of(cls, risks: Sequence[str], *, cap: int = MENU_CAP) -> Self:
        """Of items of these risks, of which those beyond ``cap`` only say that there are more."""
        grave = sum(risk in {Risk.HIGH, Risk.CRITICAL} for risk in risks[:cap])
        return cls(min(len(risks), cap), grave, is_capped=len(risks) > cap)


def counts_for(actor: User, *, cap: int = MENU_CAP) -> Counts:
    """How many items ``actor`` may decide now, and how many of them are of a high tier; stops counting at ``cap``."""
    return Counts.of([risk for _due_at, _pk, risk in first_of(actor, most=cap + 1)], cap=cap)


def first_of(actor: User, *, most: int) -> list[tuple[datetime, UUID, str]]:
    """``(due_at, id, risk)`` of the first items that ``actor`` may decide now, as the inbox orders them."""
    if actor.is_agent:
        return []
    rows = _mine(actor, _visible(actor))
    with along_an_index():
        return list(rows.order_by(*INBOX_ORDER).values_list("due_at", "pk", "risk")[:most])


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
