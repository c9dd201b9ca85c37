"""Spans that arrive when a run is over: its cost, its fact and its day follow; what has no price is no zero."""

import json
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client

from apps.agents.models import Agent
from apps.audit.models import Entry
from apps.core.services import system_user
from apps.kpis.models import CostItem, RollupDay, RunFact, rate_book
from apps.kpis.models.clock import database_now
from apps.kpis.services import fold_entries, save_price
from apps.kpis.services.seen import usage_costs_rated
from apps.telemetry.models import UsageRecord
from apps.workflows.models import Run, Task
from apps.workflows.services import claim_tasks, complete_task
from tests.factories.agents import make_action, make_key_for
from tests.factories.telemetry import CHAT, SECOND, body_of, now_ns, rejected, send, span
from tests.factories.workflows import make_run, make_worker, make_workflow

pytestmark = pytest.mark.django_db


@pytest.fixture
def run() -> Run:
    return make_run(make_workflow({"slug": "order", "steps": {"check": {"agent": "order.check"}}}))


@pytest.fixture
def worker(run: Run) -> Agent:
    return make_worker(run.workflow, "order.check")


@pytest.fixture
def task(run: Run, worker: Agent) -> Task:
    """Done, with its run, which is folded."""
    price("large", 3, 15)
    (task,) = claim_tasks(worker.user)
    complete_task(worker.user, task_id=task.pk, lease=str(task.fence), output={})
    fold()
    return task


def price(model: str, input_micro: int, output_micro: int, *, ago: timedelta = timedelta(days=365)) -> None:
    save_price(
        system_user("console"),
        model=model,
        valid_from=database_now() - ago,
        input_micro=input_micro,
        output_micro=output_micro,
    )  # type: ignore[arg-type]


def fold() -> None:
    fold_entries(entries=list(Entry.objects.select_related("actor").order_by("id")))


def costs() -> tuple[str, int, int, int]:
    """Of the run: its state, what models cost, what is unpriced; and what its day says."""
    fact = RunFact.objects.get()
    day = sum(RollupDay.objects.values_list("llm_micro", flat=True))
    return fact.state, fact.llm_micro, fact.unpriced, day


def test_late_spans_reprice_the_run_its_fact_and_its_day_once(worker: Agent, task: Task) -> None:
    assert costs() == ("succeeded", 0, 0, 0)
    body = body_of(span(1, {"acp.task.id": str(task.pk)}), span(2, CHAT, parent=1))
    for _ in range(2):
        assert rejected(send(worker, body)) == 0
        fold()
    assert costs() == ("succeeded", 450, 0, 450)
    send(worker, body_of(span(3, CHAT, parent=1)))
    fold()
    assert costs() == ("succeeded", 900, 0, 900)
    assert RunFact.objects.get().cost_micro == 900


def test_a_model_that_the_book_does_not_know_is_unpriced_and_no_zero_until_it_does(worker: Agent, task: Task) -> None:
    odd = {**CHAT, "gen_ai.response.model": "unheard of", "acp.task.id": str(task.pk)}
    send(worker, body_of(span(1, odd), span(2, {**CHAT, "acp.task.id": str(task.pk)})))
    fold()
    assert costs() == ("succeeded", 450, 1, 450)
    (unpriced,) = CostItem.objects.filter(priced_by="unpriced")
    assert (unpriced.model, unpriced.quantity) == ("unheard of", 110)
    assert sum(RollupDay.objects.values_list("unpriced", flat=True)) == 1
    price("unheard of", 10, 100)
    fold()
    assert costs() == ("succeeded", 450 + 2000, 0, 2450)


def test_the_price_is_that_of_when_the_call_began_and_never_of_a_time_to_come(worker: Agent, task: Task) -> None:
    price("large", 30, 150, ago=timedelta(hours=2))
    Run.objects.update(created_at=database_now() - timedelta(hours=4))
    named = {**CHAT, "acp.task.id": str(task.pk)}
    send(worker, body_of(span(1, named, ended_ns=now_ns() - 3 * 3600 * SECOND), span(2, named)))
    send(worker, body_of(span(3, named, ended_ns=now_ns() + 1800 * SECOND)))
    fold()
    rows = CostItem.objects.filter(kind="llm").order_by("incurred_at")
    assert [row.amount_micro for row in rows] == [450, 4500, 4500]
    assert all(row.incurred_at <= database_now() for row in rows)


def report(agent: Agent, **body: Any) -> Any:
    headers = {"Authorization": f"Bearer {make_key_for(agent)}"}
    return Client().post("/api/v1/usage/", json.dumps(body), content_type="application/json", headers=headers)


@pytest.mark.parametrize("of", ["run", "task", "action"])
def test_usage_is_reported_for_a_run_a_task_or_an_action_and_answers_with_what_was_kept(
    run: Run, worker: Agent, task: Task, of: str
) -> None:
    named = {"run": run.pk, "task": task.pk, "action": make_action(agent=worker, run_id=run.pk).pk}[of]
    answer = report(worker, model="large", input_tokens=100, output_tokens=10, cache_read_tokens=40, **{of: str(named)})
    assert answer.status_code == 201
    told = answer.json()
    assert set(told) == {"id", "model", "input_tokens", "output_tokens", "run", "task", "action"}
    assert (told["model"], told["input_tokens"], told["output_tokens"]) == ("large", 100, 10)
    assert (told["run"], told[of]) == (str(run.pk), str(named))
    fold()
    assert costs() == ("succeeded", 60 * 3 + 10 * 15, 0, 330)


def test_an_agents_own_word_prices_only_what_the_book_does_not_know(worker: Agent, task: Task) -> None:
    for model in ("large", "unheard of"):
        body = {"model": model, "input_tokens": 100, "output_tokens": 10, "cost_minor": 7, "task": str(task.pk)}
        assert report(worker, **body).status_code == 201
    fold()
    assert dict(CostItem.objects.filter(kind="llm").values_list("model", "priced_by")) == {
        "large": "book",
        "unheard of": "reported",
    }
    assert costs() == ("succeeded", 450 + 70_000, 0, 70_450)
    assert set(UsageRecord.objects.values_list("cost_minor", flat=True)) == {7}


def test_usage_of_others_and_beyond_what_fits_is_refused_and_prices_nothing(worker: Agent, task: Task) -> None:
    other = make_worker(task.workflow, "order.check")
    fits = {"model": "large", "input_tokens": 1, "output_tokens": 1}
    assert report(other, **fits, task=str(task.pk)).status_code == 404
    for wrong in ({"cost_minor": -1}, {"cost_minor": 1.5}, {"input_tokens": 10**10 + 1}, {"model": ""}, {"model": 5}):
        assert report(worker, **{**fits, **wrong}, task=str(task.pk)).status_code == 422, wrong
    fold()
    assert costs() == ("succeeded", 0, 0, 0)


def test_what_the_ledger_says_to_be_of_1970_is_of_a_year_ago_at_most(
    worker: Agent, task: Task, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As it was written before starts were held against the work that they are of."""
    send(worker, body_of(span(1, {**CHAT, "acp.task.id": str(task.pk)})))
    entry = Entry.objects.get(name="usage.recorded")
    told = {**entry.payload, "started_at": "1970-01-01T00:00:00+00:00"}
    monkeypatch.setattr(Entry, "payload", told)
    price("large", 3, 15, ago=timedelta(days=400))
    ((cost, _by),) = usage_costs_rated([entry], rate_book())
    assert (cost.incurred_at, cost.amount_micro) == (entry.occurred_at - timedelta(days=366), 450)
