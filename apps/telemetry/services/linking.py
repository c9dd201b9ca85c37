"""What spans belong to: their own word, the trace that the plane gave, the conversation. Always the agent's own."""

from collections.abc import Iterable, Mapping
from datetime import timedelta
from typing import Any
from uuid import UUID

from django.db.models import Q
from django.db.models.functions import Now

from apps.agents.models import Action, Agent
from apps.agents.rules.traces import span_id_of, trail_of_trace
from apps.core.errors import NotFoundError
from apps.core.models import User
from apps.telemetry.models import Span
from apps.telemetry.rules.links import NOTHING, Link, LinkedBy
from apps.telemetry.rules.trees import nearest
from apps.telemetry.selectors import LATE_DAYS, Work, work_for
from apps.workflows.models import Attempt, Run, Task
from apps.workflows.rules.states import AttemptState

ROUND_A_RUN = timedelta(hours=1)
"""So much earlier or later than its run a span of the same conversation may be."""
MOST_WORKS = 2_000
"""Works of one request that are looked for; what names others beyond them belongs to nothing by that."""
MOST_TRACES = 100
"""Earlier traces of a conversation that are looked at again."""
NAMED = {"acp.action.id": "action_id", "acp.task.id": "task_id", "acp.step.id": "task_id", "acp.run.id": "run_id"}
"""Attributes that say what a span or a log record belongs to, the narrowest first."""
UNLINKED = Q(run_id=None, task_id=None, action_id=None)


class Works:
    """What links lead to, asked of the database once each; None where it is not the agent's own."""

    def __init__(self, actor: User, traces: Iterable[str] = ()) -> None:
        self.actor = actor
        self.seen = dict[tuple[str, UUID], Work | None]()
        self.ours = dict[str, str]()
        self._asked = 0
        self.know(traces)

    def find(self, name: str, at: UUID) -> Work | None:
        """The run, task or action (``name``: ``run_id``, ...) of this id."""
        if (name, at) not in self.seen:
            if self._asked >= MOST_WORKS:
                return None
            self._asked += 1
            try:
                self.seen[name, at] = work_for(self.actor, **{name: at})
            except NotFoundError:
                self.seen[name, at] = None
        return self.seen[name, at]

    def behind(self, link: Link) -> Work | None:
        """What a link leads to, the narrowest first."""
        run, task, action = link
        named = (("action_id", action), ("task_id", task), ("run_id", run))
        return next((self.find(name, at) for name, at in named if at is not None), None)

    def rule_out(self, said: Iterable[Mapping[str, Any]]) -> None:
        """Ask at once which works there are that these attributes name: what there is not is asked for no more."""
        named: dict[str, set[UUID]] = {name: set() for name in NAMED.values()}
        for attributes in said:
            for attribute, name in NAMED.items():
                if attribute in attributes and (at := _uuid(attributes[attribute])):
                    named[name].add(at)
        runs, tasks, actions = (list(named[name]) for name in ("run_id", "task_id", "action_id"))
        own, tried = {"agent__user": self.actor}, Attempt.objects.filter(task_id__any_of=tasks)
        there: dict[str, set[UUID | None]] = {
            "run_id": set(Run.objects.filter(pk__any_of=runs).values_list("pk", flat=True)) if runs else set(),
            "task_id": {
                *Task.objects.filter(pk__any_of=tasks, **own).values_list("pk", flat=True),
                *tried.filter(**own).exclude(state=AttemptState.LATE).values_list("task_id", flat=True),
            }
            if tasks
            else set(),
            "action_id": set(
                Action.objects.filter(pk__any_of=actions, principal=self.actor).values_list("pk", flat=True)
            )
            if actions
            else set(),
        }
        for name, ids in named.items():
            self.seen |= {(name, one): None for one in ids - there[name]}

    def know(self, traces: Iterable[str]) -> None:
        """Which of these traces the plane gave away, two questions for all of them."""
        trails = {trail_of_trace(trace): trace for trace in traces}
        for run in Run.objects.filter(pk__any_of=list(trails)).values_list("pk", flat=True):
            self.ours[trails[run]] = "run_id"
        actions = Action.objects.filter(pk__any_of=list(trails), principal=self.actor, run_id=None)
        for action in actions.values_list("pk", flat=True):
            self.ours[trails[action]] = "action_id"

    def of_trace(self, trace_id: str) -> Work | None:
        """The agent's own run or action of which this is the trace; None for other traces, and for those of others."""
        name = self.ours.get(trace_id)
        return self.find(name, trail_of_trace(trace_id)) if name else None


def named_by(agent: Agent, attributes: Mapping[str, Any], works: Works) -> Work | None:
    """What is said to be belonged to; None where that is not the agent's own, or does not belong together.

    Agents that are called copy the baggage of who called them: no offence, and no reason to lose what they tell.
    """
    link = Work(agent.unit_id)
    for attribute, name in NAMED.items():
        if attribute not in attributes:
            continue
        at = _uuid(attributes[attribute])
        work = works.find(name, at) if at else None
        if work is None or (getattr(link, name) or at) != at:
            return None
        if link.run_id and work.run_id != link.run_id:
            return None
        link = link if link.action_id or link.task_id else work
    return link


def link_of(row: Span) -> Link:
    """What a span belongs to."""
    return row.run_id, row.task_id, row.action_id


def link_trace(agent: Agent, trace_id: str, rows: list[Span], works: Works) -> list[Span]:
    """Link what has become linkable of the rows of a trace; those that were."""
    parents = {row.span_id: row.parent_id for row in rows}
    links = {row.span_id: link_of(row) for row in rows if link_of(row) != NOTHING}
    ours = works.of_trace(trace_id)
    whole = _as_link(ours) if ours else _alone(links)
    stood_for = _stood_for(agent, ours, rows, parents) if ours else {}
    late = list[Span]()
    for row in rows:
        if row.span_id in links:
            continue
        near = nearest(row.span_id, parents, links)
        top = stood_for.get(row.span_id)
        ways = ((near, LinkedBy.ABOVE), (top, LinkedBy.TRACE), (whole, LinkedBy.TRACE if ours else LinkedBy.ABOVE))
        first = next(((link, by) for link, by in ways if link), None)
        if first:
            late.append(_linked(row, *first))
    late += _by_conversation(agent, [row for row in rows if link_of(row) == NOTHING], works)
    Span.objects.bulk_update(late, ["run_id", "task_id", "action_id", "linked_by"], batch_size=1000)
    return late


def earlier_traces(agent: Agent, linked: Iterable[Span], works: Works) -> list[str]:
    """Traces with spans of the same conversations that belong to nothing yet, and will now.

    A conversation with two runs leads nowhere, and what is of another time never will: neither is walked again with
    each request.
    """
    talks = {row.conversation for row in linked if row.conversation}
    at_its_time = Q(pk=None)
    for talk, run in _runs_of(agent, talks, works).items():
        begun = Q(conversation=talk, ended_at__gte=run.created_at - ROUND_A_RUN)
        at_its_time |= begun & (Q(started_at__lte=run.finished_at + ROUND_A_RUN) if run.finished_at else Q())
    rows = Span.objects.filter(at_its_time, UNLINKED, agent=agent, created_at__gt=_oldest())
    return list(rows.order_by("trace_id").values_list("trace_id", flat=True).distinct()[:MOST_TRACES])


def _linked(row: Span, link: Link, by: LinkedBy) -> Span:
    row.run_id, row.task_id, row.action_id = link
    row.linked_by = by
    return row


def _as_link(work: Work) -> Link:
    return work.run_id, work.task_id, work.action_id


def _alone(links: dict[str, Link]) -> Link | None:
    """What all of a trace belongs to, where one thing alone is named in it."""
    whole = set(links.values())
    return next(iter(whole)) if len(whole) == 1 else None


def _stood_for(agent: Agent, ours: Work, rows: list[Span], parents: dict[str, str]) -> dict[str, Link]:
    """Spans right below one of the plane's own, which stands for a task or an action of this agent, and all below."""
    outside = {row.parent_id for row in rows if row.parent_id and row.parent_id not in parents}
    if not outside:
        return {}
    stands = dict[str, Link]()
    if ours.run_id:
        held = Task.objects.filter(run=ours.run_id, agent=agent).values_list("pk", flat=True)
        tried = Attempt.objects.filter(run=ours.run_id, agent=agent).exclude(task_id=None)
        for task in {*held, *tried.values_list("task_id", flat=True)}:
            if task:
                stands[span_id_of(task)] = (ours.run_id, task, None)
        asked = Action.objects.filter(run_id=ours.run_id, principal=agent.user_id).values_list("pk", "task_id")
        stands |= {span_id_of(action): (ours.run_id, task, action) for action, task in asked}
    found = {row.span_id: stands[row.parent_id] for row in rows if row.parent_id in outside & stands.keys()}
    below = {one: near for one in parents if one not in found and (near := nearest(one, parents, found))}
    return found | below


def _by_conversation(agent: Agent, rows: list[Span], works: Works) -> list[Span]:
    """Spans of a conversation that led to one run of the agent, at about its time; or that is named by its id."""
    runs = _runs_of(agent, {row.conversation for row in rows if row.conversation}, works)
    return [
        _linked(row, (run.pk, None, None), LinkedBy.CONVERSATION)
        for row in rows
        if (run := runs.get(row.conversation)) and _at_its_time(row, run)
    ]


def _runs_of(agent: Agent, talks: set[str], works: Works) -> dict[str, Run]:
    """The run of each of these conversations that led to one, and one only."""
    if not talks:
        return {}
    told = Span.objects.filter(agent=agent, conversation__any_of=list(talks), created_at__gt=_oldest())
    found: dict[str, set[UUID]] = {talk: set() for talk in talks}
    for talk, run in told.exclude(run_id=None).order_by().values_list("conversation", "run_id").distinct():
        if run:
            found[talk].add(run)
    for talk in talks:
        found[talk] |= {run for run in [_uuid(talk)] if run and works.find("run_id", run)}
    alone = {talk: next(iter(runs)) for talk, runs in found.items() if len(runs) == 1}
    rows = Run.objects.in_bulk(list(alone.values()))
    return {talk: rows[run] for talk, run in alone.items() if run in rows}


def _at_its_time(row: Span, run: Run) -> bool:
    begun = run.created_at - ROUND_A_RUN <= row.ended_at
    return begun and (run.finished_at is None or row.started_at <= run.finished_at + ROUND_A_RUN)


def _oldest() -> object:
    return Now() - timedelta(days=LATE_DAYS)


def _uuid(said: Any) -> UUID | None:
    try:
        return UUID(said)
    except (ValueError, TypeError, AttributeError):
        return None
