"""The spans of one run: a tree with what it used and cost, for whoever may see the agents and the run."""

import re
from datetime import timedelta
from uuid import UUID, uuid4

import pytest
from django.test import Client

from apps.agents.models import Action, Agent
from apps.audit.models import Entry
from apps.core.services import system_user
from apps.core.templatetags.acp import state_badge
from apps.kpis.models.clock import database_now
from apps.kpis.selectors import spans_of_action_for, spans_of_run_for, traces
from apps.kpis.services import fold_entries, save_price
from apps.telemetry.models import Span
from apps.workflows.models import Run
from apps.workflows.services import claim_tasks
from tests.factories.access import make_holder, make_unit
from tests.factories.agents import make_action, make_agent
from tests.factories.telemetry import CHAT, body_of, rejected, send, span
from tests.factories.workflows import make_run, make_worker, make_workflow

pytestmark = pytest.mark.django_db
OTHER = {**CHAT, "gen_ai.response.model": "unheard of"}
SEES = ("workflows.view_run", "agents.view_agent", "kpis.view_kpi")


@pytest.fixture
def run() -> Run:
    return make_run(make_workflow({"steps": {"check": {"agent": "order.check"}}}))


@pytest.fixture
def worker(run: Run) -> Agent:
    """Has sent an agent's span with two calls below a chain, and one call of an action with the wrong parent."""
    save_price(
        system_user("console"), model="large", valid_from=database_now().replace(year=2020),
        input_micro=3, output_micro=15,
    )  # type: ignore[arg-type]  # fmt: skip
    worker = make_worker(run.workflow, "order.check")
    (task,) = claim_tasks(worker.user)
    action = make_action(agent=worker, run_id=run.pk)
    spans = [
        span(1, {"gen_ai.operation.name": "invoke_agent", "acp.task.id": str(task.pk)}),
        span(2, {}, parent=1),
        span(3, CHAT, parent=2),
        span(4, OTHER, parent=2),
        span(5, {**CHAT, "acp.action.id": str(action.pk)}, parent=77),
    ]
    assert rejected(send(worker, body_of(*spans))) == 0
    fold_entries(entries=list(Entry.objects.select_related("actor").order_by("id")))
    return worker


def test_spans_stand_below_each_other_and_what_is_below_adds_up(run: Run, worker: Agent) -> None:
    trace = spans_of_run_for(make_holder(*SEES), run)
    seen = [(int(row.span.span_id, 16), row.depth, row.whole.input_tokens, row.whole.unpriced) for row in trace.rows]
    assert seen == [(1, 0, 200, 1), (2, 1, 200, 1), (3, 2, 100, 0), (4, 2, 100, 1), (5, 0, 100, 0)]
    assert [row.own.cost_micro for row in trace.rows] == [0, 0, 450, 0, 450]
    assert (trace.total.cost_micro, trace.total.input_tokens, trace.total.unpriced) == (900, 300, 1)
    assert (trace.shows_costs, trace.is_cut) == (True, False)
    action = trace.rows[4].action
    assert action is not None
    assert (action.run_id, action.operation) == (run.pk, "bank.pay")
    assert [row.action for row in trace.rows[:4]] == [None] * 4


def test_an_agents_span_never_stands_below_that_of_another(run: Run, worker: Agent) -> None:
    other = make_worker(run.workflow, "order.check")
    action = make_action(agent=other, run_id=run.pk)
    send(other, body_of(span(9, {"acp.action.id": str(action.pk)}, parent=1)))
    trace = spans_of_run_for(make_holder(*SEES), run)
    assert [(row.span.agent, row.depth) for row in trace.rows if row.span.span_id.endswith("9")] == [(other, 0)]


def test_costs_are_for_whoever_sees_figures_and_spans_for_whoever_sees_the_agent_and_the_run(
    run: Run, worker: Agent
) -> None:
    plain = spans_of_run_for(make_holder("workflows.view_run", "agents.view_agent"), run)
    assert (len(plain.rows), plain.shows_costs, plain.total.cost_micro, plain.total.unpriced) == (5, False, 0, 0)
    for who in (
        make_holder(),
        make_holder("workflows.view_run"),
        make_holder("agents.view_agent"),
        make_holder(*SEES, unit=make_unit()),
        worker.user,
        make_agent().user,
    ):
        assert spans_of_run_for(who, run).rows == []


def test_other_runs_are_not_in_it(run: Run, worker: Agent) -> None:
    send(worker, body_of(span(8, {"acp.action.id": str(make_action(agent=worker, run_id=uuid4()).pk)})))
    assert len(spans_of_run_for(make_holder(*SEES), run).rows) == 5


def test_the_number_of_queries_does_not_grow_with_the_spans(
    run: Run, worker: Agent, django_assert_max_num_queries: object
) -> None:
    viewer = make_holder(*SEES)
    with django_assert_max_num_queries(16):  # type: ignore[operator]
        spans_of_run_for(viewer, run)


def test_the_page_says_what_policy_said_of_each_action_and_leads_to_each_span_raw(run: Run, worker: Agent) -> None:
    action = Action.objects.get(agent=worker)
    Action.objects.filter(pk=action.pk).update(verdict={"effect": "deny"})
    client = Client()
    client.force_login(make_holder(*SEES))
    html = client.get(f"/runs/{run.pk}/?tab=trace").content.decode()
    assert "Policy said" in html
    rows = html.partition("Spans that agents reported")[2].partition("</table>")[0].split("<tr>")[2:]
    said = [f'<a href="/actions/{action.pk}/">{action.operation}</a> {state_badge("deny")}' in row for row in rows]
    assert said == [False, False, False, False, True]
    depths = [row.depth for row in spans_of_run_for(make_holder(*SEES), run).rows]
    assert [row.count("\u2003") for row in rows] == depths
    assert any(depths)
    for number, row in enumerate(rows, start=1):
        path = f"/spans/{Span.objects.get(span_id__endswith=str(number)).pk}/"
        assert f'href="{path}"' in row
        assert f"{number:016x}" in client.get(path).content.decode()
    assert "gen_ai.response.model" in client.get(re.findall(r'href="(/spans/[^"]*)"', rows[2])[0]).content.decode()


def test_a_long_trace_costs_what_all_of_it_does_and_reads_what_it_shows(
    run: Run, worker: Agent, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("apps.kpis.selectors.traces.MOST_SHOWN", 3)
    read = list[UUID]()
    used = traces._used
    monkeypatch.setattr(traces, "_used", lambda usages, **more: read.extend(usages) or used(usages, **more))
    trace = spans_of_run_for(make_holder(*SEES), run)
    assert (trace.is_cut, len(trace.rows), len(read)) == (True, 3, 1)
    assert (trace.total.cost_micro, trace.total.input_tokens, trace.total.unpriced) == (900, 300, 1)
    hidden = spans_of_run_for(make_holder(*SEES[:2]), run)
    assert (hidden.total.cost_micro, hidden.total.input_tokens, hidden.total.unpriced) == (0, 300, 0)


def test_a_bar_says_when_a_span_began_and_how_long_it_took(run: Run, worker: Agent) -> None:
    noon = database_now().replace(hour=12)
    for number, begin, end in ((1, 0, 10), (2, 1, 9), (3, 2, 4), (4, 10, 10), (5, 9, 8)):
        times = {"started_at": noon + timedelta(seconds=begin), "ended_at": noon + timedelta(seconds=end)}
        Span.objects.filter(span_id__endswith=str(number)).update(**times)
    rows = {row.span.span_id[-1]: row for row in spans_of_run_for(make_holder(*SEES), run).rows}
    seen = {name: (row.after_s, row.left, row.width) for name, row in rows.items()}
    assert seen == {"1": (0, 0, 100), "2": (1, 10, 80), "3": (2, 20, 20), "4": (10, 99, 1), "5": (9, 90, 1)}
    client = Client()
    client.force_login(make_holder(*SEES))
    html = client.get(f"/runs/{run.pk}/?tab=trace").content.decode()
    assert '<rect x="20.00" width="20.00" height="6"' in html
    Span.objects.filter(span_id__endswith="3").update(ended_at=noon + timedelta(seconds=2, milliseconds=240))
    assert ">240 ms<" in client.get(f"/runs/{run.pk}/?tab=trace").content.decode()


def test_an_action_shows_the_spans_that_belong_to_it(run: Run, worker: Agent) -> None:
    action = Action.objects.get(agent=worker)
    (row,) = spans_of_action_for(make_holder(*SEES), action).rows
    assert (int(row.span.span_id, 16), row.whole.cost_micro, row.left, row.width) == (5, 450, 0, 100)
    for who in (make_holder(), make_holder(*SEES, unit=make_unit()), make_agent().user):
        assert spans_of_action_for(who, action).rows == []
    client = Client()
    client.force_login(make_holder(*SEES))
    html = client.get(f"/actions/{action.pk}/").content.decode()
    assert "What the agent reported of it" in html
    assert f'href="/spans/{row.span.pk}/"' in html
    assert f'href="/runs/{run.pk}/?tab=trace"' in html
    assert "Policy said" not in html
    Span.objects.update(action_id=None)
    assert "What the agent reported of it" not in client.get(f"/actions/{action.pk}/").content.decode()
