"""The second sentence of a dashboard, each part with the list that it counts."""

from django.db.models import Count, Q, QuerySet

from apps.access.selectors import unit_ids_below
from apps.core.gate import holds, visible
from apps.core.models import User
from apps.kpis.models import RunFact
from apps.kpis.models.measures import within
from apps.kpis.rules.filters import KpiFilter
from apps.kpis.rules.risk import GOVERNED, RiskSeen, risk_parts
from apps.kpis.selectors.drawings import page_of_kpi, said
from apps.kpis.selectors.kpis import Answer
from apps.kpis.selectors.live import Live
from apps.kpis.selectors.reading import VIEW
from apps.telemetry.models import Span
from apps.telemetry.rules.tools import ToolCall

UNGOVERNED = "/tool-findings/"

type Part = tuple[str, str]
"""Words, and where their number is listed."""


def risk_parts_for(actor: User, answer: Answer, live: Live) -> list[Part]:
    """What went wrong in the period, was refused, was seen of tools, and how right agents are.

    Calls of tools lead to the tools used without asking, and nowhere for whoever may not look at agents.
    """
    figures = {key: answer.totals[key].figure for key in ("incidents", "denied", "accuracy")}
    governed, called = governed_for(actor, answer.asked)
    seen = RiskSeen(
        incidents=int(figures["incidents"].value or 0),
        unresolved=int(live.figures["incidents_open"].value or 0),
        denied=int(figures["denied"].value or 0),
        governed=governed,
        called=called,
        accuracy=figures["accuracy"],
    )
    limit = f"?agent={answer.asked.agent}&state=all" if answer.asked.agent else ""
    calls = f"{UNGOVERNED}{limit}" if holds(actor, "agents.view_agent") else ""
    return [
        (said(part), calls if part.kpi == GOVERNED else page_of_kpi(answer.asked, part.kpi))
        for part in risk_parts(seen)
    ]


def governed_for(actor: User, asked: KpiFilter) -> tuple[int, int]:
    """Calls of tools that ended in the period and have an action behind them, and all that are kept of it."""
    judged = [ToolCall.GOVERNED, ToolCall.UNGOVERNED]
    calls: QuerySet[Span] = visible(actor, VIEW, Span.objects.filter(tool_call__in=judged))
    calls = calls.filter(within("ended_at", asked.period)).order_by()
    if asked.agent:
        calls = calls.filter(agent__slug=asked.agent)
    if asked.unit:
        calls = calls.filter(agent__unit__in=unit_ids_below(asked.unit))
    if asked.workflow:
        runs = RunFact.objects.filter(workflow=asked.workflow)
        calls = calls.filter(run_id__in=runs.values("run_id"))
    if asked.version is not None:
        calls = calls.filter(run_id__in=RunFact.objects.filter(version=asked.version).values("run_id"))
    found = calls.aggregate(governed=Count("pk", filter=Q(tool_call=ToolCall.GOVERNED)), called=Count("pk"))
    return found["governed"], found["called"]
