"""The time of a run, and what its agents reported, on its page: one chosen step in every view."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.test import Client
from hypothesis import given
from hypothesis import strategies as st

from apps.oversight.models import Escalation
from apps.workflows.models import Run, Step
from apps.workflows.rules.spells import merged, seconds, without
from apps.workflows.selectors.reading import steps_of
from apps.workflows.selectors.timeline import timeline_of
from apps.workflows.services import claim_tasks, complete_task
from tests.factories.access import make_holder, make_unit
from tests.factories.telemetry import CHAT, body_of, send, span
from tests.factories.workflows import make_run, make_worker, make_workflow

NOON = datetime(2026, 11, 10, 12, tzinfo=UTC)
DOCUMENT: dict[str, Any] = {
    "slug": "order",
    "steps": {
        "check": {"agent": "order.check"},
        "approve": {"needs": ["check"], "approval": {"subject": "input"}, "queue": "heads", "due": {"after": "1d"}},
    },
}


def at(minute: float) -> datetime:
    return NOON + timedelta(minutes=minute)


spells = st.lists(st.tuples(st.integers(0, 60), st.integers(0, 60)).map(lambda pair: (at(pair[0]), at(pair[1]))))


@given(spells, spells)
def test_time_is_counted_once_and_belongs_to_one(some, others):
    minutes = {one for start, end in some for one in range(60) if start <= at(one) < end}
    taken = {one for start, end in others for one in range(60) if start <= at(one) < end}
    assert seconds(some) == 60 * len(minutes)
    assert seconds(without(some, others)) == 60 * len(minutes - taken)
    assert all(first[1] < second[0] for first, second in zip(merged(some), merged(some)[1:], strict=False))


@pytest.fixture
def run(db) -> Run:
    workflow = make_workflow(DOCUMENT)
    worker = make_worker(workflow, "order.check")
    run = make_run(workflow)
    claimed = claim_tasks(worker.user)[0]
    sent = send(worker, body_of(span(1, CHAT | {"acp.task.id": str(claimed.pk)}, name="chat large")))
    assert sent.status_code == 200
    complete_task(worker.user, task_id=claimed.pk, lease=str(claimed.fence), output={})
    return run


def test_peoples_time_and_machines_are_told_apart(run):
    Run.objects.filter(pk=run.pk).update(started_at=at(0))
    Step.objects.filter(run=run, name="check").update(opened_at=at(1), finished_at=at(4))
    Step.objects.filter(run=run, name="approve").update(opened_at=at(6))
    Escalation.objects.filter(run_id=run.pk).update(created_at=at(6))
    run.refresh_from_db()
    time = timeline_of(run.started_by, run, steps_of(run.started_by, run, []), at(10))
    assert (time.machines_s, time.people_s, time.nobody_s) == (180, 240, 180)
    assert [(bar.step.name, bar.css, bar.whole.left, bar.whole.width) for bar in time.bars] == [
        ("check", "", 10, 30),
        ("approve", "human", 60, 40),
    ]


def test_what_people_had_within_a_machines_step_is_theirs(run):
    Run.objects.filter(pk=run.pk).update(started_at=at(0))
    Step.objects.filter(run=run, name="check").update(opened_at=at(0), finished_at=at(10))
    Step.objects.filter(run=run, name="approve").delete()
    Escalation.objects.filter(run_id=run.pk).update(step="check", state="cancelled", created_at=at(2), ended_at=at(5))
    run.refresh_from_db()
    time = timeline_of(run.started_by, run, steps_of(run.started_by, run, []), at(10))
    assert (time.machines_s, time.people_s, time.nobody_s) == (420, 180, 0)
    assert [(piece.left, piece.width) for piece in time.bars[0].waits] == [(20, 30)]


class TestPage:
    def client(self, *rights: str) -> Client:
        client = Client()
        client.force_login(make_holder("workflows.view_run", *rights))
        return client

    @pytest.mark.parametrize("tab", ["graph", "timeline", "trace", "data", "story"])
    def test_one_chosen_step_is_chosen_in_every_view(self, run, tab):
        text = self.client("agents.view_agent").get(f"/runs/{run.pk}/?tab={tab}&step=check").content.decode()
        assert f'href="/runs/{run.pk}/?tab={tab}&amp;step=check#step"' in text
        assert 'id="step"' in text
        assert 'aria-current="true"' in text
        for other in ("graph", "timeline", "trace", "data", "story"):
            assert f'href="/runs/{run.pk}/?tab={other}&amp;step=check"' in text

    def test_the_trace_says_what_models_used_and_cost_to_those_who_may_see(self, run):
        page = f"/runs/{run.pk}/?tab=trace"
        text = self.client("agents.view_agent", "kpis.view_kpi").get(page).content.decode()
        assert "chat large" in text
        assert "100 · 10" in text
        assert "Cost" in text
        without_costs = self.client("agents.view_agent").get(page).content.decode()
        assert "chat large" in without_costs
        assert ">Cost<" not in without_costs
        nothing = self.client().get(page).content.decode()
        assert "chat large" not in nothing
        assert "No agent reported a span" in nothing

    def test_whoever_holds_rights_in_another_unit_alone_sees_no_page(self, run):
        person = make_holder("workflows.view_run", "agents.view_agent", unit=make_unit())
        client = Client()
        client.force_login(person)
        assert client.get(f"/runs/{run.pk}/?tab=trace").status_code == 404
