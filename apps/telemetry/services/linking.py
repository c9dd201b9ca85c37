"""What spans belong to: their own word, the trace that the plane gave, the conversation. Always the agent's own."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from datetime import timedelta
from itertools import islice
from typing import Any
from uuid import UUID

from django.db.models import Q
from django.db.models.functions import Now

from apps.agents.models import Action, Agent
from apps.agents.rules.traces import span_id_of, trail_of_trace
from apps.core.models import User
from apps.telemetry.models import Span
from apps.telemetry.rules.links import NOTHING, Link, LinkedBy
from apps.telemetry.rules.trees import nearest
from apps.telemetry.selectors import LATE_DAYS, Work, held_by, works_for
from apps.workflows.models import Run, Task

ROUND_A_RUN = timedelta(hours=1)
"""So much earlier or later than its run a span of the same conversation may be."""
MOST_TRACES, MOST_TALKS = 100, 1_000
"""Earlier traces that are looked at again, and conversations of a request of which they are looked for."""
NAMED = {"acp.action.id": "action_id", "acp.task.id": "task_id", "acp.step.id": "task_id", "acp.run.id": "run_id"}
"""Attributes that say what a span or a log record belongs to, the narrowest first."""
UNLINKED = Q(run_id=None, task_id=None, action_id=None)


class Works:
    """What links lead to, asked of the database once each; None where it is not the agent's own."""

    def __init__(self, actor: User, traces: Iterable[str] = ()) -> None:
        self.actor = actor
        self.seen = dict[tuple[str, UUID], Work | None]()
        self.ours = dict[str, str]()
        self.know(traces)

    def look_up(self, named: Iterable[tuple[str, UUID]]) -> None:
        """Ask for all of these at once, so that ``find`` need not for each."""
        fresh = defaultdict[str, set[UUID]](set)
        for name, at in named:
            if (name, at) not in self.seen:
                fresh[name].add(at)
        for name, ids in fresh.items():
            found = works_for(self.actor, name, ids)
            self.seen |= {(name, at): found.get(at) for at in ids}

    def find(self, name: str, at: UUID) -> Work | None:
        """The run, task or action (``name``: ``run_id``, ...) of this id."""
        self.look_up([(name, at)])
        return self.seen[name, at]

    def behind(self, link: Link) -> Work | None:
        """What a link leads to, the narrowest first."""
        return next((self.find(name, at) for name, at in narrowest(link)), None)

    def know(self, traces: Iterable[str]) -> None:
        """Which of these traces the plane gave away, some questions for all of them."""
        trails = {trail_of_trace(trace): trace for trace in traces}
        for run in Run.objects.filter(pk__any_of=list(trails)).values_list("pk", flat=True):
            self.ours[trails[run]] = "run_id"
        actions = Action.objects.filter(pk__any_of=list(trails), principal=self.actor, run_id=None)
        for action in actions.values_list("pk", flat=True):
            self.ours[trails[action]] = "action_id"
        self.look_up((name, trail_of_trace(trace)) for trace, name in self.ours.items())

    def of_trace(self, trace_id: str) -> Work | None:
        """The agent's own run or action of which this is the trace; None for other traces, and for those of others."""
        name = self.ours.get(trace_id)
        return self.find(name, trail_of_trace(trace_id)) if name else None


def narrowest(link: Link) -> list[tuple[str, UUID]]:
    """What a link leads to, the narrowest alone; empty where that is nothing."""
    run, task, action = link
    named = (("action_id", action), ("task_id", task), ("run_id", run))
    return [(name, at) for name, at in named if at is not None][:1]


def ids_in(attributes: Mapping[str, Any]) -> Iterator[tuple[str, UUID]]:
    """What is said to be belonged to, as ``Works.look_up`` takes it."""
    for attribute, name in NAMED.items():
        if at := _uuid(attributes.get(attribute)):
            yield name, at


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


def link_traces(agent: Agent, traces: Mapping[str, list[Span]], works: Works) -> list[Span]:
    """Link what has become linkable of the rows of these traces; those that were. As many questions for all as for one.

    Conversations come last: what the traces themselves say may lead them to a run.
    """
    stands = _stands(agent, traces, works)
    late = [row for trace_id, rows in traces.items() for row in _by_trace(works.of_trace(trace_id), rows, stands)]
    _keep_links(late)
    loose = [row for rows in traces.values() for row in rows if link_of(row) == NOTHING]
    by_talk = _by_conversation(agent, loose, works)
    _keep_links(by_talk)
    return late + by_talk


def _keep_links(rows: list[Span]) -> None:
    Span.objects.bulk_update(rows, ["run_id", "task_id", "action_id", "linked_by"], batch_size=1000)


def _by_trace(ours: Work | None, rows: list[Span], stands: Mapping[UUID, Mapping[str, Link]]) -> list[Span]:
    """Link what of one trace is linked by what stands above it, and by whose trace it is."""
    parents = {row.span_id: row.parent_id for row in rows}
    links = {row.span_id: link_of(row) for row in rows if link_of(row) != NOTHING}
    whole = _as_link(ours) if ours else _alone(links)
    stood_for = _stood_for(stands.get(ours.run_id, {}), rows, parents) if ours and ours.run_id else {}
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
    return late


def earlier_traces(agent: Agent, linked: Iterable[Span], works: Works) -> list[str]:
    """Traces with spans of the same conversations that belong to nothing yet, and will now.

    A conversation with two runs leads nowhere, and what is of another time never will: neither is walked again with
    each request.
    """
    talks = {row.conversation for row in linked if row.conversation}
    at_its_time = Q(pk=None)
    for talk, run in islice(_runs_of(agent, talks, works).items(), MOST_TALKS):
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


def _stands(agent: Agent, traces: Mapping[str, list[Span]], works: Works) -> dict[UUID, dict[str, Link]]:
    """Of the agent's runs whose traces these are: the spans of the plane's own that stand for its tasks and actions."""
    stands = dict[UUID, dict[str, Link]]()
    for trace_id, rows in traces.items():
        ours = works.of_trace(trace_id)
        if ours and ours.run_id and _outside(rows):
            stands[ours.run_id] = {}
    if not stands:
        return stands
    runs = list(stands)
    held = Task.objects.filter(run__pk__any_of=runs, agent=agent).values_list("run_id", "pk")
    tried = held_by(works.actor).filter(run__pk__any_of=runs).exclude(task_id=None)
    for run, task in {*held, *tried.values_list("run_id", "task_id")}:
        if task:
            stands[run][span_id_of(task)] = (run, task, None)
    asked = Action.objects.filter(run_id__any_of=runs, principal=agent.user_id)
    for its_run, task, action in asked.values_list("run_id", "task_id", "pk"):
        if its_run:
            stands[its_run][span_id_of(action)] = (its_run, task, action)
    return stands


def _outside(rows: list[Span]) -> set[str]:
    """Spans that are said to stand above these and are not among them."""
    among = {row.span_id for row in rows}
    return {row.parent_id for row in rows if row.parent_id and row.parent_id not in among}


def _stood_for(stands: Mapping[str, Link], rows: list[Span], parents: dict[str, str]) -> dict[str, Link]:
    """Spans right below one of the plane's own, which stands for a task or an action of this agent, and all below."""
    outside = _outside(rows) & stands.keys()
    found = {row.span_id: stands[row.parent_id] for row in rows if row.parent_id in outside}
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
    told = told.exclude(conversation="")  # of more than a hundred PostgreSQL does not see it, nor uses the index
    found: dict[str, set[UUID]] = {talk: set() for talk in talks}
    for talk, run in told.exclude(run_id=None).order_by().values_list("conversation", "run_id").distinct():
        if run:
            found[talk].add(run)
    ids = {talk: run for talk in talks if (run := _uuid(talk))}
    works.look_up(("run_id", run) for run in ids.values())
    for talk, run in ids.items():
        found[talk] |= {run} if works.find("run_id", run) else set()
    alone = {talk: next(iter(runs)) for talk, runs in found.items() if len(runs) == 1}
    rows = Run.objects.only("created_at", "finished_at").in_bulk(list(alone.values()))
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
