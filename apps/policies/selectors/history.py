"""What was asked before: the facts behind ``history.count`` and ``history.sum_minor``."""

import time
from collections.abc import Iterable
from datetime import timedelta
from uuid import UUID

from django.db import connection
from django.db.models import Count, Q, Sum
from django.db.models.functions import Now

from apps.agents.models import Action
from apps.agents.rules import ActionState
from apps.agents.selectors import same_target
from apps.core.expressions import FunctionCall
from apps.core.models import User
from apps.policies.rules import DocumentError, Facts, HistoryScope, past_of

COUNTED = (
    ActionState.PENDING_APPROVAL,
    ActionState.APPROVED,
    ActionState.EXECUTING,
    ActionState.SUCCEEDED,
    ActionState.UNKNOWN,
)
"""What happened, may have happened, or still may: so that one large action cannot hide as many small ones."""
COUNTS = Q(state__in=COUNTED) | Q(taken_at_word=True)
"""And what failed by the word of the agent alone that carried it out."""
MARGIN_S = 86_400


def history_for(actor: User, *, facts: Facts, calls: Iterable[FunctionCall]) -> dict[FunctionCall, int]:
    """The value of each call for this action, over all runs and agents; calls that ask nothing sensible are left out.

    Takes a lock on each operation asked about until the transaction ends, so that actions sent at once see each other.
    """
    return {call: value for call in sorted(calls, key=str) if (value := _value(call, facts)) is not None}


def _value(call: FunctionCall, facts: Facts) -> int | None:
    try:
        past = past_of(call)
    except DocumentError:
        return None
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, 2))", [f"history:{past.operation}"])
    rows = Action.objects.filter(
        _whose(past.scope, facts),
        COUNTS,
        operation=past.operation,
        environment=facts.environment,
        pk__gte=oldest_id(past.window_s),
        created_at__gte=Now() - timedelta(seconds=past.window_s),
    )
    if facts.action_id is not None:
        rows = rows.exclude(pk=facts.action_id)
    if call.name == "history.sum_minor":
        return int(rows.filter(currency=facts.currency).aggregate(sum=Sum("amount_minor"))["sum"] or 0)
    return int(rows.aggregate(count=Count("pk"))["count"])


def _whose(scope: HistoryScope, facts: Facts) -> Q:
    if scope is HistoryScope.UNIT:
        return Q(unit=facts.unit_id)
    if scope is HistoryScope.TARGET:
        return same_target(facts.target)
    if scope is HistoryScope.AGENT:
        return Q(agent__slug=facts.agent.slug) if facts.agent.slug else Q(agent=None, workflow=facts.run.workflow)
    return Q()


def oldest_id(window_s: int) -> UUID:
    """A lower bound for ids of that age, with a day to spare: ids begin with their time."""
    return UUID(int=max(int(time.time() * 1000) - (window_s + MARGIN_S) * 1000, 0) << 80)
