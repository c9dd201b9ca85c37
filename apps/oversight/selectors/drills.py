"""Where drills are, of whom they may ask attention, and how they ended."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID

from django.db.models import Count, Exists, OuterRef, Q, QuerySet

from apps.access.models import Queue
from apps.agents.models import Action
from apps.agents.rules import AgentState, Environment
from apps.agents.selectors import actions_for
from apps.core.gate import holds, visible
from apps.core.models import ClockTimestamp, User
from apps.core.rules import Risk
from apps.core.services import system_user
from apps.oversight.models import Drill, DrillPlan, Escalation, EscalationGroup
from apps.oversight.rules import ENOUGH_PEOPLE, MAX_WAITING, DrillOutcome, EscalationState, Kind
from apps.oversight.selectors.eligibility import eligible_for, standing_for
from apps.oversight.selectors.escalations import AUDIT
from apps.oversight.selectors.waiting import counts_for

MANAGE = "access.manage_access"
SOURCES_FROM = timedelta(days=90)
ANSWERED = (DrillOutcome.CAUGHT, DrillOutcome.MISSED)


def drill_plans_for(actor: User) -> QuerySet[DrillPlan]:
    """The queues ``actor`` serves in which drills are announced."""
    return DrillPlan.objects.filter(ended_at=None, queue__in=standing_for(actor).queues).select_related("queue")


def drill_queues_for(actor: User) -> QuerySet[Queue]:
    """The queues whose drills ``actor`` may turn on and off, with the plan of each."""
    return visible(actor, MANAGE, Queue.objects.select_related("unit", "drill_plan__set_by")).order_by("slug")


def queues_with_drills_for(actor: User) -> QuerySet[Queue]:
    """Those, and the ones that ``actor`` serves and that have drills."""
    told, managed = drill_plans_for(actor).values("queue"), drill_queues_for(actor).values("pk")
    rows = Queue.objects.select_related("unit", "drill_plan__set_by")
    return rows.filter(Q(pk__in=told) | Q(pk__in=managed)).order_by("slug")


def drill_plan_of(queue: Queue) -> DrillPlan | None:
    """What is announced in a queue that the caller may see; None where there are no drills."""
    plan: DrillPlan | None = getattr(queue, "drill_plan", None)
    return plan if plan is not None and plan.is_on else None


def due_drill_plans() -> QuerySet[DrillPlan]:
    """The queues whose next drill is due."""
    return DrillPlan.objects.filter(ended_at=None, next_at__lte=ClockTimestamp()).order_by("next_at")


def drillable_sources(queue: Queue, *, critical: bool) -> QuerySet[Escalation]:
    """Real items of ``queue`` that people approved as asked in the last ninety days, of agents that still work.

    Only what an agent asked for on its own: beside a run's item stands its run, and a drill belongs to none.
    """
    rows = Escalation.objects.filter(
        state=EscalationState.APPROVED,
        kind=Kind.ACTION,
        edited=False,
        erased_at=None,
        run_id=None,
        task_id=None,
        agent__state=AgentState.ACTIVE,
        action__environment=Environment.LIVE,
        ended_at__gt=ClockTimestamp() - SOURCES_FROM,
    ).filter(Exists(EscalationGroup.objects.filter(escalation=OuterRef("pk"), queue=queue)))
    return (rows if critical else rows.exclude(risk=Risk.CRITICAL)).order_by("-id")


def drillable_people(item: Escalation, groups: list[EscalationGroup], real: Action, queue: Queue) -> list[User]:
    """Who could decide ``item``, which is not saved, as one of ``queue``, and has attention left for a drill.

    Only who serves the queue themselves, since they are told that it has drills; nobody who stands in for another.
    """
    plain = Escalation(kind=item.kind, unit=item.unit, agent=item.agent, exclude=item.exclude, verdict=item.verdict)
    plain.action = real
    plain.take_groups(groups)
    found = eligible_for(system_user("plane"), plain)
    served = {person.pk: person for group in groups if group.queue == queue for person in found.get(group.key, ())}
    busy = set(
        Escalation.everything.filter(drill_for__in=served, state=EscalationState.PENDING).values_list(
            "drill_for", flat=True
        )
    )
    return [
        person
        for key, person in sorted(served.items())
        if key not in busy and queue.pk in standing_for(person).queues and _waiting(person) <= MAX_WAITING
    ]


def _waiting(person: User) -> int:
    return counts_for(person, cap=MAX_WAITING + 2).mine


def why_not_drilled(drill: Drill) -> str:
    """Why its person may not have a drill that waits any more; empty where they may."""
    item, person = drill.item, drill.item.drill_for
    if item.agent is None or item.agent.state != AgentState.ACTIVE:
        return "agent_stopped"
    if person is None or standing_for(person).why_not(item) or _waiting(person) > MAX_WAITING + 1:  # it counts itself
        return "attention"
    return ""


def drill_of(actor: User, item: Escalation) -> Drill | None:
    """What ``actor`` may know of the drill that an item is: once it is over, or as an auditor; else nothing."""
    if not item.is_drill:
        return None
    drill = Drill.objects.select_related("source__action", "queue").get(item=item)
    is_theirs = item.drill_for_id == actor.pk
    return drill if drill.is_over or (not is_theirs and holds(actor, AUDIT)) else None


def drill_json(drill: Drill | None) -> dict[str, Any] | None:
    """The same for programs."""
    if drill is None:
        return None
    return {
        "outcome": drill.outcome,
        "why": drill.why or None,
        "fault": drill.fault,
        "path": drill.path or None,
        "source": drill.source_id,
    }


def drill_of_action_for(actor: User, action_id: UUID) -> Drill | None:
    """The drill for ``actor`` that waits and whose stand-in has this id: its page shows that. None: there is none."""
    rows = Drill.objects.filter(outcome=DrillOutcome.OPEN, item__drill_for=actor)
    drill = rows.select_related(*STAND_IN).first()
    if drill is None or drill.shown_action_id != action_id or drill.source.action_id is None:
        return None
    return drill if actions_for(actor).filter(pk=drill.source.action_id).exists() else None


STAND_IN = (
    "item",
    "source__action__principal",
    "source__action__agent",
    "source__action__version",
    "source__action__unit",
    "source__action__on_behalf_of",
)


@dataclass(frozen=True, slots=True)
class DrillResult:
    """How the drills of one queue ended. ``caught`` None: too few people answered to tell without telling of one."""

    queue: Queue
    answered: int
    caught: int | None

    @property
    def missed(self) -> int | None:
        """The others of those that were answered."""
        return None if self.caught is None else self.answered - self.caught


def drill_results_for(actor: User, perm: str, when: Q) -> list[DrillResult]:
    """By queue, as far as ``perm`` shows its unit to ``actor``; ``when``: of the time they ended. No person appears."""
    rows = visible(actor, perm, Drill.objects.filter(when, outcome__in=ANSWERED)).order_by()
    found = rows.values("queue").annotate(
        n=Count("pk"),
        caught=Count("pk", filter=Q(outcome=DrillOutcome.CAUGHT)),
        people=Count("item__drill_for", distinct=True),
    )
    queues = Queue.objects.in_bulk([row["queue"] for row in found])
    results = [
        DrillResult(queues[row["queue"]], row["n"], row["caught"] if row["people"] >= ENOUGH_PEOPLE else None)
        for row in found
    ]
    return sorted(results, key=lambda one: one.queue.slug)


def own_drills_for(actor: User, when: Q) -> list[Drill]:
    """What ``actor`` answered, newest first: nobody else is shown it."""
    rows = Drill.objects.filter(when, outcome__in=ANSWERED, item__drill_for=actor)
    return list(rows.select_related("queue").order_by("-id")[:50])
