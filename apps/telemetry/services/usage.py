"""Usage, as an agent tells it by itself or by its spans."""

from datetime import datetime
from uuid import UUID

from django.db import transaction

from apps.agents.models import Agent
from apps.agents.selectors import require_working_agent
from apps.audit.services import record
from apps.core.errors import InvalidError, NotAllowedError
from apps.core.models import User
from apps.telemetry.models import UsageRecord
from apps.telemetry.selectors import Work, work_for

DOLLAR = "USD"
"""What OpenInference counts costs in."""


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
    return keep_usage(
        actor,
        agent=actor.agent,
        work=work_for(actor, run_id=run_id, task_id=task_id, action_id=action_id),
        model=model,
        input_tokens=input_tokens,
        output_tokens=output_tokens,
        cache_read_tokens=cache_read_tokens,
        cache_write_tokens=cache_write_tokens,
        reasoning_tokens=reasoning_tokens,
        cost_minor=cost_minor,
    )


def keep_usage(
    actor: User,
    *,
    agent: Agent,
    work: Work,
    model: str,
    input_tokens: int,
    output_tokens: int,
    cache_read_tokens: int,
    cache_write_tokens: int,
    reasoning_tokens: int = 0,
    cost_minor: int | None = None,
    reported_micro: int | None = None,
    started_at: datetime | None = None,
) -> UsageRecord:
    """Keep what work that was found to be the agent's own used. Call inside the transaction that found it.

    ``reported_micro``: what its spans say that it cost, in millionths of a US dollar.
    ``started_at``: when, by the agent's clock, the model was called, though never before the work itself began; None:
    about now. Its price is that of then, and it counts for that day.
    """
    if started_at and work.since:
        started_at = max(started_at, work.since)
    usage = UsageRecord.objects.create(
        agent=agent,
        model=model,
        input_tokens=input_tokens,
        output_tokens=output_tokens,
        cache_read_tokens=cache_read_tokens,
        cache_write_tokens=cache_write_tokens,
        reasoning_tokens=reasoning_tokens,
        cost_minor=cost_minor,
        reported_micro=reported_micro,
        reported_currency="" if reported_micro is None else DOLLAR,
        workflow=work.workflow,
        run_id=work.run_id,
        task_id=work.task_id,
        action_id=work.action_id,
    )
    record(
        actor,
        usage,
        "usage.recorded",
        unit=work.unit_id,
        payload={
            "model": model,
            "input_tokens": input_tokens,
            "output_tokens": output_tokens,
            "cache_read_tokens": cache_read_tokens,
            "cache_write_tokens": cache_write_tokens,
            "cost_minor": cost_minor,
            **({"reasoning_tokens": reasoning_tokens} if reasoning_tokens else {}),
            **({} if reported_micro is None else {"reported_micro": reported_micro, "reported_currency": DOLLAR}),
            "agent": agent.slug,
            "workflow": work.workflow,
            "run": work.run_id,
            "task": work.task_id,
            "action": work.action_id,
            **({"started_at": started_at.isoformat()} if started_at else {}),
        },
    )
    return usage
