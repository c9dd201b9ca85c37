"""Figures agent by agent, and the page of one agent."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from django.db.models import CharField, Count, F, Func, QuerySet, Sum
from django.urls import reverse
from django.utils.translation import gettext as _

from apps.agents.models import Agent
from apps.core.errors import NotFoundError
from apps.core.gate import require, visible
from apps.core.models import User
from apps.kpis.models.clock import reporting_currency
from apps.kpis.models.measures import ACTION_MEASURES, MEMBERS, within
from apps.kpis.rules.definitions import DEFINITIONS
from apps.kpis.rules.figures import Figure, figure_of
from apps.kpis.rules.filters import KpiFilter
from apps.kpis.rules.formats import DASH, count_text, percent_text
from apps.kpis.rules.sentences import interval_text
from apps.kpis.selectors.drawings import Cell, Table, page_of_kpi, sampled_cell_of
from apps.kpis.selectors.names import sees_agent
from apps.kpis.selectors.reading import VIEW, actions_for, costs_for, runs_for
from apps.telemetry.selectors import coverage_for

OF_RUNS = ("throughput", "error_rate", "no_touch_rate", "escalation_rate")
OF_ACTIONS = ("accuracy", "missed_escalations")
FIGURES = (*OF_RUNS, *OF_ACTIONS, "spend_minor")
RUNS = ("succeeded", "wrong", "finished", "no_touch", "escalated")


class _Unnest(Func):
    function, output_field = "unnest", CharField()


@dataclass(frozen=True, slots=True)
class AgentSeen:
    """An agent as its dashboard names it; ``asked``, ``seen``: of its calls of tools, as far as they are kept."""

    slug: str
    name: str
    is_there: bool
    asked: int
    seen: int

    @property
    def ungoverned(self) -> str:
        """The share of its calls that the plane was not asked about."""
        return percent_text((self.seen - self.asked) / self.seen) if self.seen else DASH


def agent_seen_for(actor: User, slug: str) -> AgentSeen:
    """The agent of a dashboard. Raises NotFoundError for one of which ``actor`` sees nothing."""
    require(actor, VIEW)
    if not sees_agent(actor, slug):
        raise NotFoundError
    agent = Agent.objects.filter(slug=slug).first()
    coverage = coverage_for(actor, agent) if agent else None
    return AgentSeen(
        slug=slug,
        name=agent.name if agent else slug,
        is_there=visible(actor, "agents.view_agent", Agent.objects.filter(slug=slug)).exists(),
        asked=coverage.governed if coverage else 0,
        seen=coverage.seen if coverage else 0,
    )


def agent_table_for(actor: User, asked: KpiFilter) -> Table | None:
    """The figures of every agent that took part in the period; None where none did."""
    if not actor.is_active:
        return None
    found = _measures(actor, replace(asked, agent=""))
    names = dict(Agent.objects.filter(slug__in=found).values_list("slug", "name"))
    currency, rows = reporting_currency(), []
    for slug, measures in sorted(found.items(), key=lambda one: (-(one[1]["finished"] or 0), one[0])):
        own = replace(asked, agent=slug)
        figures = [figure_of(DEFINITIONS[key], measures, currency) for key in FIGURES]
        name = Cell(names.get(slug, slug), slug, agent_address(own))
        rows.append([name, *(_cell(one, own) for one in figures)])
    if not rows:
        return None
    return Table(
        slug="by-agent",
        title=_("By agent"),
        says=_(
            "A run counts for every agent that took part in it, so that these rows come to more than the whole. "
            "Accuracy and spend are of each agent's own actions and costs."
        ),
        columns=[_("Agent"), *(_(DEFINITIONS[key].label) for key in FIGURES)],
        rows=rows,
        last=[],
    )


def agent_address(asked: KpiFilter) -> str:
    """Where the dashboard of ``asked.agent`` is, with the rest of the filter."""
    return f"{reverse('kpis:agent', args=[asked.agent])}?{replace(asked, agent='', workflow='').query}"


def _cell(figure: Figure, asked: KpiFilter) -> Cell:
    return sampled_cell_of(figure, page_of_kpi(asked, figure.definition.key) if figure.value else "")


def _measures(actor: User, asked: KpiFilter) -> dict[str, dict[str, float | None]]:
    runs = runs_for(actor, asked).filter(within("finished_at", asked.period))
    actions = actions_for(actor, asked).filter(within("ended_at", asked.period))
    costs = costs_for(actor, asked).filter(within("incurred_at", asked.period))
    sources: tuple[tuple[QuerySet[Any], str, Mapping[str, Any]], ...] = (
        (runs.annotate(one=_Unnest(F("agents"))), "one", {name: Count("pk", filter=MEMBERS[name]) for name in RUNS}),
        (actions, "agent", ACTION_MEASURES),
        (costs, "agent", {"spend_micro": Sum("amount_micro"), "cost_items": Count("pk")}),
    )
    found: dict[str, dict[str, float | None]] = {}
    for rows, by, measures in sources:
        named = {f"m_{name}": one for name, one in measures.items()}
        for row in rows.order_by().values(by).annotate(**named):
            if row[by]:
                blank = dict.fromkeys((*RUNS, *ACTION_MEASURES, "spend_micro", "cost_items"), 0)
                found.setdefault(row[by], {**blank}).update({name: row[f"m_{name}"] for name in measures})
    return found


def agent_version_table_for(actor: User, asked: KpiFilter) -> Table | None:
    """What each version of ``asked.agent`` did in the period, and how right it was; None where none is known."""
    if not asked.agent:
        return None
    rows = actions_for(actor, asked).filter(within("ended_at", asked.period), agent_version__isnull=False)
    named = {f"m_{name}": one for name, one in ACTION_MEASURES.items()}
    by_version: QuerySet[Any] = rows.order_by("-agent_version")
    found: Iterable[dict[str, Any]] = by_version.values("agent_version").annotate(n=Count("pk"), **named)
    table = []
    for row in found:
        own = replace(asked, agent_version=row["agent_version"])
        measures = {name: row[f"m_{name}"] for name in ACTION_MEASURES}
        figures = [figure_of(DEFINITIONS[key], measures, reporting_currency()) for key in OF_ACTIONS]
        cells = [cell for one in figures for cell in (_cell(one, own), _interval(one))]
        table.append(
            [Cell(f"v{row['agent_version']}", row["agent_version"]), Cell(count_text(row["n"]), row["n"]), *cells]
        )
    if not table:
        return None
    heads = [head for key in OF_ACTIONS for head in (_(DEFINITIONS[key].label), _("95 % interval"))]
    return Table(
        slug="by-version",
        title=_("By version"),
        says=_("Actions that ended in the period, by the version that asked for them."),
        columns=[_("Version"), _("Actions"), *heads],
        rows=table,
        last=[],
    )


def _interval(figure: Figure) -> Cell:
    return Cell(interval_text(figure) or DASH, interval_text(figure))
