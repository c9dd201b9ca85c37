"""What an agent uses of what it may, what would be enough, and what less would have stopped in 90 days."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from django.db.models import F, QuerySet, Window
from django.db.models.functions import RowNumber

from apps.agents.models import Action, Agent
from apps.agents.rules import Environment
from apps.connectors.models import OperationPermission, RightSizing
from apps.connectors.rules import Money
from apps.connectors.rules.sizing import (
    NOT_NEEDED,
    SIZED_DAYS,
    UNDO_DAYS,
    YOUNG_DAYS,
    Replayed,
    Size,
    Use,
    proposed_size,
    replayed,
)
from apps.connectors.selectors import MayUse, what_agent_may_for
from apps.core.errors import NotFoundError
from apps.core.gate import visible
from apps.core.models import ClockTimestamp, User, database_now

READ = 50_000
"""So many requests are looked at, the newest of each operation; where there are more, no size is proposed of them."""


@dataclass(frozen=True, slots=True)
class Sized:
    """One permission: what is held, what would be enough (None: what it has), what that would have stopped.

    ``is_young``, ``is_cut``: it is too new, or was used too often for all of it to be looked at, to propose less.
    """

    use: MayUse
    held: Size
    size: Size | None
    replay: Replayed
    is_young: bool
    is_cut: bool

    @property
    def drops(self) -> list[str]:
        """The parameters that it would no longer have, of those that the operation names."""
        if self.size is None or self.size.fields is None:
            return []
        named = self.held.fields
        names = named if named is not None else list(self.use.operation.parameters.get("properties", {}))
        return [name for name in names if name not in self.size.fields]


def sized_for(actor: User, agent: Agent, *, sizes: Mapping[str, Size] | None = None) -> list[Sized]:
    """Each live permission of an agent, by slug, with the size that is proposed for it, or the one of ``sizes``."""
    lines = [line for line in what_agent_may_for(actor, agent) if line.is_live]
    uses = _uses(agent, [line.operation.slug for line in lines])
    young = database_now() - timedelta(days=YOUNG_DAYS)
    return [_sized(line, uses[line.operation.slug], sizes, line.permission.granted_at > young) for line in lines]


def _sized(line: MayUse, uses: list[Use], sizes: Mapping[str, Size] | None, is_young: bool) -> Sized:
    operation, held, is_cut = line.operation, held_size(line.permission), line.used > len(uses)
    if sizes is not None:
        size = sizes.get(operation.slug)
    elif is_young or is_cut:
        size = None
    else:
        size = proposed_size(
            uses, held=held, schema=operation.parameters, path=operation.path, has_amount=bool(operation.amount)
        )
    return Sized(line, held, size, replayed(uses, size or held, path=operation.path), is_young, is_cut)


def held_size(held: OperationPermission) -> Size:
    """What a permission gives."""
    return Size(fields=held.fields, limit=held.limit)


def _uses(agent: Agent, operations: Sequence[str]) -> defaultdict[str, list[Use]]:
    """The agent's live requests of 90 days, newest first, by operation: of none so many that others are not seen."""
    since = ClockTimestamp() - timedelta(days=SIZED_DAYS)
    rows = Action.objects.filter(agent=agent, environment=Environment.LIVE, created_at__gt=since)
    place = Window(RowNumber(), partition_by=F("operation"), order_by=F("id").desc())
    each = max(READ // max(len(operations), 1), 1)
    rows = rows.filter(operation__in=operations).annotate(place=place).filter(place__lte=each).order_by("-id")
    names = ("pk", "created_at", "operation", "state", "parameters", "amount_minor", "currency", "erased_at")
    found: defaultdict[str, list[Use]] = defaultdict(list)
    for pk, at, operation, state, parameters, minor, currency, erased in rows.values_list(*names):
        money = None if minor is None else Money(minor, currency)
        found[operation].append(Use(pk, at, state not in NOT_NEEDED, None if erased else parameters, money))
    return found


def right_sizings_for(actor: User, agent: Agent) -> QuerySet[RightSizing]:
    """When the agent's permissions were narrowed together, newest first: of agents that one may see."""
    rows = visible(actor, "agents.view_agent", RightSizing.objects.filter(agent=agent))
    return rows.select_related("agent__unit", "agent__user", "made_by", "undone_by").order_by("-id")


def right_sizing_for(actor: User, agent: Agent, sizing_id: UUID) -> RightSizing:
    """One of them. Raises NotFoundError."""
    if found := right_sizings_for(actor, agent).filter(pk=sizing_id).first():
        return found
    raise NotFoundError


def undoable_for(actor: User, agent: Agent) -> RightSizing | None:
    """The last narrowing that can still be taken back."""
    since = ClockTimestamp() - timedelta(days=UNDO_DAYS)
    return right_sizings_for(actor, agent).filter(undone_at=None, created_at__gt=since).first()
