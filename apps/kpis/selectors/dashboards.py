"""A dashboard: three sentences, seven cards, its charts, one line per workflow. All from one answer."""

from dataclasses import dataclass, field, replace
from urllib.parse import urlencode

from django.urls import reverse
from django.utils.translation import gettext as _

from apps.access.models import BusinessUnit
from apps.agents.models import Agent
from apps.core.errors import NotFoundError
from apps.core.gate import visible
from apps.core.models import User
from apps.kpis.models.clock import reporting_currency
from apps.kpis.rules.buckets import next_period, previous_period
from apps.kpis.rules.changes import Change, marks_of
from apps.kpis.rules.definitions import CARDS
from apps.kpis.rules.figures import (
    figures_of,
)
from apps.kpis.rules.filters import KpiFilter
from apps.kpis.rules.sentences import (
    Compared,
    Sentence,
    attention_sentence,
    value_sentence,
)
from apps.kpis.selectors.by_unit import unit_table_for
from apps.kpis.selectors.cards import Card, card_of, own_card_of
from apps.kpis.selectors.changes import changes_for
from apps.kpis.selectors.courses import courses_for
from apps.kpis.selectors.drawings import OVERVIEW, Drawing, Table, page_of_kpi, said
from apps.kpis.selectors.goals import savings_note_of, waiting_note_of
from apps.kpis.selectors.kpis import (
    Answer,
    busiest_share_for,
    holds_simulated_for,
    kpis_for,
    unpriced_for,
    workflow_rows_for,
)
from apps.kpis.selectors.lines import ByWorkflow, Line, Version, lines_of, said_slug, versions_of
from apps.kpis.selectors.live import Live, live_for
from apps.kpis.selectors.main_charts import drawings_for
from apps.kpis.selectors.places import Places, places_for, workflows_seen_for
from apps.kpis.selectors.reading import VIEW
from apps.kpis.selectors.risk import Part, risk_parts_for
from apps.workflows.models import Workflow

WEEKLY = "/reports/weekly/"
WATCHED = ("cycle_time_p50_s", "approval_latency_p50_s", "error_rate", "sla_adherence", "escalation_rate")
"""What the third sentence looks at, workflow by workflow."""


@dataclass(frozen=True, slots=True)
class Opening:
    """One of the three opening sentences.

    ``parts``: its text, each part with where it leads; empty for one that leads to one place.
    """

    name: str
    text: str
    href: str
    note: str = ""
    brief: str = ""
    parts: tuple[Part, ...] = ()


@dataclass(frozen=True, slots=True)
class Dashboard:
    """Everything on the page."""

    slug: str
    title: str
    answer: Answer
    live: Live
    sentences: list[Opening]
    cards: list[Card]
    drawings: list[Drawing]
    changes: list[tuple[int | None, Change]]
    lines: list[Line]
    tables: list[Table]
    limits: list[str]
    versions: list[Version]
    places: Places
    units: list[tuple[str, str]]
    agents: list[tuple[str, str]]
    earlier: str
    later: str
    simulated: bool
    unpriced: int
    baselined: bool
    links: dict[str, str] = field(default_factory=dict)


def dashboard_for(actor: User, slug: str, asked: KpiFilter) -> Dashboard:
    """The overview, or one workflow's page. Raises NotFoundError for a workflow of which ``actor`` sees no run."""
    seen = workflows_seen_for(actor)
    names = seen.names
    if slug != OVERVIEW:
        if slug not in names:
            raise NotFoundError
        asked = asked.of_workflow(slug)
    answer, live = kpis_for(actor, asked), live_for(actor, asked)
    workflows = workflow_rows_for(actor, answer)
    here = reverse("kpis:dashboard", args=[slug])
    changes = changes_for(actor, asked)
    units, agents = units_for(actor), agent_choices_for(actor)
    by_unit, courses = unit_table_for(actor, answer), courses_for(actor, answer)
    return Dashboard(
        slug=slug,
        title=_("Overview") if slug == OVERVIEW else names[slug],
        answer=answer,
        live=live,
        sentences=_sentences(actor, answer, live, workflows, names),
        cards=[*(card_of(answer, key) for key in CARDS), *(own_card_of(answer, course) for course in courses)],
        drawings=drawings_for(actor, answer, changes, courses),
        changes=numbered_of(answer, changes),
        lines=[] if slug != OVERVIEW else lines_of(answer, workflows, names),
        tables=[by_unit] if by_unit else [],
        limits=limits_of(asked, units, agents),
        versions=[] if slug == OVERVIEW else versions_of(answer),
        places=places_for(actor, slug, asked, seen),
        units=units,
        agents=agents,
        earlier=f"{here}?{asked.within(previous_period(asked.period, asked.zone)).query}",
        later=f"{here}?{asked.within(next_period(asked.period, asked.zone)).query}" if _is_past(answer) else "",
        simulated=holds_simulated_for(actor, answer.asked, answer.reader),
        unpriced=unpriced_for(actor, answer),
        baselined=any(one.baseline for one in (*answer.totals.values(), *(one.own.total for one in courses))),
        links={
            "csv": f"{reverse('kpis:csv', args=[slug, 'kpis'])}?{asked.query}",
            "api": f"{reverse('kpis-api:kpis')}?{asked.query}",
            "weekly": f"{WEEKLY}{f'?{urlencode({"unit": asked.unit})}' if asked.unit else ''}",
        },
    )


def numbered_of(answer: Answer, changes: list[Change]) -> list[tuple[int | None, Change]]:
    """Each change with the number of its mark in the charts; None where it has none."""
    marks = marks_of([point.bucket for point in answer.series], changes)
    numbers = {id(change): mark.number for mark in marks for change in mark.changes}
    return [(numbers.get(id(change)), change) for change in changes]


def workflows_for(actor: User) -> dict[str, str]:
    """Slug and name of every workflow of which ``actor`` may count runs, or which is there in their units."""
    return workflows_seen_for(actor).names


def workflow_name_for(actor: User, slug: str) -> str:
    """What a workflow of which ``actor`` sees a run is called."""
    found = Workflow.objects.filter(slug=slug).values_list("name", flat=True).first() if actor.is_active else None
    return found or said_slug(slug)


def units_for(actor: User) -> list[tuple[str, str]]:
    """Slug and name of every unit in which ``actor`` may see figures."""
    return list(visible(actor, VIEW, BusinessUnit.objects.all()).order_by("name").values_list("slug", "name"))


def agent_choices_for(actor: User) -> list[tuple[str, str]]:
    """Slug and name of every agent of a unit in which ``actor`` may see figures."""
    return list(visible(actor, VIEW, Agent.objects.all()).order_by("name").values_list("slug", "name"))


def limits_of(asked: KpiFilter, units: list[tuple[str, str]], agents: list[tuple[str, str]]) -> list[str]:
    """What a page's figures are limited to beside its workflow and period, in words."""
    agent = dict(agents).get(asked.agent, asked.agent)
    told = (
        (_("Unit: %(name)s"), dict(units).get(asked.unit, asked.unit)),
        (_("Agent: %(name)s"), f"{agent} v{asked.agent_version}" if asked.agent_version else agent),
        (_("Version: %(name)s"), asked.version),
        (_("Operation: %(name)s"), asked.operation),
    )
    return [words % {"name": value} for words, value in told if value]


def _is_past(answer: Answer) -> bool:
    return answer.asked.period.end <= answer.as_of


def _sentences(actor: User, answer: Answer, live: Live, workflows: ByWorkflow, names: dict[str, str]) -> list[Opening]:
    figures = {key: total.figure for key, total in answer.totals.items()}
    helped = figures["helped"].value or 0
    value = value_sentence(figures["no_touch_rate"], helped, figures["savings_minor"], figures["time_saved_s"].value)
    share, decided = busiest_share_for(actor, answer)
    attention = attention_sentence(_compared(workflows, names), share, decided)
    parts = tuple(risk_parts_for(actor, answer, live))
    risk = Opening(_("Risk"), f"{'; '.join(text for text, _href in parts)}.", "", parts=parts)
    closed = [slug for slug, (_past, now) in workflows.items() if now["closed"]]
    first, last = (
        Opening(name, said(sentence), _href(answer.asked, sentence))
        for name, sentence in ((_("Value"), value), (_("Attention"), attention))
    )
    waits = waiting_note_of(answer.goals, answer.asked.workflow)
    last = replace(last, note=waits, brief=waits)
    if figures["savings_minor"].value is None:
        return [first, risk, last]
    brief = savings_note_of(answer.goals, closed, in_words=False)
    return [replace(first, note=savings_note_of(answer.goals, closed), brief=brief), risk, last]


def _href(asked: KpiFilter, sentence: Sentence) -> str:
    if not sentence.kpi:
        return ""
    return page_of_kpi(asked.of_workflow(sentence.workflow) if sentence.workflow else asked, sentence.kpi)


def _compared(workflows: ByWorkflow, names: dict[str, str]) -> list[Compared]:
    found = []
    for slug, (before, now) in workflows.items():
        was, this = (figures_of(row, reporting_currency()) for row in (before, now))
        found += [
            Compared(workflow=slug, name=names.get(slug, said_slug(slug)), now=this[key], was=was[key])
            for key in WATCHED
            if slug
        ]
    return found
