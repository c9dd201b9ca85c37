"""What a halt covers, and what of it was in flight when it came."""

from dataclasses import dataclass
from datetime import datetime

from django.db.models import OuterRef, Q, QuerySet, Subquery

from apps.agents.models import Action
from apps.agents.rules import ActionState
from apps.agents.selectors import actions_for
from apps.audit.models import Entry
from apps.core.models import User
from apps.halts.models import Halt, Trip
from apps.halts.rules import HaltScope
from apps.oversight.selectors import units_below
from apps.policies.rules.quiet import confidential_policies, quieted
from apps.policies.selectors.quiet import seen_of
from apps.workflows.models import Run
from apps.workflows.rules.causes import causes_of

PATHS = {
    HaltScope.WORKFLOW: "workflow",
    HaltScope.AGENT: "agent__slug",
    HaltScope.CONNECTOR: "connector",
    HaltScope.OPERATION: "operation",
}
SHOWN = 100
"""How many of each are listed; a plane has few things under way at one time."""
ENDED = (ActionState.SUCCEEDED, ActionState.FAILED, ActionState.COMPENSATED)


def within_halt(halt: Halt) -> QuerySet[Action]:
    """The actions that a halt covers, as ``scopes_of`` says of one."""
    rows = Action.objects.all()
    if halt.scope == HaltScope.EVERYTHING:
        return rows
    if halt.scope == HaltScope.UNIT:
        below = units_below(halt.target)
        runs = Run.objects.filter(unit__in=below).values("pk")
        return rows.filter(Q(unit__in=below) | Q(agent__unit__in=below) | Q(run_id__in=runs))
    if halt.scope == HaltScope.VERSION:
        slug, _, number = halt.target.rpartition("@")
        return rows.filter(agent__slug=slug, version__number=number if number.isdigit() else "0")
    return rows.filter(**{PATHS[HaltScope(halt.scope)]: halt.target})


@dataclass(frozen=True, slots=True)
class InFlight:
    """What was allowed and had not ended when a halt came, of what one may see, newest first.

    ``stopped``: it had not begun, and did not. ``finished``: it had begun, and ended since. ``unknown``: it had begun,
    and nobody knows yet what came of it.
    """

    halted_at: datetime
    stopped: list[Action]
    finished: list[Action]
    unknown: list[Action]

    @property
    def settled_after_s(self) -> float | None:
        """Seconds from the halt until the last of what had begun ended; None while something is unknown."""
        if self.unknown:
            return None
        ends = [action.finished_at for action in self.finished if action.finished_at]
        return max(((end - self.halted_at).total_seconds() for end in ends), default=0.0)


def counted_for(actor: User, trip: Trip) -> list[tuple[Action, tuple[str, ...]]]:
    """The last actions behind the opening of a breaker that ``actor`` may see, newest first, each with its causes."""
    rows = actions_for(actor).filter(pk__in=trip.actions).select_related("agent").order_by("-id")
    found = list(rows)
    seen = seen_of(actor, {slug for row in found for slug in confidential_policies(row.verdict)})
    return [(row, causes_of(row.state, error=row.error, verdict=quieted(row.verdict, seen))) for row in found]


def in_flight_of(actor: User, halt: Halt) -> InFlight:
    """What of a halt was in flight when it came, told by the ledger: the last state that each action had before."""
    before = Entry.objects.filter(
        subject_id=OuterRef("pk"), name__startswith="action.", occurred_at__lte=halt.created_at
    )
    states = [f"action.{state}" for state in ActionState]
    rows = (
        within_halt(halt)
        .filter(Q(finished_at=None) | Q(finished_at__gt=halt.created_at), created_at__lte=halt.created_at)
        .filter(pk__in=actions_for(actor).order_by().values("pk"))
        .annotate(then=Subquery(before.filter(name__in=states).order_by("-id").values("name")[:1]))
        .select_related("agent")
        .order_by("-id")
    )
    stopped = rows.filter(then=f"action.{ActionState.APPROVED}")
    begun = rows.filter(then__in=[f"action.{ActionState.EXECUTING}", f"action.{ActionState.UNKNOWN}"])
    return InFlight(
        halted_at=halt.created_at,
        stopped=list(stopped[:SHOWN]),
        finished=list(begun.filter(state__in=ENDED)[:SHOWN]),
        unknown=list(begun.exclude(state__in=ENDED)[:SHOWN]),
    )
