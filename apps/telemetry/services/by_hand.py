"""Linking by hand what no trace, attribute or conversation links."""

from datetime import timedelta

from django.db import transaction
from django.utils.translation import gettext as _

from apps.audit.services import record, recorded_together
from apps.core.errors import ConflictError, InvalidError, NotFoundError
from apps.core.gate import require, require_human
from apps.core.models import User, database_now
from apps.telemetry.models import Span
from apps.telemetry.rules.links import NOTHING, LinkedBy
from apps.telemetry.rules.tools import ToolCall
from apps.telemetry.selectors import LATE_DAYS, work_for
from apps.telemetry.services.erasing import blank_erased
from apps.telemetry.services.linking import Works, link_of
from apps.telemetry.services.settling import count_usage, one_at_a_time
from apps.workflows.models import Run


@transaction.atomic
def link_by_hand(actor: User, *, span: Span, run: Run, reason: str) -> int:
    """Say that a trace belongs to a run of its agent: all of its spans that belong to nothing; how many.

    ``span``: one of them, and ``run``, as ``actor`` sees them. What they used counts from now on, and calls of tools
    without an action are judged again. Raises NotAllowedError for whoever may not mend the run, InvalidError for a run
    in which the agent had no part, ConflictError for what is linked or too old.
    """
    require_human(actor)
    require(actor, "workflows.operate_run", run)
    if not reason.strip():
        raise InvalidError(errors={"reason": [_("Say why.")]})
    agent = span.agent
    one_at_a_time(agent)
    try:
        work_for(agent.user, run_id=run.pk)
    except NotFoundError as error:
        raise InvalidError(errors={"run": [_("This agent had no part in that run.")]}) from error
    rows = list(Span.objects.filter(agent=agent, trace_id=span.trace_id).defer("attributes").order_by("started_at"))
    oldest = database_now() - timedelta(days=LATE_DAYS)
    late = [row for row in rows if link_of(row) == NOTHING and row.created_at > oldest]
    if span.pk not in {row.pk for row in late}:
        raise ConflictError(_("It belongs to something already, or came more than seven days ago."))
    for row in late:
        row.run_id, row.linked_by = run.pk, LinkedBy.HAND
        if row.tool_call == ToolCall.UNGOVERNED:
            row.tool_call = ToolCall.OPEN
    Span.objects.bulk_update(late, ["run_id", "linked_by", "tool_call"], batch_size=1000)
    with recorded_together():
        count_usage(actor, agent, [rows], Works(agent.user))
        told = {"agent": agent.slug, "trace": span.trace_id, "spans": len(late), "reason": reason.strip()}
        record(actor, run, "run.spans_linked", payload=told)
    blank_erased([span.trace_id])
    return len(late)
