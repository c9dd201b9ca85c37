"""Putting a drill before a person: the copy of a real item, judged by the rules in force, with one planted fault."""

import secrets
from datetime import timedelta
from uuid import UUID

from django.db import transaction

from apps.agents.models import Action
from apps.audit.services import record
from apps.connectors.models import Operation
from apps.connectors.selectors import Permitted
from apps.core.errors import InvalidError
from apps.core.models import User, database_now
from apps.core.rules import Risk, highest_risk
from apps.core.services import one_by_one, system_user
from apps.halts.models import Halt
from apps.halts.selectors import take_fence
from apps.oversight.models import Drill, DrillPlan, Escalation, EscalationGroup
from apps.oversight.rules import WEEK, Planted, faults_for, gap_for
from apps.oversight.selectors import changed_since_judged
from apps.oversight.selectors.drills import drillable_people, drillable_sources, due_drill_plans
from apps.oversight.services.edits import facts_of
from apps.oversight.services.items import about_action, composed
from apps.policies.rules import Effect, Verdict
from apps.policies.services import evaluate_action

TRIED = 20
"""How many real items are looked at for one that a drill can be made from."""

AGAIN = timedelta(hours=1)
"""When it is tried again where none could be made."""


def gap_of(per_week: int) -> timedelta:
    """How long until the next drill; nobody can tell when it comes."""
    return gap_for(per_week, secrets.randbelow(1000) / 1000)


def open_due_drills() -> int:
    """Each minute: put the drills before people whose time has come; how many."""
    plane = system_user("plane")
    return one_by_one(lambda pk: _open_next(plane, pk), due_drill_plans().values_list("pk", flat=True))


@transaction.atomic
def _open_next(plane: User, plan_id: UUID) -> int:
    """Make one drill, if a halt, people's attention and what was decided let it. The next one is timed either way."""
    take_fence()
    plan = DrillPlan.objects.select_for_update(of=("self",)).select_related("queue__unit").get(pk=plan_id)
    now = database_now()
    if not plan.is_on or plan.next_at > now:
        return 0
    made = Drill.objects.filter(queue=plan.queue, created_at__gt=now - WEEK).count()
    is_halted = Halt.objects.filter(lifted_at=None).exists()
    drill = _make(plane, plan) if made < plan.per_week and not is_halted else None
    DrillPlan.objects.filter(pk=plan.pk).update(next_at=now + (gap_of(plan.per_week) if drill else AGAIN))
    return int(drill is not None)


def _make(plane: User, plan: DrillPlan) -> Drill | None:
    """Copy one of what was approved lately, with a fault, for one who could decide it; None where none can be."""
    found = list(drillable_sources(plan.queue, critical=plan.critical).values_list("pk", flat=True)[:TRIED])
    secrets.SystemRandom().shuffle(found)
    for pk in found:
        if (source := _locked(plan, pk)) and (drill := _copied(plane, plan, source)):
            return drill
    return None


def _locked(plan: DrillPlan, source_id: UUID) -> Escalation | None:
    """The real item, locked so that it is not erased while it is copied; None where it is no source any more."""
    Escalation.objects.select_for_update(of=("self",), no_key=True).filter(pk=source_id).first()
    parts = ("action__principal", "action__on_behalf_of", "action__version", "agent__owner", "agent__user", "unit")
    return drillable_sources(plan.queue, critical=plan.critical).select_related(*parts).filter(pk=source_id).first()


def _copied(plane: User, plan: DrillPlan, source: Escalation) -> Drill | None:
    real = source.action
    operation = Operation.objects.select_related("connector").filter(slug=real.operation).first() if real else None
    if real is None or operation is None or changed_since_judged(real):
        return None
    faults = _faults(real, operation)
    secrets.SystemRandom().shuffle(faults)
    for planted in faults:
        drill = _drill(plan, source, real, operation, planted)
        if (item := _item(plane, drill, operation)) and (person := _person(plan, item, real)):
            return _open(plane, drill, item, person)
    return None


def _faults(real: Action, operation: Operation) -> list[Planted]:
    """What can be planted so that the operation would still take it: a drill is no error in the form."""
    permitted = Permitted(operation, None, None)
    amount = str((operation.amount or {}).get("path", ""))
    found = faults_for(real.parameters, target=operation.target, amount=amount, evidence=bool(real.evidence))
    return [one for one in found if not permitted.errors(one.applied(real.parameters))]


def _drill(plan: DrillPlan, source: Escalation, real: Action, operation: Operation, planted: Planted) -> Drill:
    """The drill, not saved yet."""
    permitted, parameters = Permitted(operation, None, None), planted.applied(real.parameters)
    money = permitted.money(parameters)
    return Drill(
        queue=plan.queue,
        source=source,
        fault=planted.fault,
        path=planted.path,
        planted=planted.value,
        consequence=permitted.consequence(parameters, real.classed),
        amount_minor=money.minor if money else None,
        target=permitted.target(parameters),
    )


def _item(plane: User, drill: Drill, operation: Operation) -> tuple[Escalation, list[EscalationGroup]] | None:
    """What the plane would ask people today about such an action; None where it would not ask the queue's people."""
    shown, source = drill.stand_in(), drill.source
    permitted = Permitted(operation, None, None)
    try:
        verdict = evaluate_action(plane, facts=facts_of(source, shown, permitted, shown.parameters))
    except InvalidError:
        return None  # rules cannot judge it, so nobody would be asked
    risk = highest_risk(shown.agent.risk if shown.agent else Risk.MEDIUM, verdict.risk)
    if not _asks(drill, verdict) or (risk == Risk.CRITICAL and not drill.queue.drill_plan.critical):
        return None
    about = about_action(shown, operation, verdict, risk)
    item, groups = composed(**about, agent=source.agent, run_starter=source.run_starter, climbs=False)
    item.digest = shown.digest
    return item, groups


def _asks(drill: Drill, verdict: Verdict) -> bool:
    first = min((group.stage for group in verdict.groups), default=0)
    asked = {group.queue for group in verdict.groups if group.stage == first}
    return verdict.effect is Effect.REQUIRE_APPROVAL and drill.queue.slug in asked


def _person(plan: DrillPlan, made: tuple[Escalation, list[EscalationGroup]], real: Action) -> User | None:
    """Who gets it: by lot, of those who could decide it. Locked, so that nobody has two at once."""
    item, groups = made
    people = drillable_people(item, groups, real, plan.queue)
    if not people:
        return None
    person = secrets.choice(people)
    User.objects.select_for_update(of=("self",), no_key=True).get(pk=person.pk)
    is_busy = Escalation.everything.filter(drill_for=person, state="pending").exists()
    return None if is_busy else person


def _open(plane: User, drill: Drill, made: tuple[Escalation, list[EscalationGroup]], person: User) -> Drill:
    item, groups = made
    item.drill_for = person
    drill.id = drill.item_id = item.pk
    item.save(force_insert=True)
    EscalationGroup.objects.bulk_create(groups)
    drill.save(force_insert=True)
    told = {"fault": drill.fault, "for": person.username, "queues": [drill.queue.slug], "source": drill.source_id}
    record(plane, drill, "drill.opened", payload=told)
    return drill
