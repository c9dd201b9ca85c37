"""Usage, as an agent tells it by itself or by its spans."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db import transaction

from apps.agents.models import Agent
from apps.agents.selectors import require_working_agent
from apps.audit.services import record, recorded_together
from apps.core.errors import InvalidError, NotAllowedError
from apps.core.models import User
from apps.telemetry.models import UsageRecord
from apps.telemetry.selectors import Work, work_for

DOLLAR = "USD"
"""What OpenInference counts costs in."""


@dataclass(frozen=True, slots=True)
class Used:
    """What one call of a model used, for which work of the agent's own.

    ``reported_micro``: what its spans say that it cost, in millionths of a US dollar.
    ``started_at``: when, by the agent's clock, the model was called; None: about now.
    """

    work: Work
    model: str
    input_tokens: int
    output_tokens: int
    cache_read_tokens: int = 0
    cache_write_tokens: int = 0
    reasoning_tokens: int = 0
    cost_minor: int | None = None
    reported_micro: int | None = None
    started_at: datetime | None = None

    @property
    def began_at(self) -> datetime | None:
        """The same, never before the work itself began. Its price is that of then, and it counts for that day."""
        return max(self.started_at, self.work.since or self.started_at) if self.started_at else None


@transaction.atomic
def record_usage(
    actor: User,
    *,
    model: str,
    input_tokens: int,
    output_tokens: int,
    cache_read_tokens: int = 0,
    cache_write_tokens: int = 0,
    reasoning_tokens: int = 0,
    cost_minor: int | None = None,
    run_id: UUID | None = None,
    task_id: UUID | None = None,
    action_id: UUID | None = None,
) -> UsageRecord:
    """Keep what an agent says that one piece of its own work used. The entry carries what a price needs.

    Raises NotAllowedError for anybody but an agent that may act, NotFoundError for work that is not its own.
    """
    if not actor.is_agent:
        raise NotAllowedError("Only an agent reports its usage.")
    require_working_agent(actor)
    if sum(one is not None for one in (run_id, task_id, action_id)) != 1:
        raise InvalidError(errors={"run": ["Name exactly one of run, task and action."]})
    if cache_read_tokens + cache_write_tokens > input_tokens:
        raise InvalidError(errors={"cache_read_tokens": ["More than input_tokens, which counts cached tokens too."]})
    if reasoning_tokens > output_tokens:
        raise InvalidError(errors={"reasoning_tokens": ["More than output_tokens, which counts reasoning too."]})
    used = Used(
        work=work_for(actor, run_id=run_id, task_id=task_id, action_id=action_id),
        model=model,
        input_tokens=input_tokens,
        output_tokens=output_tokens,
        cache_read_tokens=cache_read_tokens,
        cache_write_tokens=cache_write_tokens,
        reasoning_tokens=reasoning_tokens,
        cost_minor=cost_minor,
    )
    return keep_usage(actor, agent=actor.agent, used=[used])[0]


def keep_usage(actor: User, *, agent: Agent, used: Sequence[Used]) -> list[UsageRecord]:
    """Keep what work that was found to be the agent's own used. Call inside the transaction that found it."""
    rows = [_row(agent, one) for one in used]
    UsageRecord.objects.bulk_create(rows, batch_size=1000)
    with recorded_together():
        for one, row in zip(used, rows, strict=True):
            record(actor, row, "usage.recorded", unit=one.work.unit_id, payload=_told(agent, one))
    return rows


def _row(agent: Agent, used: Used) -> UsageRecord:
    return UsageRecord(
        agent=agent,
        model=used.model,
        input_tokens=used.input_tokens,
        output_tokens=used.output_tokens,
        cache_read_tokens=used.cache_read_tokens,
        cache_write_tokens=used.cache_write_tokens,
        reasoning_tokens=used.reasoning_tokens,
        cost_minor=used.cost_minor,
        reported_micro=used.reported_micro,
        reported_currency="" if used.reported_micro is None else DOLLAR,
        workflow=used.work.workflow,
        run_id=used.work.run_id,
        task_id=used.work.task_id,
        action_id=used.work.action_id,
    )


def _told(agent: Agent, used: Used) -> dict[str, Any]:
    """What the entry carries."""
    reported, began = used.reported_micro, used.began_at
    return {
        "model": used.model,
        "input_tokens": used.input_tokens,
        "output_tokens": used.output_tokens,
        "cache_read_tokens": used.cache_read_tokens,
        "cache_write_tokens": used.cache_write_tokens,
        "cost_minor": used.cost_minor,
        **({"reasoning_tokens": used.reasoning_tokens} if used.reasoning_tokens else {}),
        **({} if reported is None else {"reported_micro": reported, "reported_currency": DOLLAR}),
        "agent": agent.slug,
        "workflow": used.work.workflow,
        "run": used.work.run_id,
        "task": used.work.task_id,
        "action": used.work.action_id,
        **({"started_at": began.isoformat()} if began else {}),
    }
