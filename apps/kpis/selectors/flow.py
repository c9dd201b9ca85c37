"""Cumulative flow: what began and what ended, added up bucket by bucket, and the backlog between them."""

from dataclasses import dataclass
from itertools import accumulate

from django.utils.translation import gettext as _

from apps.core.models import User
from apps.kpis.rules.formats import count_text
from apps.kpis.selectors.drawings import Cell, Table, label_of, value_column
from apps.kpis.selectors.kpis import Answer

ENDS = (("throughput", "succeeded"), ("failed", "failed"), ("cancelled", "cancelled"))
WIDTH, HEIGHT, EDGE = 100, 36, 2


@dataclass(frozen=True, slots=True)
class Flow:
    """Both lines as points of a drawing 100 x 36, what lies between them, and the same as a table."""

    finding: str
    starts: str
    ends: str
    between: str
    table: Table


def flow_for(actor: User, answer: Answer) -> Flow | None:
    """The cumulative flow of the period up to now; None where nothing was open, began or ended.

    The upper line begins with what was open when the period began, so that the lines are the backlog apart.
    """
    if not actor.is_active:
        return None
    begun = [point for point in answer.series if point.measures["backlog"] is not None]
    if not begun:
        return None
    arrived = [point.measures["arrivals"] or 0 for point in begun]
    closed = [point.measures["closed"] or 0 for point in begun]
    opened = (begun[0].measures["backlog"] or 0) - arrived[0] + closed[0]
    starts, ends = [opened + one for one in accumulate(arrived)], list(accumulate(closed))
    if not starts[-1]:
        return None
    words = {
        "opened": count_text(opened),
        "arrived": count_text(sum(arrived)),
        "closed": count_text(ends[-1]),
        "left": count_text(starts[-1] - ends[-1]),
    }
    columns = [
        value_column(answer, "arrivals", _("Started")),
        *(value_column(answer, kpi) for kpi, _measure in ENDS),
    ]
    backlog = value_column(answer, "backlog")
    rows = [
        [
            label_of(point),
            *(column.cell(point) for column in columns),
            Cell(count_text(start), start),
            Cell(count_text(end), end),
            backlog.cell(point),
        ]
        for point, start, end in zip(begun, starts, ends, strict=True)
    ]
    upper, lower = ([_place(at, one, len(begun), starts[-1]) for at, one in enumerate(line)] for line in (starts, ends))
    return Flow(
        finding=_(
            "%(opened)s were open when the period began, %(arrived)s started, %(closed)s ended: %(left)s are open."
        )
        % words,
        starts=" ".join(upper),
        ends=" ".join(lower),
        between=" ".join([*upper, *reversed(lower)]),
        table=Table(
            slug="flow",
            title=_("Cumulative flow in numbers"),
            says=_(
                "Added up from the beginning of the period, with what was open then. The lines are the backlog apart."
            ),
            columns=[
                _("From"),
                *(column.name for column in columns),
                _("Started so far"),
                _("Ended so far"),
                backlog.name,
            ],
            rows=rows,
            last=[],
        ),
    )


def flow_table_for(actor: User, answer: Answer) -> Table | None:
    """The same as numbers alone."""
    found = flow_for(actor, answer)
    return found.table if found else None


def _place(at: int, value: float, count: int, most: float) -> str:
    across = at / (count - 1) * WIDTH if count > 1 else WIDTH
    return f"{across:.1f},{HEIGHT - EDGE - value / most * (HEIGHT - 2 * EDGE):.1f}"
