"""The figures that are no card: those of the period, and those of now, one line each."""

from dataclasses import dataclass, replace

from django.utils.translation import gettext as _

from apps.core.models import User
from apps.kpis.rules.definitions import CARDS, DEFINITIONS, Definition
from apps.kpis.rules.figures import Coverage, Figure, Status, value_text
from apps.kpis.rules.filters import KpiFilter
from apps.kpis.rules.formats import DASH, count_text, percent_text
from apps.kpis.rules.sentences import interval_text
from apps.kpis.selectors.drawings import page_of_kpi
from apps.kpis.selectors.kpis import Answer
from apps.kpis.selectors.live import Live
from apps.kpis.selectors.releases import release_figures_for
from apps.kpis.selectors.totals import Total


@dataclass(frozen=True, slots=True)
class FigureLine:
    """One figure in words; ``few``: too few values to compare it with anything; ``why_none``: why it has no value.

    ``coverage``: for how much of everything it speaks; empty where it counts all; ``note``: what there is to know of
    its value; ``target``: what it should be, and ``status`` how it stands to that.
    """

    key: str
    label: str
    formula: str
    text: str
    interval: str
    n: str
    few: bool
    why_none: str
    href: str
    coverage: str = ""
    note: str = ""
    target: str = ""
    status: Status | None = None


def other_lines_for(actor: User, answer: Answer) -> list[FigureLine]:
    """Every figure of the period but the cards."""
    keys = [key for key in DEFINITIONS if key not in CARDS]
    totals = [answer.totals[key] for key in keys] if actor.is_active else []
    return [
        replace(
            _line(answer.asked, one.figure),
            coverage=coverage_text(one.coverage),
            note=answer.goals.unapproved(one.figure, answer.asked.workflow),
            target="" if one.target is None else _aim_text(one, one.target.value),
            status=None if one.target is None else one.status,
        )
        for one in totals
    ]


def coverage_text(coverage: Coverage | None) -> str:
    """For how much of everything a figure speaks, in words; empty where it counts all or there is nothing."""
    if coverage is None or not coverage.whole:
        return ""
    share = percent_text(coverage.counted / coverage.whole)
    told = {"n": count_text(coverage.counted), "of": count_text(coverage.whole), "share": share}
    return _("%(n)s of %(of)s (%(share)s)") % told + f" {_(coverage.words)}"


def daily_text(definition: Definition, value: float | None, currency: str) -> str:
    """A value that is held against another: of what counts by the day, by the day."""
    text = value_text(definition, round(value, 1) if value is not None and definition.per_day else value, currency)
    return _("%(value)s a day") % {"value": text} if definition.per_day and value is not None else text


def _aim_text(one: Total, target: float) -> str:
    """A target; of what counts by the day with how many a day there were, or nobody sees why it is met or missed."""
    definition, currency = one.figure.definition, one.figure.currency
    text = daily_text(definition, target, currency)
    if not definition.per_day or one.daily is None:
        return text
    return _("%(target)s, it is %(now)s") % {"target": text, "now": daily_text(definition, one.daily, currency)}


def live_lines_for(actor: User, asked: KpiFilter, live: Live) -> list[FigureLine]:
    """Every figure of now."""
    return [_line(asked, figure) for figure in live.figures.values()] if actor.is_active else []


def release_lines_for(actor: User, asked: KpiFilter) -> list[FigureLine]:
    """Every figure of how versions come into force."""
    return [_line(asked, figure) for figure in release_figures_for(actor, asked).values()]


def release_csv_for(actor: User, asked: KpiFilter) -> list[list[str | float | None]]:
    """The same as raw numbers below lines that say what they are."""
    found = release_figures_for(actor, asked)
    head: list[list[str | float | None]] = [[f"# filter: {asked.query}"]]
    head += [[f"# {key}: {_(one.definition.formula)}"] for key, one in found.items()]
    return [*head, ["figure", "value", "n"], *([key, one.value, one.n] for key, one in found.items())]


def live_csv_for(actor: User, asked: KpiFilter, live: Live) -> list[list[str | float | None]]:
    """The figures of now as raw numbers below lines that say what they are."""
    if not actor.is_active:
        return []
    limits = {name: getattr(asked, name) for name in ("workflow", "unit", "agent", "version")}
    said = ", ".join(f"{name}={value}" for name, value in limits.items() if value)
    head: list[list[str | float | None]] = [[f"# filter: {said}"], [f"# as of: {live.as_of.isoformat()}"]]
    head += [[f"# {key}: {_(one.definition.formula)}"] for key, one in live.figures.items()]
    return [*head, ["figure", "value", "n"], *([key, one.value, one.n] for key, one in live.figures.items())]


def _line(asked: KpiFilter, figure: Figure) -> FigureLine:
    definition = figure.definition
    return FigureLine(
        key=definition.key,
        label=_(definition.label),
        formula=_(definition.formula),
        text=figure.text,
        interval=interval_text(figure) or DASH,
        n=count_text(figure.n),
        few=not figure.enough,
        why_none=_(figure.why_none) if figure.why_none else "",
        href=page_of_kpi(asked, definition.key) if figure.n else "",
    )
