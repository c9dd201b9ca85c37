"""A dashboard or a weekly report on paper: the same answer as the page, set as a PDF with tags for screen readers."""

import json
import re
from dataclasses import asdict, dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

import typst
from django.conf import settings
from django.utils.translation import get_language
from django.utils.translation import gettext as _

from apps.core.models import User
from apps.core.revealing import written_out
from apps.kpis.rules.changes import ChangeKind
from apps.kpis.rules.formats import DASH, count_text, duration_text
from apps.kpis.rules.plots import plot_of
from apps.kpis.rules.sentences import Verdict
from apps.kpis.selectors.dashboards import Dashboard
from apps.kpis.selectors.drawings import Cell
from apps.kpis.selectors.lines import line_heads_for
from apps.kpis.selectors.reports import Report

SHEETS: Path = settings.BASE_DIR / "templates" / "kpis"
SHEET = "paper.typ"
MOMENT = "%Y-%m-%d %H:%M"
LONG = re.compile(r"\S{24}(?=\S)")
"""A word so long may be broken, or it would run off the sheet."""


@dataclass(frozen=True, slots=True)
class Paper:
    """What stands on the sheets: words and numbers alone. ``permalink``: the page that says the same."""

    title: str
    about: str
    warnings: list[str]
    permalink: str
    as_of: str
    sentences: list[dict[str, str]]
    figures: list[dict[str, str]]
    charts: list[dict[str, Any]]
    line_heads: list[str]
    lines: list[list[dict[str, str | bool]]]
    changes: list[list[str]]
    decisions: list[dict[str, str]] | None = None
    words: dict[str, str] = field(default_factory=dict)


def printed_dashboard_for(actor: User, page: Dashboard, *, about: str, permalink: str) -> bytes:
    """The PDF of a dashboard that ``actor`` was given; ``about`` says its period and filter."""
    return _printed(_paper(actor, page, title=_seen(page.title), about=about, permalink=permalink))


def printed_report_for(actor: User, report: Report, *, for_mail: bool = False) -> bytes:
    """The PDF of a weekly report that ``actor`` was given. What people gave as reasons leaves the house by no mail."""
    asked = report.page.answer.asked
    days = {"first": report.week.monday, "last": report.week.sunday, "zone": asked.zone.key}
    about = _("%(first)s to %(last)s, days of %(zone)s") % days
    decisions = [{"text": _seen(one.text), "why": _seen(one.why), "href": _whole(one.href)} for one in report.decisions]
    paper = _paper(
        actor,
        report.page,
        title=_("Weekly report %(week)s") % {"week": report.week},
        about=f"{_seen(report.unit_name) or _('All units')} · {about}",
        permalink=_whole(report.path),
        decisions=decisions,
        for_mail=for_mail,
    )
    return _printed(paper)


def _paper(actor: User, page: Dashboard, *, for_mail: bool = False, **parts: Any) -> Paper:
    """``for_mail``: without what people wrote as reasons and sources."""
    answer = page.answer
    return Paper(
        **parts,
        warnings=_warnings(page),
        as_of=_("As of %(as_of)s UTC, %(lag)s behind the ledger, with what its reader may see")
        % {"as_of": f"{answer.as_of:{MOMENT}}", "lag": duration_text(answer.lag_s)},
        sentences=[
            {
                "name": one.name,
                "text": _seen(one.text),
                "note": _seen(one.brief if for_mail else one.note),
                "href": _whole(one.href),
            }
            for one in page.sentences
        ],
        figures=[
            {
                "label": _seen(card.label),
                "href": _whole(card.href),
                "now": card.note or card.text,
                "more": " · ".join(one for one in (card.text if card.note else "", card.interval) if one),
                "was": card.was or DASH,
                "change": card.change_text or card.missing or DASH,
                "trend": str(card.delta.trend) if card.delta else "",
                "target": card.target_text or DASH,
                "n": card.n,
                "beside": _seen(" · ".join([*filter(None, [card.beside]), *(text for text, _href in card.uncounted)])),
                "formula": _seen(card.formula),
                "coverage": card.coverage,
            }
            for card in page.cards
        ],
        charts=[
            {"title": _seen(one.title), "finding": _seen(one.finding), "plot": plot_of(one.chart).drawn}
            for one in page.drawings
        ],
        line_heads=[_("Workflow"), _("Verdict"), *line_heads_for(actor)],
        lines=[
            [_set(line.name), _set(_verdict(line.verdict), line.why), *(_set_cell(cell) for cell in line.figures)]
            for line in page.lines
        ],
        changes=[
            [
                "" if number is None else str(number),
                f"{change.at:{MOMENT}}",
                _kind(change.kind),
                _seen(change.text),
                DASH if for_mail else _seen(change.why) or DASH,
            ]
            for number, change in reversed(page.changes)
        ],
        words={
            "decisions": _("Decisions asked for"),
            "none": _("None."),
            "partial": _("Pale and dotted: not over yet"),
            "figures": _("Figures"),
            "figure": _("Figure"),
            "now": _("In the period"),
            "was": _("Before"),
            "change": _("Change"),
            "target": _("Target"),
            "lines": _("By workflow"),
            "changes": _("What changed"),
            "counted": _("How they are counted"),
            "coverage": _("Coverage"),
            "mark": _("Mark"),
            "when": _("When (UTC)"),
            "sort": _("Sort"),
            "what": _("What"),
            "why": _("Why"),
            "nothing": _("No version, rule, halt, outage, price, rate or baseline changed in the units that you see."),
        },
    )


def _printed(paper: Paper) -> bytes:
    """Set by one sheet, from data alone: what people wrote is text there, never instructions, and no file is read."""
    inputs = {"paper": json.dumps(asdict(paper)), "lang": (get_language() or "en").partition("-")[0]}
    made = typst.compile(SHEETS / SHEET, root=SHEETS, font_paths=_fonts(), sys_inputs=inputs)
    assert isinstance(made, bytes), "one PDF, and no list of pages"
    return made


@lru_cache(maxsize=1)
def _fonts() -> typst.Fonts:
    """Those that come with the library; for signs that they lack, those of the machine."""
    return typst.Fonts()


def _whole(href: str) -> str:
    return f"{settings.ACP_URL}{href}" if href else ""


def _seen(text: str) -> str:
    """What people wrote: what would be hidden or turn the line stands as its number, long words may be broken."""
    return LONG.sub("\\g<0>\u200b", written_out(text))


def _set(text: str, *more: str, few: bool = False) -> dict[str, str | bool]:
    """What stands in a place of a table, with what is told below it; ``few``: it is set in grey."""
    return {"text": _seen(text), "more": " · ".join(one for one in more if one), "few": few}


def _set_cell(cell: Cell) -> dict[str, str | bool]:
    return _set(cell.text, "" if cell.n is None else f"n {count_text(cell.n)}", cell.note, few=cell.few)


def _warnings(page: Dashboard) -> list[str]:
    found = [_("Includes simulated history")] if page.simulated else []
    if page.unpriced:
        found.append(_("Costs without a price, in no sum: %(n)s") % {"n": page.unpriced})
    return found


def _verdict(verdict: Verdict) -> str:
    return {
        Verdict.SCALE: _("Scale"),
        Verdict.KEEP: _("Keep"),
        Verdict.FIX: _("Fix"),
        Verdict.STOP: _("Stop"),
        Verdict.WAIT: _("Too early"),
    }[verdict]


def _kind(kind: ChangeKind) -> str:
    return {
        ChangeKind.VERSION: _("Version"),
        ChangeKind.POLICY: _("Rules"),
        ChangeKind.HALT: _("Halt"),
        ChangeKind.OUTAGE: _("Outage"),
        ChangeKind.PRICE: _("Price"),
        ChangeKind.BASELINE: _("Baseline"),
    }[kind]
