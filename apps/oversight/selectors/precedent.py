"""What was decided on actions like one: counts, what came of them, and what is different this time."""

from dataclasses import dataclass, field

from django.db.models import QuerySet

from apps.agents.rules import Environment
from apps.agents.selectors import hidden_of, target_names
from apps.classification.rules import marked
from apps.core.differences import Difference, differences
from apps.core.gate import reader, visible_when_read
from apps.core.models import User
from apps.core.prepared import Prepared, Slot
from apps.oversight.models import Escalation
from apps.oversight.rules import DECIDED, EscalationState, Fate, Kind
from apps.oversight.selectors.eligibility import VIEW
from apps.oversight.selectors.fates import fates_for
from apps.oversight.selectors.veils import sight_of

PRECEDENTS = 20
SEARCHED = 500
NEEDED = (
    "state",
    "edited",
    "title",
    "ended_at",
    "action__target",
    "action__erased_target",
    "action__erased_at",
    "action__parameters",
    "action__classed",
    "action__unit",
    "decided_by__name",
    "decided_by__username",
)
"""What is told of each: of the wide rows nothing else is read."""
LISTED = 5


@dataclass(frozen=True, slots=True)
class Precedent:
    """The last decisions on the same agent and operation. ``differs``: field by field from the last approved one."""

    approved: int = 0
    edited: int = 0
    rejected: int = 0
    changes_requested: int = 0
    reversed: int = 0
    failed: int = 0
    same_target: int = 0
    last: list[Escalation] = field(default_factory=list)
    compared: Escalation | None = None
    differs: list[Difference] = field(default_factory=list)

    @property
    def total(self) -> int:
        """How many were looked at."""
        return self.approved + self.rejected + self.changes_requested


def precedent_for(actor: User, item: Escalation) -> Precedent:
    """The last twenty decisions on actions like this one that ``actor`` may see, of the agent's last five hundred.

    Two queries, of which the first walks one index: who decided much about other things does not slow it down.
    """
    if item.action is None:
        return Precedent()
    read = _of_agent if item.agent_id else _of_no_agent
    last = read(agent=item.agent_id, operation=item.action.operation, item=item.pk, **reader(actor, VIEW))
    states = [row.state for row in last]
    approvals = [row for row in last if row.state == EscalationState.APPROVED and row.action]
    readable = (row for row in approvals if row.action and not row.action.erased_at)
    approved = None if item.action.erased_at else next(readable, None)
    names = target_names(item.action)
    fates = fates_for(actor, [row.pk for row in last]) if approvals else {}
    return Precedent(
        approved=states.count(EscalationState.APPROVED),
        edited=sum(row.edited for row in last),
        rejected=states.count(EscalationState.REJECTED),
        changes_requested=states.count(EscalationState.CHANGES_REQUESTED),
        reversed=sum(fate in {Fate.REVERSED, Fate.OVERTURNED} for fate in fates.values()),
        failed=sum(fate == Fate.FAILED for fate in fates.values()),
        same_target=sum((row.action.target or row.action.erased_target) in names for row in last if row.action),
        last=last[:LISTED],
        compared=approved,
        differs=_different(actor, approved, item),
    )


def _like(agent: Slot | None) -> QuerySet[Escalation]:
    decided = Escalation.objects.filter(agent=agent, state__in=sorted(DECIDED)).order_by("-id")
    rows = visible_when_read(VIEW, Escalation.objects.select_related("action", "decided_by")).filter(
        pk__in=decided.values("pk")[:SEARCHED], kind=Kind.ACTION, action__operation=Slot("operation")
    )
    rows = rows.filter(action__environment=Environment.LIVE)
    return rows.only(*NEEDED).exclude(pk=Slot("item")).order_by("-id")[:PRECEDENTS]


_of_agent = Prepared(lambda: _like(Slot("agent")), is_list=True)
_of_no_agent = Prepared(lambda: _like(None), is_list=True)


def _different(actor: User, approved: Escalation | None, item: Escalation) -> list[Difference]:
    if approved is None or approved.action is None or item.action is None:
        return []
    hide = hidden_of(actor, approved.action)
    before = marked(approved.action.parameters, approved.action.classed, hide)
    rows = differences(before, sight_of(actor, item).values(item.action.parameters))
    return [row for row in rows if row.kind != "same"]
