"""Dashboards, their exports, and the rows behind every number."""

import csv
from collections.abc import Callable
from datetime import datetime, timedelta
from functools import partial
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db.models import QuerySet
from django.http import HttpResponse, StreamingHttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET

from apps.core.errors import InvalidError, NotFoundError
from apps.core.http import Request, pdf_of
from apps.core.models import User
from apps.core.pages import page_of
from apps.core.rules import as_cell
from apps.kpis.models.clock import database_now, reporting_zone
from apps.kpis.rules import LIVE, RangeName
from apps.kpis.rules.buckets import BucketSize, fits, is_whole_days, local_day, named_period, size_for
from apps.kpis.rules.definitions import RELEASES, UPTIME, Behind
from apps.kpis.rules.eventlogs.writing import TYPES, LogKind, written
from apps.kpis.rules.filters import Compare, FilterProblem, KpiFilter, filter_of
from apps.kpis.selectors import behind_for, definition_for, kpis_for, live_for
from apps.kpis.selectors.anomalies import recent_anomalies_for
from apps.kpis.selectors.by_agent import agent_table_for, agent_version_table_for
from apps.kpis.selectors.by_unit import unit_table_for
from apps.kpis.selectors.changes import changes_for
from apps.kpis.selectors.counted import counted_for
from apps.kpis.selectors.courses import courses_for
from apps.kpis.selectors.dashboards import (
    Dashboard,
    agent_choices_for,
    dashboard_for,
    limits_of,
    units_for,
    workflow_name_for,
    workflows_for,
)
from apps.kpis.selectors.denials import denials_for
from apps.kpis.selectors.drawings import OVERVIEW, Table, drawing_csv_for, table_csv_for
from apps.kpis.selectors.events import TOLD, traces_for
from apps.kpis.selectors.figure_files import csv_rows_for
from apps.kpis.selectors.flow import flow_for, flow_table_for
from apps.kpis.selectors.kpis import Answer, lag_s_for
from apps.kpis.selectors.line_files import version_table_for, workflow_table_for
from apps.kpis.selectors.lines import line_heads_for, verdict_criteria_for, version_heads_for
from apps.kpis.selectors.main_charts import drawings_for
from apps.kpis.selectors.names import require_names
from apps.kpis.selectors.paper import printed_dashboard_for
from apps.kpis.selectors.rows_told import rows_csv_for
from apps.kpis.selectors.runs import simulated_run_for
from apps.kpis.selectors.split_tables import split_csv_for, split_tables_for
from apps.kpis.selectors.splits import split_words_for
from apps.kpis.selectors.tables import live_csv_for, live_lines_for, other_lines_for, release_csv_for, release_lines_for
from apps.kpis.selectors.uptime import uptime_csv_for, uptime_for
from apps.kpis.selectors.weeks import weeks_csv_for
from apps.kpis.views.cases import streamed_csv

PAGE = 50
MOST = 100_000
"""Rows behind a number are counted up to here: what a chart shows of a bucket is seldom more, and it stays fast."""
SECOND = timedelta(seconds=1)
TABLES = {
    Behind.DECISIONS: "decisions",
    Behind.COSTS: "costs",
    Behind.ACTIONS: "actions",
    Behind.INCIDENTS: "incidents",
    Behind.UNRESOLVED: "incidents",
    Behind.MINUTES: "minutes",
    Behind.CALLS: "call_hours",
    Behind.VALUES: "values",
    Behind.PENDING: "pending",
    Behind.RELEASES: "releases",
}
TABLES_OF: dict[str, Callable[[User, Answer], Table | None]] = {
    "by-unit": unit_table_for,
    "by-agent": lambda actor, answer: agent_table_for(actor, answer.asked),
    "flow": flow_table_for,
    "by-workflow": workflow_table_for,
    "versions": version_table_for,
    "by-version": lambda actor, answer: agent_version_table_for(actor, answer.asked),
}
FILES_OF: dict[str, Callable[[User, KpiFilter], list[list[str | float | None]]]] = {
    "uptime": uptime_csv_for,
    "releases": release_csv_for,
    "weeks": weeks_csv_for,
}
NOW, ALL = "now", "kpis"
"""The export of the figures that no period limits, and of all that one limits."""


def asked_of(request: Request, slug: str, *, listed: bool = False) -> KpiFilter:
    """The filter of the page's query string. Raises InvalidError with the field that does not fit.

    ``listed``: the page lists rows, and may be asked for a part of a figure.
    """
    query = {name: str(value) for name, value in request.GET.items() if value}
    if query.get("range", RangeName.CUSTOM) != RangeName.CUSTOM:
        query.pop("from", None)
        query.pop("to", None)
    try:
        asked = _filter_of(query)
    except FilterProblem as problem:
        raise InvalidError(errors={problem.field: [str(problem)]}) from problem
    if asked.part is not None and not listed:
        raise InvalidError(errors={asked.part[0]: [_("Only lists behind a figure show a part of it.")]})
    require_names(request.user, asked if slug == OVERVIEW else asked.of_workflow(""))
    return asked if slug == OVERVIEW else asked.of_workflow(slug)


def _filter_of(query: dict[str, str]) -> KpiFilter:
    """The filter of a query. Where a range is chosen in the form, a bucket that is too small for it gives way."""
    read = partial(
        filter_of, now=database_now(), zone=reporting_zone(), simulated=settings.ACP_DEMO, days=RangeName.WEEKS_12
    )
    if "range" in query and query.get("bucket") in list(BucketSize):
        free = read({**query, "bucket": ""})
        query = {**query, "bucket": query["bucket"] if fits(free.period, BucketSize(query["bucket"])) else ""}
    return read(query)


def as_of_now(request: Request) -> dict[str, Any]:
    """For pages without an answer: when they were made, and how far their figures are behind the ledger."""
    now = database_now()
    return {"as_of": now, "lag_s": lag_s_for(request.user, now)}


def _ranges() -> list[tuple[str, Any]]:
    return [
        (RangeName.HOURS_24, _("Last 24 hours")),
        (RangeName.DAYS_7, _("Last 7 days")),
        (RangeName.DAYS_30, _("Last 30 days")),
        (RangeName.WEEKS_12, _("Last 12 weeks")),
        (RangeName.QUARTER, _("Last quarter")),
        (RangeName.CUSTOM, _("From – before")),
    ]


def _range_of(asked: KpiFilter, now: datetime) -> RangeName:
    """The name of the asked range, if it has one today."""
    names = (name for name in RangeName if name != RangeName.CUSTOM)
    return next((name for name in names if named_period(name, now, asked.zone) == asked.period), RangeName.CUSTOM)


def controls_of(asked: KpiFilter, now: datetime) -> dict[str, Any]:
    """What the form above a dashboard offers."""
    return {
        "ranges": _ranges(),
        "range": _range_of(asked, now),
        "other_bucket": "" if asked.size == size_for(asked.period) else asked.size,
        "other_zone": "" if asked.zone == reporting_zone() else asked.zone.key,
        "first": local_day(asked.period.start, asked.zone).isoformat(),
        "before": local_day(asked.period.end, asked.zone).isoformat(),
        "compares": [
            (Compare.BASELINE, _("Against the baseline")),
            (Compare.PREVIOUS, _("Against the period before")),
            (Compare.NONE, _("Against nothing")),
        ],
    }


@require_GET
def dashboards(request: Request) -> HttpResponse:
    """There is always an overview."""
    query = request.GET.urlencode()
    answer = redirect("kpis:dashboard", slug=OVERVIEW)
    answer["Location"] += f"?{query}" if query else ""
    return answer


@require_GET
def dashboard(request: Request, slug: str) -> HttpResponse:
    """The overview, or one workflow's page."""
    asked = asked_of(request, slug)
    page = dashboard_for(request.user, slug, asked)
    return render(request, "kpis/dashboard.html", context_of(request, page, asked))


def context_of(request: Request, page: Dashboard, asked: KpiFilter) -> dict[str, Any]:
    """A dashboard with what stands beside its figures."""
    return {
        "page": page,
        "asked": asked,
        "flow": None if page.slug == OVERVIEW else flow_for(request.user, page.answer),
        "heads": line_heads_for(request.user),
        "criteria": verdict_criteria_for(request.user),
        "version_heads": version_heads_for(request.user),
        "live": page.live,
        "live_lines": live_lines_for(request.user, page.answer.asked, page.live),
        "unusual": recent_anomalies_for(request.user, asked),
        "uptime": uptime_for(request.user, page.answer.asked),
        "release_lines": release_lines_for(request.user, asked) if asked.workflow and not asked.agent else [],
        "other_lines": other_lines_for(request.user, page.answer),
        "picture": picture_of(asked, page.answer.as_of),
        "permalink": f"{settings.ACP_URL}{request.path}?{asked.query}",
        "pdf": f"{reverse('kpis:pdf', args=[page.slug])}?{asked.query}",
        **controls_of(asked, page.answer.as_of),
    }


def picture_of(asked: KpiFilter, as_of: datetime) -> dict[str, str]:
    """What a chart that is saved says of itself, and how its file is called: the period's first and last day."""
    first, last = (local_day(one, asked.zone) for one in (asked.period.start, asked.period.end - SECOND))
    said = [span_of(asked, as_of)]
    said += [_("Workflow: %(name)s") % {"name": asked.workflow}] if asked.workflow else []
    said += limits_of(asked, [], [])
    said += [_("includes simulated history")] if asked.simulated else []
    return {"caption": " · ".join(said), "days": f"{first}-to-{last}"}


def span_of(asked: KpiFilter, as_of: datetime) -> str:
    """The period by the clocks of its zone, in days where it is whole days, and when it was looked at."""
    words = {"zone": asked.zone.key, "as_of": f"{as_of:%Y-%m-%d %H:%M}"}
    ends = asked.period.start, asked.period.end
    if is_whole_days(asked.period, asked.zone):
        days = {"first": local_day(ends[0], asked.zone), "last": local_day(ends[1] - SECOND, asked.zone)}
        return _("%(first)s to %(last)s, days of %(zone)s, as of %(as_of)s UTC") % (words | days)
    first, last = (f"{one.astimezone(asked.zone):%Y-%m-%d %H:%M}" for one in ends)
    return _("%(first)s to %(last)s in %(zone)s, as of %(as_of)s UTC") % {"first": first, "last": last, **words}


@require_GET
def printed(request: Request, slug: str) -> HttpResponse:
    """The page as PDF."""
    asked = asked_of(request, slug)
    page = dashboard_for(request.user, slug, asked)
    return paper_of(request, page, asked, name=slug, path=reverse("kpis:dashboard", args=[slug]))


def paper_of(request: Request, page: Dashboard, asked: KpiFilter, *, name: str, path: str) -> HttpResponse:
    """A dashboard as PDF; ``path`` is where it stands."""
    picture = picture_of(asked, page.answer.as_of)
    permalink = f"{settings.ACP_URL}{path}?{asked.query}"
    content = printed_dashboard_for(request.user, page, about=picture["caption"], permalink=permalink)
    return pdf_of(f"{name}-{picture['days']}", content)


@require_GET
def export(request: Request, slug: str, figure: str) -> HttpResponse:
    """A chart's table as CSV; with ``kpis`` every KPI by bucket, with ``now`` what is open."""
    if slug != OVERVIEW and slug not in workflows_for(request.user):
        raise NotFoundError
    asked = asked_of(request, slug)
    if figure == NOW:
        return csv_of(f"{slug}-now", live_csv_for(request.user, asked, live_for(request.user, asked)))
    if figure in FILES_OF:
        head: list[list[str | float | None]] = [
            [f"# zone: {asked.zone.key}"], [f"# as of: {database_now().isoformat()}"]
        ]  # fmt: skip
        return csv_of(f"{slug}-{figure}", [*head, *FILES_OF[figure](request.user, asked)])
    found = kpis_for(request.user, asked)
    if figure in TABLES_OF:
        table = TABLES_OF[figure](request.user, found)
        if table is None:
            raise NotFoundError
        return csv_of(f"{slug}-{figure}", table_csv_for(request.user, found, table))
    own = courses_for(request.user, found)
    if figure == ALL:
        return csv_of(f"{slug}-{figure}", csv_rows_for(request.user, found, own))
    drawings = drawings_for(request.user, found, changes_for(request.user, asked), own)
    drawing = next((one for one in drawings if one.slug == figure), None)
    if drawing is None:
        raise NotFoundError
    return csv_of(f"{slug}-{figure}", drawing_csv_for(request.user, found, drawing))


def csv_of(name: str, rows: list[list[str | float | None]]) -> HttpResponse:
    """A file of these rows."""
    answer = HttpResponse(content_type="text/csv; charset=utf-8")
    answer["Content-Disposition"] = f'attachment; filename="{name}.csv"'
    csv.writer(answer).writerows([as_cell(cell) for cell in row] for row in rows)
    return answer


@require_GET
def behind(request: Request, slug: str, kpi: str) -> HttpResponse:
    """The runs, decisions, costs, actions or incidents behind a number."""
    names = workflows_for(request.user)
    if slug != OVERVIEW and slug not in names:
        raise NotFoundError
    asked = asked_of(request, slug, listed=True)
    definition = definition_for(request.user, kpi)
    found, order = behind_for(request.user, definition, asked)
    rows: QuerySet[Any] = found
    shown = page_of(request, rows, order=order, size=PAGE)
    context = {
        "slug": slug,
        "title": _("Overview") if slug == OVERVIEW else names[slug],
        "asked": asked,
        "definition": definition,
        "label": _(definition.label),
        "formula": _(definition.formula),
        "about": about_of(request.user, asked, is_live=definition.key in LIVE),
        "rows_template": f"kpis/_{TABLES.get(definition.behind, 'runs')}.html",
        "splits": split_tables_for(request.user, definition, asked) if "after" not in request.GET else [],
        "part": split_words_for(request.user, asked),
        "rows": shown.rows,
        "counted": counted_for(request.user, definition, shown.rows),
        "denials": denials_for(request.user, shown.rows) if definition.key == "denied" else {},
        "count": min(count := rows.order_by()[: MOST + 1].count(), MOST),
        "more": count > MOST,
        "names": names,
        "next": shown.next_url,
        "log_kinds": list(LogKind) if shown.rows and kpi not in {*UPTIME, *RELEASES} else [],
    }
    return render(request, "kpis/behind.html", context)


def about_of(actor: User, asked: KpiFilter, *, is_live: bool = False) -> str:
    """What a list is limited to, in words: its period and zone, or that it is of now, and all else of the filter."""
    now = database_now()
    span = _("Now, as of %(as_of)s UTC") % {"as_of": f"{now:%Y-%m-%d %H:%M}"} if is_live else span_of(asked, now)
    limits = limits_of(asked, units_for(actor), agent_choices_for(actor))
    return " · ".join([span, *limits, *([_("includes simulated history")] if asked.simulated else [])])


@require_GET
def export_split(request: Request, slug: str, kpi: str, split: str) -> HttpResponse:
    """A table above the rows behind a number, as CSV."""
    if slug != OVERVIEW and slug not in workflows_for(request.user):
        raise NotFoundError
    asked, definition = asked_of(request, slug), definition_for(request.user, kpi)
    table = next((one for one in split_tables_for(request.user, definition, asked) if one.slug == split), None)
    if table is None:
        raise NotFoundError
    return csv_of(f"{slug}-{kpi}-{split}", split_csv_for(request.user, definition, asked, table))


@require_GET
def export_rows(request: Request, slug: str, kpi: str) -> StreamingHttpResponse:
    """What is behind a number, all of it, as CSV."""
    if slug != OVERVIEW and slug not in workflows_for(request.user):
        raise NotFoundError
    definition, asked = definition_for(request.user, kpi), asked_of(request, slug, listed=True)
    return streamed_csv(f"{slug}-{kpi}-rows", rows_csv_for(request.user, definition, asked))


@require_GET
def export_events(request: Request, slug: str, kpi: str, kind: str) -> StreamingHttpResponse:
    """The runs behind a number as an event log."""
    if (slug != OVERVIEW and slug not in workflows_for(request.user)) or kind not in list(LogKind):
        raise NotFoundError
    traces = traces_for(request.user, definition_for(request.user, kpi), asked_of(request, slug, listed=True))
    form = LogKind(kind)
    answer = StreamingHttpResponse(written(traces, form, TOLD), content_type=TYPES[form])
    answer["Content-Disposition"] = f'attachment; filename="{slug}-{kpi}.{form}"'
    return answer


@require_GET
def simulated_run(request: Request, run_id: UUID) -> HttpResponse:
    """A run of imported history: it never ran, and its page says so first. ``settings.RUN_ELSEWHERE`` names it."""
    story = simulated_run_for(request.user, run_id)
    name = workflow_name_for(request.user, story.run.workflow)
    return render(request, "kpis/simulated_run.html", {"story": story, "run": story.run, "name": name})
