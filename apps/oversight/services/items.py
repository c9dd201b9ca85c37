"""Commands that put items into the inbox."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple, TypedDict, Unpack
from uuid import UUID

from django.db import transaction
from django.db.models import F
from django.utils.translation import gettext as _

from apps.access.models import BusinessUnit, Queue, Role
from apps.access.rules import OpenHours, due_after
from apps.access.selectors import open_hours_of
from apps.agents.models import Action, Agent
from apps.agents.rules import Environment
from apps.audit.services import record
from apps.classification.rules import Classed, covers
from apps.connectors.models import Operation
from apps.core.errors import InvalidError, UnavailableError
from apps.core.formats import money
from apps.core.models import User, database_now
from apps.core.rules import Risk
from apps.oversight.models import Escalation, EscalationGroup
from apps.oversight.rules import (
    VERDICTS,
    EscalationState,
    Group,
    Kind,
    VoteVerdict,
    quorum_floor,
    restate_field,
    schema_problem,
)
from apps.oversight.services.arrivals import times_at, warning_at
from apps.policies.rules import Verdict

TITLE_MAX = 300
PRIORITY = {Risk.CRITICAL: 0, Risk.HIGH: 1, Risk.MEDIUM: 2, Risk.LOW: 3}
EXPIRING = frozenset({Kind.ACTION, Kind.QUESTION})
"""Kinds that use the queue's expiry; what a run waits for ends with the run unless the step says otherwise."""


class Wanted(NamedTuple):
    """A group of people who must agree: ``(queue, needed)`` or more."""

    queue: Queue
    needed: int = 1
    role: Role | None = None
    distinct_units: bool = False
    stage: int = 1


class About(TypedDict, total=False):
    """What an item can say besides its kind, unit, groups and title."""

    action: Action | None
    agent: Agent | None
    workflow: str
    run_id: UUID | None
    step: str
    round: int | None
    item: int | None
    task_id: UUID | None
    run_starter: str
    run_unit_id: UUID | None
    consequence: str
    subject: dict[str, Any]
    classed: Classed
    schema: dict[str, Any] | None
    options: list[Any]
    verdict: dict[str, Any]
    release: int | None
    risk: str
    exclude: Iterable[str]
    step_up: bool
    hold_s: int
    restate: str
    deny_needed: int
    supersedes: Escalation | None
    escalate_to: Queue | None
    back_to: str
    climbs: bool
    due_at: datetime | None
    due_s: int | None
    due_unit: str
    expires_at: datetime | None
    expires_s: int | None
    expires_in_s: int | None


@transaction.atomic
def open_escalation(
    actor: User,
    *,
    kind: str,
    unit: BusinessUnit,
    groups: Sequence[tuple[Any, ...]],
    title: str,
    **about: Unpack[About],
) -> Escalation:
    """Put something before people. The same subject again while it waits: the same item, ``attempts`` + 1.

    ``groups``: ``(queue, needed)`` or ``Wanted``. ``due_s`` (open time; ``due_unit`` ``d``, ``w``: working days and
    weeks) and ``expires_s`` count from now and replace the queue's clocks (``due_at``, ``expires_at``: instants); only
    actions and questions expire by the queue's clock, everything else only when told. ``exclude``: the four words of
    the rules, or usernames. ``escalate_to``: where it goes when overdue; ``climbs`` False: nowhere. ``schema`` or
    ``options`` say what an answer may be. Raises InvalidError for a schema nobody can answer.
    """
    if found := _same(kind, about):
        return _attempted(actor, found)
    item, made = composed(kind=kind, unit=unit, groups=groups, title=title, **about)
    item.save(force_insert=True)
    EscalationGroup.objects.bulk_create(made)
    item.refresh_from_db(fields=["created_at"])
    record(actor, item, EscalationState.PENDING, payload=opened_payload(item, [each for each in made if each.is_asked]))
    return item


def composed(
    *, kind: str, unit: BusinessUnit, groups: Sequence[tuple[Any, ...]], title: str, **about: Unpack[About]
) -> tuple[Escalation, list[EscalationGroup]]:
    """The item that would be put before people now, and its groups; nothing is saved. As ``open_escalation`` says."""
    wanted = _merged([Wanted(*group) for group in groups], Kind(kind), Risk(about.get("risk", Risk.MEDIUM)))
    asked = [group for group in wanted if group.stage == min(each.stage for each in wanted)]
    now, hours = database_now(), {group.queue.pk: open_hours_of(group.queue) for group in asked}
    expires_at = _expiry(kind, wanted, about, now)
    columns = _columns(kind, wanted, about) | _clocks(asked, about, now, hours, expires_at)
    item = Escalation(kind=kind, unit=unit, title=title[:TITLE_MAX], **columns)
    climbs = about.get("climbs", True)
    own_due = bool(about.get("escalate_to") or about.get("due_s") or about.get("due_at"))
    return item, [
        EscalationGroup(
            escalation=item,
            queue=group.queue,
            role=group.role,
            needed=group.needed,
            distinct_units=group.distinct_units,
            position=position,
            stage=group.stage,
            is_asked=group in asked,
            is_open=group in asked,
            **(
                times_at(now, group.queue, hours[group.queue.pk], columns["due_at"], at_due=own_due)
                if climbs and group in asked
                else {}
            ),
        )
        for position, group in enumerate(wanted)
    ]


def _columns(kind: str, wanted: Sequence[Wanted], about: About) -> dict[str, Any]:
    action = about.get("action")
    columns: dict[str, Any] = {
        name: about[name]  # type: ignore[literal-required] # names of About only
        for name in COPIED
        if name in about
    }
    if action is not None:
        columns |= {"agent": action.agent, "digest": action.digest}
    risk = Risk(about.get("risk", Risk.MEDIUM))
    schema = _schema(kind, about)
    subject = about.get("subject", {})
    if action is not None and action.classed:  # what systems answered may quote what its parameters carry
        subject = action.veil().over(subject)
    return {
        **columns,
        "risk": risk,
        "priority": PRIORITY[risk],
        "subject": subject,
        "schema": schema,
        "exclude": sorted(set(about.get("exclude", ()))),
        "restate": about.get("restate") or _subject_restated(subject, about) or "title",
    }


def _subject_restated(subject: dict[str, Any], about: About) -> str | None:
    """What has to be retyped: nothing that its approver may not see."""
    classed = about.get("classed", {})
    shown = {name: value for name, value in subject.items() if not covers(classed, [name])}
    return restate_field(shown, preferred=["amount_minor"])


COPIED = (
    "classed",
    "action",
    "agent",
    "workflow",
    "run_id",
    "step",
    "round",
    "item",
    "task_id",
    "run_starter",
    "run_unit_id",
    "consequence",
    "options",
    "verdict",
    "release",
    "step_up",
    "hold_s",
    "deny_needed",
    "supersedes",
    "escalate_to",
    "back_to",
)


def _clocks(
    asked: Sequence[Wanted],
    about: About,
    now: datetime,
    hours: Mapping[UUID, OpenHours | None],
    expires: datetime | None,
) -> dict[str, datetime | None]:
    """The SLA in open time of each queue that is asked first, the earliest counts, and its warning; the expiry."""
    due = about.get("due_at")
    if due is None:
        dues = [
            due_after(now, hours[group.queue.pk], about.get("due_s") or group.queue.sla_s, about.get("due_unit", ""))
            for group in asked
        ]
        due = min([*dues, *([expires] if expires else [])])
    warnings = [warning_at(now, counted, due) for counted in hours.values()]
    return {"due_at": due, "warn_at": min(warnings), "expires_at": expires}


def _expiry(kind: str, wanted: Sequence[Wanted], about: About, now: datetime) -> datetime | None:
    """The instant told, else the shortest duration of queues, step and rule; None for what ends with its run."""
    if found := about.get("expires_at"):
        return found
    told = [seconds for seconds in (about.get("expires_s"), about.get("expires_in_s")) if seconds]
    if kind not in EXPIRING and not told:
        return None
    queues = [] if about.get("expires_s") else [group.queue.expires_s for group in wanted]
    return now + timedelta(seconds=min([*told, *queues]))


def _schema(kind: str, about: About) -> dict[str, Any] | None:
    """What an answer must fit: the schema given, else one of the options, else a text."""
    if VoteVerdict.ANSWER not in VERDICTS[Kind(kind)]:
        return None
    schema, options = about.get("schema"), about.get("options")
    if schema is None and not options:
        return {"type": "string", "minLength": 1, "maxLength": 4000}
    asked = {"enum": [_value(option) for option in options or ()]} if schema is None else schema
    if problem := schema_problem(asked, is_trusted=kind != Kind.QUESTION):
        raise InvalidError(errors={"options" if schema is None else "schema": [problem]})
    return asked


def _value(option: Any) -> Any:
    """What choosing an option answers: its ``value`` where it carries a label, else itself."""
    return option["value"] if isinstance(option, dict) and "value" in option else option


def _merged(groups: Sequence[Wanted], kind: Kind, risk: Risk) -> list[Wanted]:
    """The same queue and role twice is one group with the larger quorum; a critical tier takes two people."""
    found: dict[tuple[UUID, UUID | None], Wanted] = {}
    for group in groups:
        key = (group.queue.pk, group.role.pk if group.role else None)
        old = found.get(key, group)
        found[key] = group._replace(
            needed=max(old.needed, group.needed),
            distinct_units=old.distinct_units or group.distinct_units,
            stage=max(old.stage, group.stage),
        )
    if not found:
        raise InvalidError(errors={"queue": [_("Name the queue that is asked.")]})
    floor = quorum_floor(kind, risk, [Group(str(number), group.needed) for number, group in enumerate(found.values())])
    return [group._replace(needed=raised.needed) for group, raised in zip(found.values(), floor, strict=True)]


def _same(kind: str, about: About) -> Escalation | None:
    """The item that waits for the same subject already, locked."""
    rows = Escalation.objects.select_for_update(of=("self",)).filter(kind=kind, state=EscalationState.PENDING)
    action, run_id, task_id = about.get("action"), about.get("run_id"), about.get("task_id")
    if action is not None:
        return rows.filter(action=action).first()
    if run_id is not None:
        place = {name: about.get(name) for name in ("round", "item")}
        return rows.filter(run_id=run_id, step=about.get("step", ""), action=None, **place).first()
    return rows.filter(task_id=task_id).first() if task_id else None


def _attempted(actor: User, item: Escalation) -> Escalation:
    Escalation.objects.filter(pk=item.pk).update(attempts=F("attempts") + 1)
    item.refresh_from_db(fields=["attempts"])
    record(actor, item, "escalation.attempted", payload={"attempts": item.attempts})
    return item


def opened_payload(item: Escalation, asked: Sequence[EscalationGroup]) -> dict[str, Any]:
    """What those who are told of a new item need to know; no parameters, no secrets."""
    return {
        "kind": item.kind,
        "risk": item.risk,
        "title": item.title,
        "queues": [group.queue.slug for group in asked],
        "needed": sum(group.needed for group in asked),
        "workflow": item.workflow,
        "run_id": item.run_id,
        "step": item.step,
        "round": item.round,
        "item": item.item,
        "task_id": item.task_id,
        "action": item.action_id,
        "agent": item.agent.slug if item.agent else "",
        "due_at": item.due_at,
        "expires_at": item.expires_at,
        "supersedes": item.supersedes_id,
    }


@transaction.atomic
def open_action_escalation(
    actor: User,
    *,
    action: Action,
    verdict: Verdict,
    risk: str,
    run_starter: str = "",
    run_unit_id: UUID | None = None,
    supersedes: Action | None = None,
) -> Escalation:
    """Put an action before the people whom its verdict names. ``supersedes``: the action that this one replaces."""
    operation = Operation.objects.filter(slug=action.operation).first()
    before = supersedes and Escalation.objects.filter(action=supersedes, kind=Kind.ACTION).order_by("-id").first()
    return open_escalation(
        actor,
        **about_action(action, operation, verdict, risk),
        action=action,
        release=verdict.release,
        run_id=action.run_id,
        step=action.step,
        round=action.round,
        item=action.item,
        task_id=action.task_id,
        run_starter=run_starter,
        run_unit_id=run_unit_id,
        supersedes=before or None,
    )


def about_action(action: Action, operation: Operation | None, verdict: Verdict, risk: str) -> dict[str, Any]:
    """What an item says of an action and of what the rules demand for it, as ``open_escalation`` takes it."""
    demands = verdict.obligations
    return {
        "kind": Kind.ACTION,
        "unit": action.unit,
        "groups": wanted_of(verdict),
        "title": title_of(action, operation),
        "consequence": action.consequence,
        "verdict": verdict.as_json(),
        "risk": risk,
        "workflow": action.workflow,
        "exclude": [str(word) for word in demands.exclude],
        "step_up": demands.step_up,
        "hold_s": demands.hold_s or 0,
        "restate": _restate(action, operation),
        "expires_in_s": demands.expires_in_s,
    }


def title_of(action: Action, operation: Operation | None) -> str:
    """One line that tells items apart: what, how much, to whom."""
    amount = money(action.amount_minor, action.currency) if action.amount_minor is not None else ""
    name = operation.name if operation and operation.name else action.operation
    mark = _("Test") if action.environment == Environment.TEST else ""
    return " · ".join(part for part in (mark, name, amount, action.marked_target) if part)[:TITLE_MAX]


def _restate(action: Action, operation: Operation | None) -> str:
    amount = (operation.amount or {}).get("path") if operation else None
    preferred = [path for path in (amount, operation.target if operation else None) if path]
    shown = {name: value for name, value in action.parameters.items() if not covers(action.classed, [name])}
    return restate_field(shown, preferred=preferred) or "operation"


def wanted_of(verdict: Verdict) -> list[Wanted]:
    """The groups of a verdict with their queues. Raises UnavailableError where one is gone: nobody could be asked."""
    queues = {queue.slug: queue for queue in Queue.objects.filter(slug__in=[group.queue for group in verdict.groups])}
    roles = {role.slug: role for role in Role.objects.filter(slug__in=[g.role for g in verdict.groups if g.role])}
    found = []
    for group in verdict.groups:
        if group.queue not in queues or (group.role and group.role not in roles):
            raise UnavailableError(_("The queue %s of the rule does not exist.") % group.queue)
        role = roles[group.role] if group.role else None
        found.append(Wanted(queues[group.queue], group.needed, role, group.distinct_units, group.stage))
    return found


@transaction.atomic
def attempt_again(actor: User, *, action: Action) -> Escalation | None:
    """The agent asked the same again: the item that waits counts it; nobody is told anew. None if none waits."""
    found = _same(Kind.ACTION, {"action": action})
    return _attempted(actor, found) if found else None
