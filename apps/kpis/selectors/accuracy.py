"""How right agents' actions were: by capability, by operation and by agent."""

from dataclasses import dataclass, replace
from typing import Any

from django.db.models import Count, Q, QuerySet
from django.urls import reverse
from django.utils.translation import gettext as _

from apps.core.gate import require
from apps.core.models import User
from apps.kpis.models import ActionFact
from apps.kpis.models.measures import MEMBERS, within
from apps.kpis.rules.definitions import DEFINITIONS
from apps.kpis.rules.filters import KpiFilter
from apps.kpis.rules.formats import DASH, count_text, percent_text
from apps.kpis.rules.quality import Judged, Share
from apps.kpis.selectors.drawings import Cell, Table, page_of_kpi
from apps.kpis.selectors.parts import NO_CAPABILITY, part_names, require_part, within_part
from apps.kpis.selectors.reading import VIEW, actions_for

KPI = "accuracy"
WRONG = Q(decided=False) | Q(reviewed=False) | Q(read_back=False)
"""What any judgement found wrong: of what was judged, all that is not ``judged_right``."""
COUNTS: dict[str, Any] = {
    "judged": Count("action_id"),
    "right": Count("action_id", filter=MEMBERS["judged_right"]),
}


@dataclass(frozen=True, slots=True)
class AccuracyLine:
    """One capability, operation or agent: how many of its judged actions were right, and where these are listed.

    ``asked``: the question that limits lists to it.
    """

    name: str
    share: Share
    asked: KpiFilter

    @property
    def href(self) -> str:
        """Where those that were right are listed."""
        return page_of_kpi(self.asked, KPI)

    @property
    def wrong(self) -> int:
        """How many were not."""
        return self.share.whole - self.share.part


@dataclass(frozen=True, slots=True)
class Accuracy:
    """The judged actions of a period, taken apart in three ways; each adds up to the whole.

    ``capabilities``: none where no action was asked for in a task.
    """

    whole: AccuracyLine
    capabilities: list[AccuracyLine]
    operations: list[AccuracyLine]
    agents: list[AccuracyLine]


def accuracy_for(actor: User, asked: KpiFilter) -> Accuracy:
    """What was judged of what ended in the period, the most judged first."""
    require(actor, VIEW)
    rows = actions_for(actor, asked).filter(within("ended_at", asked.period)).filter(MEMBERS["judged"]).order_by()
    found = rows.aggregate(**COUNTS)
    whole = AccuracyLine("", Share(found["right"], found["judged"]), asked)
    return Accuracy(whole, _by_capability(rows, asked), _by("operation", rows, asked), _by("agent", rows, asked))


def judged_behind_for(actor: User, asked: KpiFilter, judged: Judged) -> QuerySet[ActionFact]:
    """The judged actions of the period that a number counts, of the capability that is asked for."""
    require(actor, VIEW)
    require_part(DEFINITIONS[KPI], asked)
    whole = asked if asked.part is None else replace(asked, operation="")  # as a part it is asked for below
    rows = actions_for(actor, whole).filter(within("ended_at", asked.period), MEMBERS["judged"])
    rows = within_part(rows, asked)
    return rows if judged == Judged.ALL else rows.filter(WRONG)


def judged_href(asked: KpiFilter, judged: Judged) -> str:
    """Where the actions of a number are listed."""
    return f"{reverse('kpis:oversight-behind', args=[judged])}?{asked.query}"


def accuracy_tables_for(actor: User, found: Accuracy) -> list[Table]:
    """The ways in which accuracy was taken apart, as tables, of what ``actor`` was given; none of nothing."""
    if not (actor.is_active and found.whole.share.whole):
        return []
    ways = (
        ("by-capability", _("By capability"), _("Capability"), found.capabilities),
        ("by-operation", _("By operation"), _("Operation"), found.operations),
        ("by-agent", _("By agent"), _("Agent"), found.agents),
    )
    return [
        Table(
            slug=slug,
            title=title,
            says="",
            columns=[head, _("Judged"), _("Right"), _("95 % interval"), _("Wrong")],
            rows=[[Cell(line.name, line.name), *_cells(line)] for line in lines],
            last=[Cell(_("Together"), None), *_cells(found.whole)],
        )
        for slug, title, head, lines in ways
        if lines
    ]


def share_cells(share: Share, href: str) -> list[Cell]:
    """A share with where its part is listed, grey and so said where it is of few, and its 95 % interval."""
    few = bool(share.whole) and not share.is_telling
    interval = DASH if share.interval is None else " – ".join(percent_text(end) for end in share.interval)
    value = Cell(
        percent_text(share.value),
        share.value,
        href if share.part else "",
        "0..1",
        few=few,
        note=_("few") if few else "",
    )
    return [value, Cell(interval, None if share.interval is None else interval)]


def _cells(line: AccuracyLine) -> list[Cell]:
    judged, wrong = line.share.whole, line.wrong
    return [
        Cell(count_text(judged), judged, judged_href(line.asked, Judged.ALL) if judged else ""),
        *share_cells(line.share, line.href),
        Cell(count_text(wrong), wrong, judged_href(line.asked, Judged.WRONG) if wrong else ""),
    ]


def _by(column: str, rows: QuerySet[ActionFact], asked: KpiFilter) -> list[AccuracyLine]:
    def own(name: str) -> KpiFilter:
        return replace(asked, agent=name) if column == "agent" else replace(asked, operation=name)

    return [AccuracyLine(name, share, own(name)) for name, share in _shares(column, rows)]


def _by_capability(rows: QuerySet[ActionFact], asked: KpiFilter) -> list[AccuracyLine]:
    found = _shares("capability", rows)
    if not any(name for name, _share in found):
        return []
    names = part_names()
    return [
        AccuracyLine(
            name or names[NO_CAPABILITY],
            share,
            replace(asked, part=("capability", name or NO_CAPABILITY)),
        )
        for name, share in found
    ]


def _shares(column: str, rows: QuerySet[ActionFact]) -> list[tuple[str, Share]]:
    found: QuerySet[Any, Any] = rows.values(column).annotate(**COUNTS).order_by("-judged", column)
    return [(row[column], Share(row["right"], row["judged"])) for row in found]
