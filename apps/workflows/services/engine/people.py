"""What a run puts before people: approvals, forms, exceptions."""

from collections.abc import Iterable
from dataclasses import replace
from typing import Any
from uuid import UUID

from django.db import transaction
from django.utils.translation import gettext as _

from apps.access.models import Queue, Role
from apps.access.selectors import ancestors_for
from apps.core.errors import DomainError, InvalidError
from apps.oversight.models import Escalation
from apps.oversight.services import Wanted, open_escalation
from apps.workflows.rules.definition import Definition, StepDef, Voters
from apps.workflows.rules.expressions import StepError
from apps.workflows.rules.planner import commands as do
from apps.workflows.rules.planner import events as on
from apps.workflows.rules.planner.plan import Plan
from apps.workflows.rules.states import Kind
from apps.workflows.selectors.veils import marks_of
from apps.workflows.services.engine.operations import words_of
from apps.workflows.services.engine.place import Spot

RESOLUTION = "resolution"


def ask_people(spot: Spot, command: do.AskPeople) -> Iterable[on.Event]:
    """Open the inbox item of an approval or form step. Where somebody could not be asked, the step fails."""
    step = spot.step(command.step)
    try:
        with transaction.atomic():
            _open_item(spot, step, command, [_wanted(step, voters) for voters in command.groups])
    except DomainError as error:
        yield on.ItemFailed(command.step, command.round, 0, error.code, words_of(error))


def _open_item(spot: Spot, step: StepDef, command: do.AskPeople, groups: list[Wanted]) -> None:
    assert step.due is not None, "Checked when the version was published."
    escalates = step.due.then == "escalate"
    before = Escalation.objects.filter(run_id=spot.run.pk, step=step.name, kind=step.kind.value).order_by("-id").first()
    veil, subject = marks_of(spot.run), _subject(command)
    open_escalation(
        spot.principal,
        kind=step.kind.value,
        unit=spot.run.unit,
        groups=groups,
        title=veil.text(title_of(spot, step)),
        consequence=_consequence(spot, step),
        subject=subject,
        classed=veil.paths_in(subject),
        schema=dict(step.schema) if step.kind is Kind.FORM and step.schema is not None else None,
        risk=step.risk or spot.definition.risk,
        exclude=command.exclude,
        due_s=step.due.after_s,
        due_unit=step.due.unit,
        expires_s=step.due.expires_s,
        escalate_to=queue_of(step.due.to) if escalates else None,
        climbs=escalates,
        supersedes=before,
        back_to=_back_to(spot, step),
        **_place(spot, command.step, command.round, None),
    )


def _wanted(step: StepDef, voters: Voters) -> Wanted:
    if (queue := queue_of(voters.queue or step.queue)) is None:
        raise InvalidError(_("There is no queue “%s”: nobody could be asked.") % (voters.queue or step.queue))
    role = Role.objects.filter(slug=voters.role).first() if voters.role else None
    if voters.role and role is None:
        raise InvalidError(_("There is no role “%s”: nobody could be asked.") % voters.role)
    assert isinstance(voters.needed, int), "Expressions are numbers when people are asked."
    return Wanted(queue, voters.needed, role, voters.distinct_units, voters.stage)


def _back_to(spot: Spot, step: StepDef) -> str:
    """The step from which the work is done again if people request changes; none where it went back too often."""
    if (found := step.changes) is None:
        return ""
    outcome, back = found
    return back.to if spot.view.taken.get((step.name, outcome), 0) < back.max else ""


def _place(spot: Spot, step: str, round_: int, item: int | None) -> dict[str, Any]:
    return {
        "workflow": spot.run.workflow.slug,
        "run_id": spot.run.pk,
        "step": step,
        "round": round_ or None,
        "item": item,
        "run_starter": spot.run.started_by.username,
    }


def title_of(spot: Spot, step: StepDef | None, prefix: str = "") -> str:
    """One line that tells items apart."""
    what = step.label if step else spot.run.workflow.name
    about = spot.run.key or str(spot.run.pk)[-12:]
    return f"{prefix}{what} · {spot.run.workflow.name} · {about}" if step else f"{prefix}{what} · {about}"


def _consequence(spot: Spot, step: StepDef) -> str:
    following = [spot.step(name).label for name in spot.definition.graph.feeds[step.name]]
    if not following:
        return _("The run ends with this step.")
    return _("The run goes on with: %s.") % ", ".join(following)


def _subject(command: do.AskPeople) -> dict[str, Any]:
    """What is to be decided, flat where it has fields; what helps to decide it beside it."""
    if command.subject is None:
        return dict(command.context)
    subject = dict(command.subject) if isinstance(command.subject, dict) else {"subject": command.subject}
    return {**subject, **({"context": command.context} if command.context else {})}


def raise_exception(spot: Spot, command: do.RaiseException) -> Iterable[on.Event]:
    """Ask people how a run should go on. Where nobody can be asked, what failed fails the run."""
    step = spot.definition.steps.get(command.step)
    queue = queue_of(command.queue) or nearest_queue(spot.definition, step, spot.run.unit_id)
    if queue is None:
        if command.position is None and step is not None:
            note = f"{command.message} {_('There is no queue that could be asked.')}"
            yield on.ExceptionResolved(command.step, command.round, command.item, "fail", note=note)
        return
    veil, subject = marks_of(spot.run), _exception_subject(spot, command)
    about: dict[str, Any] = {
        "kind": "exception",
        "unit": spot.run.unit,
        "groups": [(queue, 1)],
        "title": veil.text(title_of(spot, step, _title_prefix(command))),
        "consequence": veil.text(_what_happened(command)),
        "subject": subject,
        "classed": veil.paths_in(subject),
        "risk": (step.risk if step else None) or spot.definition.risk,
        **_place(spot, command.step, command.round, command.item),
    }
    try:
        with transaction.atomic():
            open_escalation(spot.principal, schema=_schema(command), **about)
    except InvalidError:  # an output's schema that no form can show: people say how to go on instead
        choices = tuple(choice for choice in command.resolutions if choice != "complete")
        open_escalation(spot.principal, schema=_schema(replace(command, resolutions=choices)), **about)


def _title_prefix(command: do.RaiseException) -> str:
    if command.position is not None:
        return _("Could not be taken back: ")
    if not command.step:
        return _("Late: ")
    return _("To be done by a person: ") if "complete" in command.resolutions else _("Failed: ")


def _what_happened(command: do.RaiseException) -> str:
    return f"{command.message} ({command.code})" if command.code else command.message


def _exception_subject(spot: Spot, command: do.RaiseException) -> dict[str, Any]:
    subject: dict[str, Any] = {"error": {"code": command.code, "message": command.message}}
    if command.position is not None:
        subject["compensation"] = command.position
        found = next(c for c in spot.view.compensations if c.position == command.position)
        return {**subject, "operation": found.operation, "parameters": found.parameters}
    if command.step and command.item is not None:
        subject["input"] = _input(spot, command)
    return subject


def _input(spot: Spot, command: do.RaiseException) -> Any:
    try:
        return Plan(spot.definition, spot.view).inputs(spot.step(command.step), command.item or 0)
    except StepError:
        return None


def _schema(command: do.RaiseException) -> dict[str, Any]:
    """The form of an answer: the step's own output where a person does the work, else how to go on."""
    if "complete" in command.resolutions:
        return dict(command.schema) if command.schema else {"type": "object"}
    return {
        "type": "object",
        "additionalProperties": False,
        "required": [RESOLUTION],
        "properties": {
            RESOLUTION: {"title": _("How to go on"), "enum": list(command.resolutions)},
            "note": {"title": _("Note"), "type": "string", "maxLength": 2000},
        },
    }


def queue_of(slug: str | None) -> Queue | None:
    """The queue of this slug."""
    return Queue.objects.filter(slug=slug).first() if slug else None


def nearest_queue(definition: Definition, step: StepDef | None, unit_id: UUID) -> Queue | None:
    """Whoever the document names for people's work; else the nearest queue of the unit whose role decides."""
    named = [step.queue] if step and step.queue else []
    named += [definition.sla.to] if definition.sla and definition.sla.to else []
    named += [other.queue for other in definition.steps.values() if other.queue]
    for slug in named:
        if queue := queue_of(slug):
            return queue
    above = ancestors_for(None, unit_id)
    near = Queue.objects.filter(unit__in=above, role__permissions__contains=["oversight.decide_escalation"])
    return min(near, key=lambda queue: (above.index(queue.unit_id), queue.slug), default=None)
