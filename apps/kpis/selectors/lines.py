"""The lines of a dashboard: one for each workflow, with its verdict, and one for each version of a workflow."""

from dataclasses import dataclass, replace
from datetime import datetime

from django.urls import reverse
from django.utils.text import capfirst
from django.utils.translation import gettext as _

from apps.core.models import User
from apps.kpis.models.clock import reporting_currency
from apps.kpis.rules.definitions import CARDS, DEFINITIONS
from apps.kpis.rules.figures import Figure, Figures, figures_of
from apps.kpis.rules.filters import KpiFilter
from apps.kpis.rules.sentences import Verdict, criteria_sentence, interval_text, verdict_of
from apps.kpis.selectors.drawings import Cell, page_of_kpi, said, sampled_cell_of
from apps.kpis.selectors.kpis import Answer
from apps.kpis.selectors.reading import Row

type ByWorkflow = dict[str, tuple[Row, Row]]


@dataclass(frozen=True, slots=True)
class Line:
    """One workflow with its verdict and what it rests on."""

    name: str
    verdict: Verdict
    why: str
    figures: list[Cell]
    href: str


@dataclass(frozen=True, slots=True)
class Version:
    """One version of a workflow: since when its runs end, and how they do.

    ``simulated``: whether ``all`` or ``some`` of them were invented; else empty.
    """

    number: int
    since: datetime
    figures: list[tuple[Cell, str]]
    href: str
    simulated: str = ""


def said_slug(slug: str) -> str:
    """A slug as people read it."""
    return capfirst(slug.replace("-", " "))


LINED = ("savings_minor", "throughput", *CARDS[:2], *CARDS[3:])


def lines_of(answer: Answer, workflows: ByWorkflow, names: dict[str, str]) -> list[Line]:
    """One line for each workflow of which anything began or ended."""
    lines = []
    for slug, (_before, now) in workflows.items():
        figures: Figures = figures_of(now, reporting_currency())
        if not slug or not (now["closed"] or now["arrivals"]):
            continue
        verdict, why = verdict_of(figures)
        if note := answer.goals.unapproved(figures["savings_minor"], slug):
            why = replace(why, values={**why.values, "savings": f"{why.values['savings']} ({note})"})
        href = f"{reverse('kpis:dashboard', args=[slug])}?{replace(answer.asked, workflow='').query}"
        own = answer.asked.of_workflow(slug)
        shown = [_cell(figures[key], own) for key in LINED]
        shown[0] = replace(shown[0], note=note)
        lines.append(Line(names.get(slug, said_slug(slug)), verdict, said(why), shown, href))
    return lines


def verdict_criteria_for(actor: User) -> str:
    """What the verdicts of the lines go by."""
    return said(criteria_sentence()) if actor.is_active else ""


VERSIONED = ("throughput", "cycle_time_p50_s", "error_rate", "no_touch_rate", "rework_rate", "cost_per_success_minor")


def versions_of(answer: Answer) -> list[Version]:
    """The workflow's versions side by side: value, interval and sample of each figure, and where they lead."""
    reader, found = answer.reader, []
    since = reader.first_ends()
    invented = reader.invented_versions() if answer.asked.simulated else {}
    for number, row in reader.by_version(answer.asked.period).items():
        figures = figures_of(row, reporting_currency())
        own = replace(answer.asked, version=number)
        shown = [(_cell(figures[key], own), interval_text(figures[key])) for key in VERSIONED]
        href = f"{reverse('kpis:dashboard', args=[own.workflow])}?{replace(own, workflow='').query}"
        found.append(Version(number, since[number], shown, href, invented.get(number, "")))
    return found


def _cell(figure: Figure, asked: KpiFilter) -> Cell:
    return sampled_cell_of(figure, page_of_kpi(asked, figure.definition.key) if figure.value else "")


def version_heads_for(actor: User) -> list[str]:
    """The names of the columns of ``Version.figures``."""
    return [_(DEFINITIONS[key].label) for key in VERSIONED] if actor.is_active else []


def line_heads_for(actor: User) -> list[str]:
    """The names of the columns of ``Line.figures``."""
    return [_(DEFINITIONS[key].label) for key in LINED] if actor.is_active else []
