"""What can be stopped, by whom, and what stopping it would touch."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.db.models import Count, Model, Q, QuerySet
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from apps.access.models import BusinessUnit
from apps.access.selectors import ancestors_for, holders_for
from apps.agents.models import Action, Agent, AgentVersion
from apps.agents.rules import TESTABLE, ActionState, VersionState
from apps.agents.selectors import agents_for
from apps.connectors.models import Connector, Operation
from apps.connectors.selectors import all_operations_for, connectors_for
from apps.core.errors import NotAllowedError, NotFoundError
from apps.core.gate import holds, scope_for
from apps.core.models import User
from apps.halts.models import Halt
from apps.halts.rules import HaltScope
from apps.halts.selectors import engaged_for
from apps.workflows.models import Run, Workflow
from apps.workflows.rules.states import RUN_OPEN
from apps.workflows.selectors import workflows_for

ENGAGE, LIFT = "halts.engage_halt", "halts.lift_halt"
MAX_NAMED = 100
KIND_WORDS = {
    HaltScope.UNIT: gettext_lazy("Unit"),
    HaltScope.WORKFLOW: gettext_lazy("Workflow"),
    HaltScope.AGENT: gettext_lazy("Agent"),
    HaltScope.CONNECTOR: gettext_lazy("System"),
}
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

    @property
    def heading(self) -> str:
        """What the things of this scope are called together."""
        return {
            HaltScope.UNIT: _("Units, with all below them"),
            HaltScope.WORKFLOW: _("Workflows"),
            HaltScope.AGENT: _("Agents"),
            HaltScope.VERSION: _("Versions of agents"),
            HaltScope.CONNECTOR: _("Systems"),
            HaltScope.OPERATION: _("Operations"),
        }[HaltScope(self.scope)]


@dataclass(frozen=True, slots=True)
class Engaged:
    """A halt that stands, and who can lift it: never the one who engaged it."""

    halt: Halt
    may_lift: bool
    lifters: list[User]


def standing_for(actor: User) -> list[Engaged]:
    """Engaged halts, newest first, each with the people who can lift it."""
    scope = scope_for(actor, LIFT)
    return [
        Engaged(
            halt,
            may_lift=halt.engaged_by_id != actor.pk and (scope.everywhere or halt.unit_id in scope.units),
            lifters=list(holders_for(actor, LIFT, halt.unit_id).exclude(pk=halt.engaged_by_id)),
        )
        for halt in engaged_for(actor).select_related("unit")
    ]


def who_stops_everything_for(actor: User) -> list[User]:
    """The people who may stop everything at once."""
    return list(holders_for(actor, ENGAGE, None))


def halt_target_for(actor: User, scope: str, target: str, *, perm: str = ENGAGE) -> BusinessUnit | None:
    """The unit that a halt of ``target`` belongs to; None where it belongs to all. Raises NotFoundError.

    ``target`` is a slug; a version is ``agent@number``. Where ``actor`` neither holds ``perm`` nor sees it, it is not
    there; what they may do there is asked by the command. Who holds ``perm`` nowhere is told so, whatever they name
    (NotAllowedError).
    """
    if scope == HaltScope.EVERYTHING:
        return None
    if not holds(actor, perm):
        raise NotAllowedError
    kind = TARGETS.get(scope)
    found = kind.find(target) if kind else None
    if kind is None or found is None or not _is_there(actor, kind, found, perm):
        raise NotFoundError
    return kind.unit_of(found)


@dataclass(frozen=True, slots=True)
class Nameable[M: Model]:
    """How one kind of target is found by its name, where it belongs, and what of its kind an actor sees."""

    find: Callable[[str], M | None]
    unit_of: Callable[[M], BusinessUnit | None]
    seen: Callable[[User], QuerySet[M]]


def nameable_for(actor: User, scopes: Iterable[str]) -> Iterator[tuple[str, str]]:
    """What ``actor`` sees of these kinds, by the name that forms take, and what it is called."""
    for scope in scopes:
        if scope == HaltScope.VERSION:
            continue  # told by the agent's name and a number
        for row in TARGETS[scope].seen(actor).order_by("slug")[:MAX_NAMED]:
            yield row.slug, str(_("%(kind)s: %(name)s") % {"kind": KIND_WORDS[HaltScope(scope)], "name": row.name})


def _is_there(actor: User, kind: Nameable[Any], row: Model, perm: str) -> bool:
    scope, unit = scope_for(actor, perm), kind.unit_of(row)
    return scope.everywhere or (unit is not None and unit.pk in scope.units) or kind.seen(actor).contains(row)


def _version(target: str) -> Agent | None:
    slug, _at, number = target.partition("@")
    rows = Agent.objects.select_related("unit").filter(slug=slug)
    return rows.filter(versions__number=number if number.isascii() and number.isdecimal() else 0).first()


def _units_seen(actor: User) -> QuerySet[BusinessUnit]:
    """Units in which ``actor`` sees anything that belongs to one."""
    scopes = [scope_for(actor, perm) for perm in SEEING]
    units = {unit for scope in scopes for unit in scope.units}
    return BusinessUnit.objects.filter(Q() if any(scope.everywhere for scope in scopes) else Q(pk__in=units))


SEEING = (
    "access.manage_access",
    "agents.view_agent",
    "oversight.view_escalation",
    "policies.view_policy",
    "workflows.view_run",
)
TARGETS: Mapping[str, Nameable[Any]] = {
    HaltScope.UNIT: Nameable(lambda slug: BusinessUnit.objects.filter(slug=slug).first(), lambda row: row, _units_seen),
    HaltScope.WORKFLOW: Nameable(
        lambda slug: Workflow.objects.select_related("unit").filter(slug=slug).first(),
        lambda row: row.unit,
        workflows_for,
    ),
    HaltScope.AGENT: Nameable(
        lambda slug: Agent.objects.select_related("unit").filter(slug=slug).first(), lambda row: row.unit, agents_for
    ),
    HaltScope.VERSION: Nameable(_version, lambda row: row.unit, agents_for),
    HaltScope.CONNECTOR: Nameable(
        lambda slug: Connector.objects.select_related("unit").filter(slug=slug).first(),
        lambda row: row.unit,
        connectors_for,
    ),
    HaltScope.OPERATION: Nameable(
        lambda slug: Operation.objects.select_related("connector__unit").filter(slug=slug).first(),
        lambda row: row.connector.unit,
        all_operations_for,
    ),
}
"""What can be named of each kind."""


def stoppable_for(actor: User) -> list[Stoppable]:
    """Everything that ``actor`` may stop, from everything down to single operations, with what is in flight."""
    scope = scope_for(actor, ENGAGE)
    mine = Q() if scope.everywhere else Q(unit__in=scope.units)
    theirs = Q() if scope.everywhere else Q(connector__unit__in=scope.units)
    agents = Agent.objects.filter(mine, state__in=TESTABLE)
    return [
        *([_everything()] if scope.everywhere else []),
        *_units(actor, BusinessUnit.objects.filter(Q() if scope.everywhere else Q(pk__in=scope.units))),
        *(
            Stoppable(HaltScope.WORKFLOW, row.slug, row.name, row.unit, runs=row.open_runs)
            for row in Workflow.objects.filter(mine)
            .annotate(open_runs=Count("runs", filter=Q(runs__state__in=RUN_OPEN)))
            .select_related("unit")
            .order_by("slug")
        ),
        *(
            Stoppable(HaltScope.AGENT, row.slug, row.name, row.unit, actions=row.in_flight)
            for row in agents.annotate(in_flight=Count("actions", filter=Q(actions__state__in=IN_FLIGHT)))
            .select_related("unit")
            .order_by("slug")
        ),
        *_versions(agents),
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


def _units(actor: User, units: QuerySet[BusinessUnit]) -> Iterator[Stoppable]:
    """Each unit with what is in flight there and below."""
    runs = _by_unit(actor, Run.objects.filter(state__in=RUN_OPEN))
    actions = _by_unit(actor, Action.objects.filter(state__in=IN_FLIGHT))
    for unit in units.order_by("slug"):
        yield Stoppable(
            HaltScope.UNIT, unit.slug, unit.name, unit, runs=runs.get(unit.pk, 0), actions=actions.get(unit.pk, 0)
        )


def _by_unit(actor: User, rows: QuerySet[Run] | QuerySet[Action]) -> dict[UUID, int]:
    """How many of ``rows`` are in each unit, those below it included."""
    counts: dict[UUID, int] = {}
    for unit_id, number in rows.values_list("unit").annotate(Count("pk")).order_by():
        for above in ancestors_for(actor, unit_id):
            counts[above] = counts.get(above, 0) + number
    return counts


def _versions(agents: QuerySet[Agent]) -> Iterator[Stoppable]:
    """Versions at work of the agents that have several: elsewhere the agent itself is what to stop."""
    at_work = AgentVersion.objects.filter(agent__in=agents, state__in=(VersionState.PILOT, VersionState.ACTIVE))
    several = at_work.values("agent").annotate(Count("pk")).filter(pk__count__gt=1).order_by()
    rows = at_work.filter(agent__in=several.values("agent")).select_related("agent__unit")
    for row in rows.order_by("agent__slug", "number"):
        yield Stoppable(HaltScope.VERSION, f"{row.agent.slug}@{row.number}", str(row), row.agent.unit)


def _everything() -> Stoppable:
    return Stoppable(
        HaltScope.EVERYTHING,
        "",
        _("Everything"),
        None,
        runs=Run.objects.filter(state__in=RUN_OPEN).count(),
        actions=_in_flight(),
        agents=Agent.objects.filter(state__in=TESTABLE).count(),
    )


def _in_flight(**where: str) -> int:
    return Action.objects.filter(state__in=IN_FLIGHT, **where).count()
