"""What can be stopped, by whom, and what stopping it would touch."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from django.db.models import Count, Q
from django.utils.translation import gettext as _

from apps.access.models import BusinessUnit
from apps.agents.models import Action, Agent
from apps.agents.rules import WORKING, ActionState
from apps.connectors.models import Connector, Operation
from apps.core.errors import NotFoundError
from apps.core.gate import scope_for
from apps.core.models import User
from apps.halts.rules import HaltScope
from apps.workflows.models import Run, Workflow
from apps.workflows.rules.states import RUN_OPEN

ENGAGE = "halts.engage_halt"
IN_FLIGHT = (ActionState.APPROVED, ActionState.EXECUTING)


@dataclass(frozen=True, slots=True)
class Stoppable:
    """One thing that a halt can stop, and how much is in flight there now."""

    scope: str
    target: str
    label: str
    unit: BusinessUnit | None
    runs: int = 0
    actions: int = 0
    agents: int = 0


def halt_target_for(actor: User, scope: str, target: str) -> BusinessUnit | None:
    """The unit that a halt of ``target`` belongs to; None where it belongs to all. Raises NotFoundError.

    ``target`` is a slug; a version is ``agent@number``. What the actor may do there is asked by ``engage_halt``.
    """
    if scope == HaltScope.EVERYTHING:
        return None
    find = TARGETS.get(scope)
    if find is None:
        raise NotFoundError
    return find(target)


def _found[T](row: T | None) -> T:
    if row is None:
        raise NotFoundError
    return row


def _unit_of_version(target: str) -> BusinessUnit | None:
    slug, _at, number = target.partition("@")
    rows = Agent.objects.select_related("unit").filter(slug=slug)
    return _found(rows.filter(versions__number=number if number.isdigit() else 0).first()).unit


TARGETS: Mapping[str, Callable[[str], BusinessUnit | None]] = {
    HaltScope.UNIT: lambda slug: _found(BusinessUnit.objects.filter(slug=slug).first()),
    HaltScope.WORKFLOW: lambda slug: _found(Workflow.objects.select_related("unit").filter(slug=slug).first()).unit,
    HaltScope.AGENT: lambda slug: _found(Agent.objects.select_related("unit").filter(slug=slug).first()).unit,
    HaltScope.VERSION: _unit_of_version,
    HaltScope.CONNECTOR: lambda slug: _found(Connector.objects.select_related("unit").filter(slug=slug).first()).unit,
    HaltScope.OPERATION: lambda slug: (
        _found(Operation.objects.select_related("connector__unit").filter(slug=slug).first()).connector.unit
    ),
}
"""Where the unit of each kind of target is found."""


def stoppable_for(actor: User) -> list[Stoppable]:
    """Everything that ``actor`` may stop, from everything down to single operations, with what is in flight."""
    scope = scope_for(actor, ENGAGE)
    mine = Q() if scope.everywhere else Q(unit__in=scope.units)
    theirs = Q() if scope.everywhere else Q(connector__unit__in=scope.units)
    return [
        *([_everything()] if scope.everywhere else []),
        *(
            Stoppable(HaltScope.WORKFLOW, row.slug, row.name, row.unit, runs=row.open_runs)
            for row in Workflow.objects.filter(mine)
            .annotate(open_runs=Count("runs", filter=Q(runs__state__in=RUN_OPEN)))
            .select_related("unit")
            .order_by("slug")
        ),
        *(
            Stoppable(HaltScope.AGENT, row.slug, row.name, row.unit, actions=row.in_flight)
            for row in Agent.objects.filter(mine, state__in=WORKING)
            .annotate(in_flight=Count("actions", filter=Q(actions__state__in=IN_FLIGHT)))
            .select_related("unit")
            .order_by("slug")
        ),
        *(
            Stoppable(HaltScope.CONNECTOR, row.slug, row.name, row.unit, actions=_in_flight(connector=row.slug))
            for row in Connector.objects.filter(mine).select_related("unit").order_by("slug")
        ),
        *(
            Stoppable(HaltScope.OPERATION, row.slug, row.name, row.connector.unit)
            for row in Operation.objects.filter(theirs, state="active")
            .select_related("connector__unit")
            .order_by("slug")
        ),
    ]


def _everything() -> Stoppable:
    return Stoppable(
        HaltScope.EVERYTHING,
        "",
        _("Everything"),
        None,
        runs=Run.objects.filter(state__in=RUN_OPEN).count(),
        actions=_in_flight(),
        agents=Agent.objects.filter(state__in=WORKING).count(),
    )


def _in_flight(**where: str) -> int:
    return Action.objects.filter(state__in=IN_FLIGHT, **where).count()
