"""Starting runs, and intervening in them."""

from typing import Any
from uuid import UUID

from django.db import IntegrityError, transaction
from django.db.models import F
from django.utils.translation import gettext as _

from apps.access.models import BusinessUnit
from apps.access.selectors import ancestors_for
from apps.agents.models import Action
from apps.agents.rules import FINAL_ACTIONS
from apps.agents.selectors import require_at_work, require_working_agent
from apps.audit.services import record
from apps.core.errors import ConflictError, InvalidError, NotAllowedError, TooLargeError
from apps.core.gate import holds, require
from apps.core.models import ClockTimestamp, User
from apps.core.rules import ValueProblem, canonical_json, check_values
from apps.core.services import system_user
from apps.halts.selectors import require_running, take_fence
from apps.oversight.models import Escalation
from apps.oversight.services import rest_clocks, wake_clocks
from apps.workflows.models import Exclusive, Run, Task, Timer, Workflow
from apps.workflows.models.definitions import definition_of_version
from apps.workflows.rules.answers import output_errors
from apps.workflows.rules.definition import Definition
from apps.workflows.rules.expressions import Evaluator, StepError, View
from apps.workflows.rules.planner import events as on
from apps.workflows.rules.states import RUN_FINAL, RunState, TaskState, TimerKind, Unwinding
from apps.workflows.selectors import run_for, workflow_for
from apps.workflows.selectors.runs import was_paused_by
from apps.workflows.services.engine import advance_run, locked_run
from apps.workflows.services.engine.ending import take_key
from apps.workflows.services.engine.ends import event_of
from apps.workflows.services.engine.loading import facts_of
from apps.workflows.services.engine.resuming import decision_event
from apps.workflows.services.engine.saving import run_payload

START = "workflows.start_run"
MAX_INPUT_BYTES = 64 * 1024
MAX_KEY = 200
MAX_REASON = 2000


@transaction.atomic
def start_run(
    actor: User,
    *,
    workflow: str,
    input: Any,  # noqa: A002 - the word of the interface
    key: str | None = None,
    business_unit: str | None = None,
    on_behalf_of: str | None = None,
    again: Run | None = None,
) -> Run:
    """Start a run of the active version of ``workflow``.

    ``again``: a run that failed and begins anew for whoever started it, who decides nothing of it now either; that
    ``actor`` had it do so is in the ledger.
    Raises NotFoundError, NotAllowedError ``agent_inactive``, InvalidError (input, key), HaltedError, and ConflictError
    ``duplicate_key`` with the id of the open run that has the key.
    """
    require_working_agent(actor)
    row = workflow_for(actor, workflow, perm=START)
    if row.active_id is None or row.retired_at is not None:
        raise ConflictError(_("The workflow has no active version."), code="invalid_state")
    definition = definition_of_version(row.active_id)
    unit = _unit(actor, row, business_unit)
    person = _person(on_behalf_of, row, unit)
    take_fence()
    starter = again.started_by if again else actor
    if not starter.is_active:
        raise NotAllowedError(_("Whoever started it has left."))
    require_working_agent(starter)
    agent = starter.agent if starter.is_agent else None
    if agent:
        require_at_work(agent)
    require_running(
        units={row.unit_id, unit.pk},
        workflow=row.slug,
        agent=agent.slug if agent else "",
        version=agent.acts_as if agent else "",
    )
    _check_input(definition, input)
    run = Run(
        workflow=row,
        version_id=row.active_id,
        unit=unit,
        input=input,
        started_by=starter,
        on_behalf_of=person,
        simulated=False,
    )
    _name(run, definition, key)
    _insert(run)
    holds_key = take_key(run)
    payload = run_payload(run, definition) | {"exclusive": run.exclusive}
    if holds_key:
        payload["started_at"] = run.created_at  # it begins at once, and the ledger may hear no more of it until its end
    record(actor, run, "started", on_behalf_of=run.on_behalf_of, payload=payload)
    if holds_key:
        return advance_run(actor, run=run, events=[on.Started()])
    Run.objects.filter(pk=run.pk).update(state=RunState.WAITING)
    run.state = RunState.WAITING
    record(actor, run, "waiting", payload=run_payload(run, definition) | {"for_key": run.exclusive})
    return run


def _unit(actor: User, workflow: Workflow, slug: str | None) -> BusinessUnit:
    if not slug or slug == workflow.unit.slug:
        return workflow.unit
    unit = BusinessUnit.objects.filter(slug=slug).first()
    if unit is None or not _may_start_in(actor, workflow, unit):
        raise InvalidError(errors={"business_unit": [_("There is no such unit, or you may not start runs in it.")]})
    return unit


def _may_start_in(actor: User, workflow: Workflow, unit: BusinessUnit) -> bool:
    """People by their roles; an agent within the workflow's unit or its own: it does not choose who decides."""
    if not actor.is_agent:
        return holds(actor, START, unit)
    return not {workflow.unit_id, actor.agent.unit_id}.isdisjoint(ancestors_for(actor, unit.pk))


def _person(username: str | None, workflow: Workflow, unit: BusinessUnit) -> User | None:
    """The person on whose behalf a run starts; permission is the intersection of both.

    Raises NotAllowedError alike for who may not and for who is not there: nobody learns here which names there are.
    """
    if not username:
        return None
    found = User.objects.filter(username=username, kind="human", is_active=True).first()
    if found is None or not (holds(found, START, workflow) and (unit == workflow.unit or holds(found, START, unit))):
        said = _("There is nobody of this name who may start this run, so nobody may for them.")
        raise NotAllowedError(said, errors={"on_behalf_of": [said]})
    return found


def _check_input(definition: Definition, given: Any) -> None:
    try:
        check_values(given)
        size = len(canonical_json(given))
    except ValueProblem as problem:
        raise InvalidError(errors={f"input.{problem.path}".rstrip("."): [str(problem)]}) from problem
    if size > MAX_INPUT_BYTES:
        raise TooLargeError(_("The input has more than %d bytes.") % MAX_INPUT_BYTES)
    if definition.input is not None and (errors := output_errors(definition.input, given, "input")):
        raise InvalidError(errors=errors)


def _name(run: Run, definition: Definition, key: str | None) -> None:
    """The run's key and what it excludes. Where the document computes the key, nobody else names it."""
    evaluator = Evaluator(View(run.input, facts_of(run), {}))
    try:
        computed = evaluator.value(definition.key) if definition.key else None
        exclusive = evaluator.value(definition.exclusive) if definition.exclusive else ""
    except StepError as error:
        raise InvalidError(errors={"input": [str(error)]}) from error
    found = {"key": computed if definition.key else key, "exclusive": exclusive}
    for name, value in found.items():
        if value is not None and not (isinstance(value, str) and len(value) <= MAX_KEY):
            raise InvalidError(errors={name: [_("A text of at most %d characters.") % MAX_KEY]})
    if definition.key and key is not None and key != computed:
        raise InvalidError(errors={"key": [_("This workflow computes its key: %s.") % computed]})
    run.key = str(found["key"]) if found["key"] else None
    run.exclusive = str(found["exclusive"] or "")


def _insert(run: Run) -> None:
    try:
        with transaction.atomic():
            run.save(force_insert=True)
    except IntegrityError as error:
        if "run_open_once_per_key" not in str(error):
            raise
        other = Run.objects.filter(workflow=run.workflow, key=run.key).exclude(state__in=RUN_FINAL).first()
        raise ConflictError(
            _("A run with this key is open."), code="duplicate_key", run=str(other.pk) if other else None
        ) from error


@transaction.atomic
def begin_run(actor: User, *, run_id: UUID) -> Run:
    """Start a run that stood in line, now that it holds its exclusive key. Again, nothing happens."""
    run = locked_run(run_id)
    waits = run.state == RunState.WAITING and run.started_at is None
    if not waits or not Exclusive.objects.filter(run=run, holds=True).exists():
        return run
    return _begin(actor, run)


def _begin(actor: User, run: Run) -> Run:
    """Start what stood in line. That it has started is told even where its state stays what it was."""
    before = run.state
    run = advance_run(actor, run=run, events=[on.Started()])
    if run.state == before:
        record(actor, run, str(run.state), payload=run_payload(run, definition_of_version(run.version_id)))
    return run


def begin_promoted() -> int:
    """Start every run that got its key and has not begun; how many. Stands behind the reaction."""
    ready = Exclusive.objects.filter(holds=True, run__state=RunState.WAITING, run__started_at=None)
    ids = list(ready.order_by("id").values_list("run_id", flat=True)[:100])
    plane = system_user("plane")
    return sum(begin_run(plane, run_id=run_id).state != RunState.WAITING for run_id in ids)


# Interventions


@transaction.atomic
def cancel_run(actor: User, *, run_id: UUID, reason: str, compensate: bool = True) -> Run:
    """End a run: what is open stops, what was done is taken back unless ``compensate`` is false.

    Raises ConflictError when it is over, NotAllowedError.
    """
    run = _operated(actor, run_id, reason)
    if run.state == RunState.PAUSED:
        _unpause(run)
    elif run.state in (RunState.COMPENSATING, RunState.COMPENSATION_FAILED):
        raise ConflictError(_("It is being taken back already."), state=run.state)
    record(actor, run, "run.cancel_asked", payload={"reason": reason, "compensate": compensate})
    event = on.EndRequested(Unwinding.CANCELLED, "cancelled", reason, compensate)
    return advance_run(actor, run=run, events=[event])


@transaction.atomic
def pause_run(actor: User, *, run_id: UUID, reason: str) -> Run:
    """Let a run rest: nothing of it is offered; what agents hold is accepted and kept; people may decide meanwhile."""
    run = _operated(actor, run_id, reason)
    if run.state not in (RunState.RUNNING, RunState.WAITING):
        raise ConflictError(_("Only a running run can be paused."), state=run.state)
    moved = Run.objects.filter(pk=run.pk, state=run.state).update(state=RunState.PAUSED, paused_at=ClockTimestamp())
    assert moved == 1, "The run is locked."
    run.state = RunState.PAUSED
    for state in (TaskState.READY, TaskState.SCHEDULED):
        Task.objects.filter(run=run, state=state).update(state=TaskState.BLOCKED, paused_from=state)
    rest_clocks(run_id=run.pk)
    payload = run_payload(run, definition_of_version(run.version_id)) | {"reason": reason}
    record(actor, run, "paused", payload=payload)
    return run


@transaction.atomic
def resume_run(actor: User, *, run_id: UUID, reason: str = "") -> Run:
    """Let a paused run go on, with everything that came in meanwhile. Whoever let it rest: an agent only its own pause.

    Raises NotAllowedError for an agent where somebody else paused it, ConflictError where it is not paused.
    """
    run = _operated(actor, run_id, reason or "-")
    if run.state != RunState.PAUSED:
        raise ConflictError(_("It is not paused."), state=run.state)
    if actor.is_agent and not was_paused_by(actor, run):
        raise NotAllowedError(_("Somebody else let it rest. People go on with it."))
    _unpause(run)
    payload = run_payload(run, definition_of_version(run.version_id)) | {"reason": reason}
    record(actor, run, "run.resumed", payload=payload)
    for state in (TaskState.READY, TaskState.SCHEDULED):
        rows = Task.objects.filter(run=run, state=TaskState.BLOCKED, paused_from=state)
        rows.update(state=state, paused_from="")
    if run.started_at is None and not Exclusive.objects.filter(run=run, holds=True).exists() and run.exclusive:
        return _wait_in_line(run)
    if run.started_at is None:
        return _begin(actor, run)
    return advance_run(actor, run=run, events=what_came_in(run) or [on.ItemWaits("", 0, with_people=False)])


def _unpause(run: Run) -> None:
    """Back to running, for what follows in the same transaction to judge.

    The pause counts as paused time, but not of a run that stood in line: none of its time had begun.
    """
    Run.objects.filter(pk=run.pk).update(state=RunState.RUNNING)
    run.refresh_from_db(fields=["paused_at"])
    if run.paused_at is not None:
        run.paused_s += _seconds_since(run) if run.started_at else 0
        late = Timer.objects.filter(run=run, kind=TimerKind.DUE)
        late.update(fire_at=F("fire_at") + (ClockTimestamp() - run.paused_at))
    wake_clocks(run_id=run.pk)
    Run.objects.filter(pk=run.pk).update(paused_at=None, paused_s=run.paused_s)
    run.state = RunState.RUNNING


def _seconds_since(run: Run) -> int:
    found = Run.objects.filter(pk=run.pk).annotate(now=ClockTimestamp()).values_list("now", "paused_at").get()
    now, since = found
    return max(0, round((now - since).total_seconds())) if since else 0


def _wait_in_line(run: Run) -> Run:
    Run.objects.filter(pk=run.pk).update(state=RunState.WAITING)
    run.state = RunState.WAITING
    return run


def what_came_in(run: Run) -> list[on.Event]:
    """What ended while the run was paused: tasks that were completed, actions, decisions."""
    found: list[on.Event] = []
    for task in Task.objects.select_for_update(of=("self",)).filter(run=run, state=TaskState.HELD).order_by("id"):
        agent = task.agent.slug if task.agent else ""
        found.append(on.ItemDone(task.step, task.round, task.item, task.held, agent))
    Task.objects.filter(run=run, state=TaskState.HELD).delete()
    actions = Action.objects.filter(run_id=run.pk, agent=None, state__in=FINAL_ACTIONS).order_by("finished_at", "id")
    found += [event for action in actions if (event := event_of(run, action))]
    items = Escalation.objects.filter(pk__in=run.kept).order_by("ended_at", "id")
    found += [event for item in items if (event := decision_event(run, item))]
    Run.objects.filter(pk=run.pk).update(kept=[])
    return found


def _operated(actor: User, run_id: UUID, reason: str) -> Run:
    """The run, locked, for somebody who may intervene in it and says why."""
    if not reason.strip() or len(reason) > MAX_REASON:
        raise InvalidError(errors={"reason": [_("Say why, in at most %d characters.") % MAX_REASON]})
    require_working_agent(actor)
    run_for(actor, run_id)
    run = locked_run(run_id)
    if actor.is_agent:
        # An agent may take back what it started itself; nothing else of a run is its to steer.
        if run.started_by_id != actor.pk:
            raise NotAllowedError
    else:
        require(actor, "workflows.operate_run", run)
    if run.is_over:
        raise ConflictError(_("The run is over."), code="invalid_state", state=run.state)
    return run
