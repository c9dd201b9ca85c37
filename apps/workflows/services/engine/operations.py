"""Operations that a workflow asks for in its own name: the same pipeline, policy, inbox and ledger as an agent's."""

from collections.abc import Iterable
from typing import Any
from uuid import UUID

from django.db import transaction
from django.db.models import Exists, OuterRef

from apps.agents.models import Action
from apps.agents.rules import MAY_STILL_COUNT, ActionState
from apps.core.errors import DomainError, HaltedError
from apps.core.rules import highest_risk
from apps.workflows.models import Compensation, Run
from apps.workflows.rules.planner import commands as do
from apps.workflows.rules.planner import events as on
from apps.workflows.rules.planner.state import CompensationView
from apps.workflows.rules.states import TimerKind
from apps.workflows.selectors.places import Place
from apps.workflows.services.engine.ends import event_of, reason_of
from apps.workflows.services.engine.place import Spot
from apps.workflows.services.engine.timing import set_timer

HALTED_AGAIN_S = 5
"""How long an operation that a halt stopped waits before it is asked for again. It counts as no try."""


def submit_operation(spot: Spot, command: do.SubmitOperation) -> Iterable[on.Event]:
    """Ask for the operation of a step's item; what policy says at once is an event."""
    step = spot.step(command.step)
    place: dict[str, Any] = {"step": command.step, "round": command.round, "item": command.item}
    try:
        action = _submit(spot, command.operation, command.parameters, purpose="act", risk=step.risk, **place)
    except HaltedError:
        set_timer(spot, do.SetTimer(TimerKind.RETRY, HALTED_AGAIN_S, **place))
        return
    except DomainError as error:
        yield on.ItemFailed(command.step, command.round, command.item, error.code, words_of(error))
        return
    if action.state == ActionState.DENIED:
        if event := event_of(spot.run, action):
            yield event
    elif action.state == ActionState.PENDING_APPROVAL:
        yield on.ItemWaits(command.step, command.round, with_people=True)


def compensate(spot: Spot, command: do.Compensate) -> Iterable[on.Event]:
    """Ask for the operation that takes an effect back."""
    wanted = next(c for c in spot.view.compensations if c.position == command.position)
    place: dict[str, Any] = {"step": wanted.step, "round": wanted.round, "item": wanted.item}
    undone = _standing(spot.run, wanted)
    try:
        action = _submit(
            spot, wanted.operation, wanted.parameters, purpose="compensate", risk=None, compensates=undone, **place
        )
    except HaltedError:
        set_timer(spot, do.SetTimer(TimerKind.COMPENSATE, HALTED_AGAIN_S, item=command.position))
        return
    except DomainError as error:
        yield on.CompensationEnded(command.position, succeeded=False, code=error.code, message=words_of(error))
        return
    Compensation.objects.filter(run=spot.run, position=command.position).update(action_id=action.pk)
    if action.state == ActionState.DENIED:
        yield on.CompensationEnded(command.position, succeeded=False, code="denied", message=reason_of(action))


def _standing(run: Run, wanted: CompensationView) -> UUID | None:
    """The action of the run whose effect is taken back; None where none stands, or it is taken back already."""
    done = Action.objects.filter(
        run_id=run.pk,
        step=wanted.step,
        round=wanted.round,
        item=wanted.item,
        purpose="act",
        state=ActionState.SUCCEEDED,
    )
    taken = Action.objects.filter(compensates=OuterRef("pk"), state__in=MAY_STILL_COUNT)
    return done.exclude(Exists(taken)).order_by("-id").values_list("pk", flat=True).first()


def _submit(spot: Spot, operation: str, parameters: Any, *, purpose: str, risk: str | None, **place: Any) -> Action:
    from apps.workflows.services.actions.asking import submit_action  # actions carry out and tell the engine
    from apps.workflows.services.actions.pipeline import Ask

    run = spot.run
    with transaction.atomic():
        return submit_action(
            spot.principal,
            ask=Ask(operation=operation, parameters=parameters),
            place=Place(
                run_id=run.pk,
                run_unit_id=run.unit_id,
                workflow=run.workflow.slug,
                key=run.key or "",
                started_by=run.started_by.username,
                unit=run.workflow.unit,
                risk=highest_risk(spot.definition.risk, risk),
                owner=spot.definition.owner,
                purpose=purpose,
                **place,
            ),
        )


def words_of(error: DomainError) -> str:
    """What is wrong, with the fields where it names some."""
    fields = "; ".join(f"{path}: {' '.join(texts)}" for path, texts in error.errors.items())
    return f"{error.message} {fields}".strip()[:1000]
