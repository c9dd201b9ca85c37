"""One week of a workflow, looked back at: its rows as one may count them, and the lines made of them."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.db.models import F, Func, JSONField, Value

from apps.core.errors import NotFoundError
from apps.core.models import User
from apps.kpis.models import StepFact
from apps.kpis.models.clock import database_now, reporting_zone
from apps.kpis.models.measures import within
from apps.kpis.rules.buckets import Period, day_period, local_day, previous_period
from apps.kpis.rules.filters import KpiFilter, filter_of
from apps.kpis.rules.weekly import (
    MOST_ROWS,
    Decided,
    Failed,
    Line,
    Part,
    Row,
    WeekReview,
    behind_line,
    first_day_of,
    line_of,
    review_of,
    week_of,
    weeks_around,
)
from apps.kpis.selectors.dashboards import workflows_for
from apps.kpis.selectors.reading import decisions_for, runs_for
from apps.oversight.models import Escalation, EscalationGroup
from apps.oversight.rules.feedback import fields_of
from apps.workflows.models import Run, Workflow
from apps.workflows.selectors.failures import causes_of

PATHS = Func(
    F("patch"),
    Value("$[*].path"),
    function="jsonb_path_query_array",
    template="%(function)s(%(expressions)s::jsonpath)",
    output_field=JSONField(),
)
"""Where an edit changed something; not what it wrote, which may be long."""


@dataclass(frozen=True, slots=True)
class Week:
    """A week of one workflow. ``later`` is empty where the next one has not begun; ``is_over``: nothing more comes.

    ``is_kept``: whether there is such a workflow, beside facts of it; ``simulated``: whether any of its rows was.
    """

    workflow: str
    title: str
    name: str
    asked: KpiFilter
    earlier: str
    later: str
    is_over: bool
    is_kept: bool
    simulated: bool
    review: WeekReview


def this_week() -> str:
    """The ISO week that is running, in the reporting zone."""
    return week_of(local_day(database_now(), reporting_zone()))


def week_for(actor: User, workflow: str, name: str, *, simulated: bool = False) -> Week:
    """The review of an ISO week such as ``2026-W48``, in the reporting zone, of what ``actor`` may count.

    ``simulated``: whether invented history counts. Raises NotFoundError for an unknown workflow and for what is no
    week, or one that has not begun.
    """
    title, asked = _asked(actor, workflow, name, simulated)
    return _week(title, name, asked, *_both(actor, asked))


def behind_week_for(
    actor: User, workflow: str, name: str, part: Part, key: str, *, simulated: bool = False
) -> tuple[Week, Line, list[Row]]:
    """The rows that a line counts, the newest first. Raises NotFoundError where the week has no such line.

    Lines beyond the first ones of a part are there too, though no page lists them.
    """
    title, asked = _asked(actor, workflow, name, simulated)
    rows, before = _both(actor, asked)
    line = line_of(rows, before, part, key)
    if line is None:
        raise NotFoundError
    return _week(title, name, asked, rows, before), line, behind_line(rows, part, key)


def _both(actor: User, asked: KpiFilter) -> tuple[list[Row], list[Row]]:
    """The rows of the week and of the one before, each read once."""
    return rows_for(actor, asked, asked.period), rows_for(actor, asked, previous_period(asked.period, asked.zone))


def _week(title: str, name: str, asked: KpiFilter, rows: list[Row], before: list[Row]) -> Week:
    earlier, later = weeks_around(local_day(asked.period.start, asked.zone))
    is_over = asked.period.end <= database_now()
    is_cut = any(_is_cut(found) for found in (rows, before))
    return Week(
        workflow=asked.workflow,
        title=title,
        name=name,
        asked=asked,
        earlier=earlier,
        later=later if is_over else "",
        is_over=is_over,
        is_kept=Workflow.objects.filter(slug=asked.workflow).exists(),
        simulated=any(row.simulated for row in (*rows, *before)),
        review=WeekReview(review_of(rows, before).lines, is_cut=is_cut),
    )


def rows_for(actor: User, asked: KpiFilter, period: Period) -> list[Row]:
    """What ended in the period: decisions and failed runs that ``actor`` may count, the newest first."""
    return [*_decided(actor, asked, period), *_failed(actor, asked, period)]


def _asked(actor: User, workflow: str, name: str, simulated: bool) -> tuple[str, KpiFilter]:
    names, monday, zone = workflows_for(actor), first_day_of(name), reporting_zone()
    now = database_now()
    if workflow not in names or monday is None or monday > local_day(now, zone):
        raise NotFoundError
    asked = filter_of({"workflow": workflow}, now=now, zone=zone, simulated=simulated)
    return names[workflow], asked.within(day_period(monday, monday + timedelta(days=6), zone))


def _decided(actor: User, asked: KpiFilter, period: Period) -> list[Decided]:
    facts = decisions_for(actor, asked).filter(within("decided_at", period))
    newest = list(facts.order_by("-decided_at", "-escalation_id")[:MOST_ROWS])
    items = _items([fact.escalation_id for fact in newest if not fact.simulated])
    steps = _invented_steps([fact.run_id for fact in newest if fact.simulated], kind__in=["approval", "form"])
    items |= {
        fact.escalation_id: {"step": steps.get(fact.run_id, ""), "reason_code": fact.reason_code}
        for fact in newest
        if fact.simulated
    }
    return [
        Decided(
            id=fact.escalation_id,
            at=fact.decided_at,
            outcome=fact.outcome,
            by_person=fact.by_person,
            edited=fact.edited,
            latency_s=fact.latency_s,
            rule=fact.rule,
            agent=fact.agent,
            simulated=fact.simulated,
            **items.get(fact.escalation_id, {}),
        )
        for fact in newest
    ]


def _items(ids: Sequence[Any]) -> dict[Any, dict[str, Any]]:
    """What facts do not say of these items. Two queries."""
    queues: dict[Any, str] = {}
    groups = EscalationGroup.objects.filter(escalation__pk__any_of=ids).order_by("position", "id")
    for item, home, queue in groups.values_list("escalation", "home__slug", "queue__slug"):
        queues.setdefault(item, home or queue)
    rows = Escalation.objects.filter(pk__any_of=ids)
    named = rows.values_list("pk", "step", "reason_code", "action__operation", PATHS)
    return {
        pk: {
            "step": step,
            "reason_code": code,
            "operation": operation or "",
            "queue": queues.get(pk, ""),
            "fields": tuple(fields_of([{"path": path} for path in paths or ()])),
        }
        for pk, step, code, operation, paths in named
    }


def _failed(actor: User, asked: KpiFilter, period: Period) -> list[Failed]:
    facts = runs_for(actor, asked).filter(within("finished_at", period), state="failed")
    newest = list(facts.order_by("-finished_at", "-run_id")[:MOST_ROWS])
    real = [fact.run_id for fact in newest if not fact.simulated]
    rows = Run.objects.filter(pk__any_of=real).select_related("workflow")
    causes = causes_of(actor, list(rows.only("error", "workflow__slug")))
    steps = _invented_steps([fact.run_id for fact in newest if fact.simulated], state="failed")
    causes |= {fact.run_id: ("", steps.get(fact.run_id, ""), fact.error_class) for fact in newest if fact.simulated}
    nothing = ("", "", "")
    return [
        Failed(fact.run_id, fact.finished_at, *causes.get(fact.run_id, nothing)[1:], simulated=fact.simulated)
        for fact in newest
        if fact.finished_at is not None
    ]


def _invented_steps(runs: Sequence[Any], **of: Any) -> dict[Any, str]:
    """The step of each of these simulated runs, of which there are facts alone."""
    if not runs:
        return {}
    facts = StepFact.objects.filter(run_id__any_of=runs, simulated=True, **of).order_by("finished_at", "step_id")
    return dict(facts.values_list("run_id", "name"))


def _is_cut(rows: Sequence[Row]) -> bool:
    decided = sum(isinstance(row, Decided) for row in rows)
    return decided >= MOST_ROWS or len(rows) - decided >= MOST_ROWS
