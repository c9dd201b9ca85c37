"""The page on cost: what was spent and on what, what a run that succeeded cost, and what has no price."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from django.urls import reverse
from django.utils.translation import gettext as _

from apps.core.models import User
from apps.kpis import charts
from apps.kpis.charts import SERIES, Series
from apps.kpis.models.clock import reporting_currency
from apps.kpis.rules.buckets import next_period, previous_period
from apps.kpis.rules.changes import Change, marks_of
from apps.kpis.rules.costs import CostKind
from apps.kpis.rules.definitions import DEFINITIONS
from apps.kpis.rules.figures import figures_of
from apps.kpis.rules.filters import KpiFilter
from apps.kpis.rules.formats import DASH, count_text, heads_of, micro_per_minor, money_text, percent_text, signed
from apps.kpis.rules.spending import CostPart, CostSum
from apps.kpis.selectors.cards import Card, card_of
from apps.kpis.selectors.changes import changes_for
from apps.kpis.selectors.dashboards import (
    agent_choices_for,
    numbered_of,
    units_for,
    workflows_for,
)
from apps.kpis.selectors.drawings import (
    COST,
    OVERVIEW,
    Cell,
    Drawing,
    Table,
    csv_head_of,
    label_of,
    marked_of,
    page_of_kpi,
)
from apps.kpis.selectors.kpis import Answer, Point, holds_simulated_for, kpis_for
from apps.kpis.selectors.main_charts import cost_drawing_of
from apps.kpis.selectors.places import Places, places_for, workflows_seen_for
from apps.kpis.selectors.spending import Moved, Spending, moved_for, spending_for, told_for

CARDS = ("spend_minor", "cost_per_success_minor", "cost_per_finished_minor", "savings_minor", "roi")
UNIT = 10**6

type Raw = list[list[str | float | None]]


@dataclass(frozen=True, slots=True)
class CostPage:
    """Everything on the page but the budgets."""

    slug: str
    title: str
    answer: Answer
    cards: list[Card]
    drawings: list[Drawing]
    tables: list[Table]
    moved: list[tuple[Moved, str]]
    changes: list[tuple[int | None, Change]]
    places: Places
    units: list[tuple[str, str]]
    agents: list[tuple[str, str]]
    workflows: list[tuple[str, str]]
    earlier: str
    later: str
    simulated: bool
    unpriced: int
    unpriced_href: str
    items: int
    links: dict[str, str]


def kind_names() -> dict[str, str]:
    """Who was paid, in the reader's language, in the order of the chart."""
    return {
        CostKind.HUMAN: _("People's time"),
        CostKind.LLM: _("Models"),
        CostKind.CONNECTOR: _("Connectors"),
        CostKind.AGENT: _("Agents"),
    }


def cost_page_for(actor: User, asked: KpiFilter) -> CostPage:
    """What was spent in the period, as far as ``actor`` may count it."""
    answer = kpis_for(actor, asked, durations=())
    seen, spending = workflows_seen_for(actor), spending_for(actor, answer)
    names = seen.names
    changes = changes_for(actor, asked)
    marks = marks_of([point.bucket for point in answer.series], changes)
    whole = _whole(spending)
    here = reverse("kpis:cost")
    is_past = asked.period.end <= answer.as_of
    return CostPage(
        slug=COST,
        title=_("Cost"),
        answer=answer,
        cards=[card_of(answer, key) for key in CARDS],
        drawings=[marked_of(one, marks, answer) for one in (_by_kind(answer, spending), cost_drawing_of(answer))],
        tables=tables_for(actor, answer, spending, names),
        moved=[(one, _moved_href(asked, one.currency)) for one in moved_for(actor, asked)],
        changes=numbered_of(answer, changes),
        places=places_for(actor, COST, asked, seen),
        units=units_for(actor),
        agents=agent_choices_for(actor),
        workflows=list(names.items()),
        earlier=f"{here}?{asked.within(previous_period(asked.period, asked.zone)).query}",
        later=f"{here}?{asked.within(next_period(asked.period, asked.zone)).query}" if is_past else "",
        simulated=holds_simulated_for(actor, answer.asked, answer.reader),
        unpriced=whole.unpriced,
        unpriced_href=costs_href(asked, CostPart(unpriced=True)),
        items=whole.items,
        links={
            "csv": f"{reverse('kpis:csv', args=[OVERVIEW, 'kpis'])}?{asked.query}",
            "api": f"{reverse('kpis-api:kpis')}?{asked.query}",
        },
    )


def cost_file_for(actor: User, asked: KpiFilter, figure: str) -> Raw | None:
    """A chart's or a table's rows as raw numbers, below lines that say what they are; None where there is no such."""
    answer = kpis_for(actor, asked, durations=())
    spending = spending_for(actor, answer)
    marks = marks_of([point.bucket for point in answer.series], changes_for(actor, asked))
    drawn = [marked_of(one, marks, answer) for one in (_by_kind(answer, spending), cost_drawing_of(answer))]
    known: list[Drawing | Table] = [*drawn, *tables_for(actor, answer, spending, workflows_for(actor))]
    for one in known:
        if one.slug == figure:
            definition = one.definition if isinstance(one, Drawing) else DEFINITIONS["spend_minor"]
            head: Raw = [*csv_head_of(answer), [f"# {_(definition.label)}: {_(definition.formula)}"]]
            return [*head, heads_of(one.columns, one.rows), *([cell.raw for cell in row] for row in one.rows)]
    return None


def costs_href(asked: KpiFilter, part: CostPart) -> str:
    """Where the costs of a part are listed."""
    return f"{reverse('kpis:cost-behind', args=['costs'])}?{asked.query}&{part.query}".rstrip("&")


def _moved_href(asked: KpiFilter, currency: str) -> str:
    return f"{reverse('kpis:cost-behind', args=['money'])}?{asked.query}&of_currency={currency}"


def _whole(spending: Spending) -> CostSum:
    return sum(spending.cells.values(), CostSum())


def _minor(micro: int) -> float:
    return round(micro / micro_per_minor(reporting_currency()), 4)


def _money(one: CostSum, href: str) -> Cell:
    """A sum that leads to its costs. What has no price alone is no 0: a dash, nothing in the file."""
    currency = reporting_currency()
    if one.items == one.unpriced:
        return Cell(DASH if one.items else money_text(0, currency), None if one.items else 0, unit=currency)
    return Cell(money_text(_minor(one.micro), currency), round(one.micro / UNIT, 6), href, currency)


def _height(one: CostSum) -> float | None:
    """The height of a bar; none where nothing has a price, which is no 0."""
    return round(one.micro / UNIT, 4) if one.items > one.unpriced or not one.items else None


def _unpriced(one: CostSum, href: str) -> Cell:
    return Cell(count_text(one.unpriced), one.unpriced, href if one.unpriced else "")


def _by_kind(answer: Answer, spending: Spending) -> Drawing:
    asked, currency, names = answer.asked, reporting_currency(), kind_names()
    whole = spending.by("kind")

    def href(point: Point, kind: str = "", *, unpriced: bool = False) -> str:
        return costs_href(asked.within(point.bucket), CostPart({"kind": kind} if kind else {}, unpriced))

    rows = list(zip(answer.series, spending.by_bucket, strict=True))
    stacks = [
        Series(
            name,
            [_height(found.get(kind, CostSum())) for _point, found in rows],
            SERIES[at],
            links=[href(point, kind) for point, _found in rows],
        )
        for at, (kind, name) in enumerate(names.items())
        if (kind,) in whole
    ]
    table = []
    for point, found in rows:
        every = sum(found.values(), CostSum())
        parts = [_money(found.get(kind, CostSum()), href(point, kind)) for kind in names]
        cells = [_money(every, href(point)), *parts, _unpriced(every, href(point, unpriced=True))]
        table.append([label_of(point), *cells])
    chart = charts.stacked([point.bucket.label for point in answer.series], stacks, y_title=currency)
    return Drawing(
        slug="by-kind",
        title=_("Spend by kind"),
        definition=DEFINITIONS["spend_minor"],
        finding=_finding(spending, names),
        chart=charts.hatched(chart, [point.partial for point in answer.series]),
        columns=(_("From"), _("Spend"), *names.values(), _("Without a price")),
        rows=table,
        href=page_of_kpi(asked, "spend_minor"),
    )


def _finding(spending: Spending, names: Mapping[str, str]) -> str:
    whole = _whole(spending)
    if not whole.items:
        return _("No cost was recorded in this period.")
    if not whole.micro:
        return _("Nothing that was recorded in this period has a price.")
    ((kind,), most) = next(iter(spending.by("kind").items()))
    words = {
        "total": money_text(_minor(whole.micro), reporting_currency()),
        "share": percent_text(most.micro / whole.micro),
        "kind": names[kind],
    }
    return _("%(total)s, most of it for: %(kind)s, %(share)s.") % words


def tables_for(actor: User, answer: Answer, spending: Spending, names: Mapping[str, str]) -> list[Table]:
    """The spend by workflow, agent and model, and what has no price; the last only where there is some."""
    if not actor.is_active:
        return []
    found = [_by_workflow(answer, spending, names), _by_agent(answer, spending), _by_model(answer, spending)]
    return [one for one in (*found, _told(actor, answer), _without_price(answer, spending)) if one.rows]


def _kind_cells(asked: KpiFilter, spending: Spending, column: str, value: str) -> list[Cell]:
    """The sums of one row: all of it, by kind, and what has no price."""
    by_kind, cells, every = spending.by(column, "kind"), [], CostSum()
    for kind in kind_names():
        one = by_kind.get((value, kind), CostSum())
        every += one
        cells.append(_money(one, costs_href(asked, CostPart({column: value, "kind": kind}))))
    all_of_it = _money(every, costs_href(asked, CostPart({column: value})))
    none = _unpriced(every, costs_href(asked, CostPart({column: value}, unpriced=True)))
    return [all_of_it, *cells, none]


def _last(answer: Answer, sums: Sequence[CostSum], more: Sequence[Cell] = ()) -> list[Cell]:
    every = sum(sums, CostSum())
    kinds = [_money(one, "") for one in sums]
    return [Cell(_("Together"), None), _money(every, ""), *kinds, _unpriced(every, ""), *more]


def _kinds(spending: Spending) -> list[CostSum]:
    by_kind = spending.by("kind")
    return [by_kind.get((kind,), CostSum()) for kind in kind_names()]


def _by_workflow(answer: Answer, spending: Spending, names: Mapping[str, str]) -> Table:
    each = DEFINITIONS["cost_per_success_minor"].key
    rows = []
    for (slug,) in spending.by("workflow"):
        name = Cell(names.get(slug, slug) or _("Without a workflow"), slug)
        figure = figures_of(answer.workflows[slug], reporting_currency())[each] if slug in answer.workflows else None
        value = None if figure is None or not slug else figure.value
        text = money_text(value, reporting_currency())
        href = page_of_kpi(answer.asked.of_workflow(slug), each) if value is not None else ""
        runs = 0 if figure is None else figure.n
        more = [Cell(count_text(runs), runs), Cell(text, _in_units(value), href, reporting_currency())]
        rows.append([name, *_kind_cells(answer.asked, spending, "workflow", slug), *more])
    total = answer.totals[each].figure
    last = [Cell(count_text(total.n), total.n), Cell(total.text, _in_units(total.value))]
    return Table(
        slug="by-workflow",
        title=_("By workflow"),
        says=_(
            "Spend is every cost of the period, runs that are still going included. The last two columns are about the "
            "runs that ended in it: what all of them cost from their start, failed and cancelled ones too, by the run "
            "that succeeded."
        ),
        columns=[_("Workflow"), *_kind_heads(), _("Runs that succeeded"), _("Cost per run that succeeded")],
        rows=rows,
        last=_last(answer, _kinds(spending), last),
    )


def _in_units(minor: float | None) -> float | None:
    """An amount as files have it."""
    return None if minor is None else round(minor * micro_per_minor(reporting_currency()) / UNIT, 6)


def _kind_heads() -> list[str]:
    return [_("Spend"), *kind_names().values(), _("Without a price")]


def _by_agent(answer: Answer, spending: Spending) -> Table:
    rows = [
        [Cell(slug or _("No agent"), slug), *_kind_cells(answer.asked, spending, "agent", slug)]
        for (slug,) in spending.by("agent")
    ]
    return Table(
        slug="by-agent",
        title=_("By agent"),
        says=_("No agent: people's time, and what a workflow's steps caused by themselves."),
        columns=[_("Agent"), *_kind_heads()],
        rows=rows,
        last=_last(answer, _kinds(spending)),
    )


def _by_model(answer: Answer, spending: Spending) -> Table:
    found = {model: one for (kind, model), one in spending.by("kind", "model").items() if kind == CostKind.LLM}
    rows = []
    for model, one in found.items():
        part: dict[str, str] = {"kind": CostKind.LLM, "model": model}
        money = _money(one, costs_href(answer.asked, CostPart(part)))
        none = _unpriced(one, costs_href(answer.asked, CostPart(part, unpriced=True)))
        rows.append([Cell(model or _("No model named"), model), money, *_counts(one), none])
    every = sum(found.values(), CostSum())
    last = [_money(every, ""), *_counts(every), _unpriced(every, "")]
    return Table(
        slug="by-model",
        title=_("By model"),
        says=_("What agents reported that they used, priced by the price book."),
        columns=[_("Model"), _("Spend"), _("Calls"), _("Tokens"), _("Of these reasoning"), _("Without a price")],
        rows=rows,
        last=[Cell(_("Together"), None), *last],
    )


def _counts(one: CostSum) -> list[Cell]:
    return [Cell(count_text(count), count) for count in (one.items, one.quantity, one.reasoning)]


def _told(actor: User, answer: Answer) -> Table:
    rows = []
    for one in told_for(actor, answer.asked):
        minor = micro_per_minor(one.currency)
        ours = None if one.ours_micro is None else round(one.ours_micro / UNIT, 6)
        against = None if one.against_micro is None else round(one.against_micro / UNIT, 6)
        held = [
            Cell(DASH if micro is None else money_text(micro / minor, one.currency), value)
            for micro, value in ((one.against_micro, against), (one.ours_micro, ours))
        ]
        apart = DASH if one.apart is None else signed(percent_text(one.apart), one.apart)
        rows.append(
            [
                Cell(one.model or _("No model named"), one.model),
                Cell(one.currency, one.currency),
                Cell(count_text(one.calls), one.calls),
                Cell(money_text(one.micro / minor, one.currency), round(one.micro / UNIT, 6)),
                *held,
                Cell(apart, one.apart),
            ]
        )
    return Table(
        slug="told",
        title=_("What agents say their models cost"),
        says=_(
            "Their own word, in the currency that they name; in no sum of this page where the price book knows the "
            "model. Held against ours are the calls that the book priced, in its currency."
        ),
        columns=[
            _("Model"),
            _("Currency"),
            _("Calls"),
            _("Told"),
            _("Told of what the book priced"),
            _("Ours"),
            _("Apart"),
        ],
        rows=rows,
        last=[],
    )


def _without_price(answer: Answer, spending: Spending) -> Table:
    names, rows = kind_names(), []
    found = {key: one for key, one in spending.by("kind", "model").items() if one.unpriced}
    abroad = _("In another currency than %(currency)s, and no rate of exchange held") % {
        "currency": reporting_currency()
    }
    for (kind, model), one in found.items():
        is_model = kind == CostKind.LLM
        part = CostPart({"kind": kind, "model": model}, unpriced=True)
        why = _("The price book has no price for it, and what was reported no rate of exchange") if is_model else abroad
        named = f"{names[kind]}: {model}" if model else names[kind]
        count = Cell(count_text(one.unpriced), one.unpriced, costs_href(answer.asked, part))
        rows.append([Cell(named, named), count, Cell(why, why)])
    every = sum(one.unpriced for one in found.values())
    return Table(
        slug="without-a-price",
        title=_("Without a price"),
        says=_("These are in no sum of this page: all of them are that much too low, and savings too high."),
        columns=[_("What"), _("Costs"), _("Why")],
        rows=rows,
        last=[Cell(_("Together"), None), Cell(count_text(every), every), Cell("", None)],
    )
