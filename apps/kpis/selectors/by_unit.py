"""Figures unit by unit: each with everything below it, so that those at the top come to the whole."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any
from uuid import UUID

from django.urls import reverse
from django.utils.translation import gettext as _

from apps.access.models import BusinessUnit
from apps.core.gate import visible
from apps.core.models import User
from apps.kpis.models.clock import reporting_currency
from apps.kpis.rules.definitions import DEFINITIONS, with_totals
from apps.kpis.rules.figures import Figure, figures_of
from apps.kpis.rules.filters import KpiFilter
from apps.kpis.selectors.drawings import OVERVIEW, Cell, Table, page_of_kpi, sampled_cell_of
from apps.kpis.selectors.kpis import Answer
from apps.kpis.selectors.reading import VIEW, Row, added

FIGURES = (
    "throughput",
    "failed",
    "cancelled",
    "error_rate",
    "sla_adherence",
    "no_touch_rate",
    "cost_per_success_minor",
    "spend_minor",
)
INDENT = "› "


@dataclass(frozen=True, slots=True)
class _Unit:
    """A unit that the reader sees, and those below it."""

    pk: UUID
    slug: str
    name: str
    depth: int
    below: list[UUID]


def unit_table_for(actor: User, answer: Answer) -> Table | None:
    """The figures of every unit in which something happened; None where there are no two of them."""
    if not actor.is_active:
        return None
    asked, reader = answer.asked, answer.reader
    sums = {pk: row for (_at, pk), row in reader.sums([asked.period], "unit").items()}
    units = list(_tree(actor, asked.unit))
    known = {unit.pk for unit in units}
    rows = []
    for unit in units:
        within = [unit.pk, *unit.below]
        if found := _figures(within, sums):
            name = Cell(f"{INDENT * unit.depth}{unit.name}", unit.slug, _address(asked, unit.slug))
            rows.append([name, *_cells(found, replace(asked, unit=unit.slug))])
    rest = [pk for pk in sums if pk not in known]
    if found := _figures(rest, sums):
        rows.append([Cell(_("No unit"), ""), *_cells(found, None)])
    if len(rows) <= 1:
        return None
    whole = {key: answer.totals[key].figure for key in FIGURES}
    return Table(
        slug="by-unit",
        title=_("By unit"),
        says=_("Each unit with everything below it, so that a unit's row holds those that are set in below it."),
        columns=[_("Unit"), *(_(DEFINITIONS[key].label) for key in FIGURES)],
        rows=rows,
        last=[Cell(_("Together"), None), *_cells(whole, None)],
    )


def _tree(actor: User, top: str) -> Iterator[_Unit]:
    """The units that ``actor`` may count, each before those below it; of all, or from ``top`` on."""
    rows = visible(actor, VIEW, BusinessUnit.objects.all()).order_by("name")
    units = {pk: (parent, slug, name) for pk, parent, slug, name in rows.values_list("id", "parent_id", "slug", "name")}
    children: dict[UUID | None, list[UUID]] = {}
    for pk, (parent, _slug, _name) in units.items():
        children.setdefault(parent if parent in units else None, []).append(pk)

    def below(pk: UUID) -> list[UUID]:
        return [found for child in children.get(pk, ()) for found in (child, *below(child))]

    def walk(pk: UUID, depth: int) -> Iterator[_Unit]:
        yield _Unit(pk, units[pk][1], units[pk][2], depth, below(pk))
        for child in children.get(pk, ()):
            yield from walk(child, depth + 1)

    tops = [pk for pk, (_parent, slug, _name) in units.items() if slug == top] if top else children.get(None, [])
    for pk in tops:
        yield from walk(pk, 0)


def _figures(units: Sequence[UUID | None], sums: Mapping[Any, Mapping[str, Any]]) -> Mapping[str, Figure]:
    """The figures of some units together; nothing where nothing happened in them."""
    row: Row = with_totals(added([sums[pk] for pk in units if pk in sums]))
    if not any(row[name] for name in ("closed", "arrivals", "cost_items", "decided", "judged")):
        return {}
    return figures_of(row, reporting_currency())


def _cells(figures: Mapping[str, Figure], asked: KpiFilter | None) -> list[Cell]:
    return [
        sampled_cell_of(figures[key], page_of_kpi(asked, key) if asked and figures[key].value else "")
        for key in FIGURES
    ]


def _address(asked: KpiFilter, unit: str) -> str:
    name, slug = ("kpis:agent", asked.agent) if asked.agent else ("kpis:dashboard", asked.workflow or OVERVIEW)
    return f"{reverse(name, args=[slug])}?{replace(asked, unit=unit, workflow='').query}"
