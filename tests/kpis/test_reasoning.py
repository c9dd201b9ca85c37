"""Tokens of reasoning and what senders say that calls cost: read, kept beside ours, shown by model, counted once."""

import csv
import io
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.test import Client

from apps.agents.models import Agent
from apps.core.services import system_user
from apps.kpis.models import CostItem, PriceBook
from apps.kpis.models.clock import database_now
from apps.kpis.rules.costs import TokenPrice, Tokens, llm_cost_micro
from apps.kpis.selectors.prices import repricing_for
from apps.kpis.services import save_price
from apps.telemetry.models import UsageRecord
from apps.telemetry.rules.names import facts_of
from apps.workflows.models import Run, Task
from apps.workflows.services import claim_tasks, complete_task
from tests.factories.access import make_admin, make_holder
from tests.factories.telemetry import body_of, send, span
from tests.factories.workflows import make_run, make_worker, make_workflow
from tests.kpis.test_late_spans import fold, price, report

pytestmark = pytest.mark.django_db
CHAT = {"gen_ai.operation.name": "chat", "gen_ai.request.model": "large"}
USED = {"gen_ai.usage.input_tokens": 1000, "gen_ai.usage.output_tokens": 100}
THOUGHT = "gen_ai.usage.reasoning.output_tokens"


@pytest.fixture
def run() -> Run:
    return make_run(make_workflow({"slug": "order", "steps": {"check": {"agent": "order.check"}}}))


@pytest.fixture
def worker(run: Run) -> Agent:
    return make_worker(run.workflow, "order.check")


@pytest.fixture
def task(run: Run, worker: Agent) -> Task:
    """Done, with its run; a million tokens of *large* cost 3 in and 15 out."""
    price("large", 3, 15)
    (task,) = claim_tasks(worker.user)
    complete_task(worker.user, task_id=task.pk, lease=str(task.fence), output={})
    return task


@pytest.mark.parametrize(
    ("told", "reasoning"),
    [
        ({THOUGHT: 60}, 60),
        ({"llm.token_count.completion_details.reasoning": 60.0}, 60),
        ({THOUGHT: 101}, 100),
        ({THOUGHT: -1}, None),
        ({THOUGHT: True}, None),
        ({}, None),
    ],
)
def test_reasoning_is_read_in_each_spelling_and_lies_within_the_output(told: dict[str, Any], reasoning: int) -> None:
    tokens = facts_of({**CHAT, **USED, **told}).tokens or {}
    assert tokens.get("reasoning") == reasoning


@pytest.mark.parametrize(
    ("said", "micro"),
    [
        (0.0123, 12_300),
        (2, 2_000_000),
        (0, 0),
        (-1, None),
        (float("nan"), None),
        ("1", None),
        (True, None),
        (1e9, None),
    ],
)
def test_a_cost_that_is_none_counts_as_not_said(said: Any, micro: int | None) -> None:
    tokens = facts_of({**CHAT, **USED, "llm.cost.total": said}).tokens or {}
    assert tokens.get("reported_micro") == micro


def test_reasoning_costs_what_any_token_out_does_unless_the_book_names_its_price() -> None:
    tokens = Tokens(input=1000, output=100, reasoning=60)
    plain = TokenPrice(Decimal(3), Decimal(15), Decimal(0), Decimal(0))
    assert llm_cost_micro(tokens, plain) == 4500
    named = TokenPrice(Decimal(3), Decimal(15), Decimal(0), Decimal(0), Decimal(5))
    assert llm_cost_micro(tokens, named) == 3000 + 40 * 15 + 60 * 5


def chat(worker: Agent, task: Task, **more: Any) -> None:
    send(worker, body_of(span(1, {**CHAT, **USED, "acp.task.id": str(task.pk), **more})))
    fold()


def test_a_span_tells_of_reasoning_and_a_later_price_of_it_mends_the_cost(worker: Agent, task: Task) -> None:
    chat(worker, task, **{THOUGHT: 60})
    assert UsageRecord.objects.get().reasoning_tokens == 60
    cost = CostItem.objects.get(kind="llm")
    assert (cost.reasoning, cost.quantity, cost.amount_micro) == (60, 1100, 4500)
    said = {"input_micro": Decimal(3), "output_micro": Decimal(15), "reasoning_micro": Decimal(5)}
    since = database_now() - timedelta(days=1)
    asked = TokenPrice(said["input_micro"], said["output_micro"], Decimal(0), Decimal(0), said["reasoning_micro"])
    told = repricing_for(make_admin(), model="large", valid_from=since, price=asked)
    assert (told.before_micro, told.after_micro) == (4500, 3900)
    save_price(system_user("console"), model="large", valid_from=since, **said)
    fold()
    assert CostItem.objects.get(kind="llm").amount_micro == 3900


def test_usage_takes_reasoning_within_the_output(worker: Agent, task: Task) -> None:
    fits = {"model": "large", "input_tokens": 100, "output_tokens": 10, "task": str(task.pk)}
    assert report(worker, **fits, reasoning_tokens=11).status_code == 422
    assert report(worker, **fits, reasoning_tokens=-1).status_code == 422
    assert report(worker, **fits, reasoning_tokens=4).status_code == 201
    fold()
    assert CostItem.objects.get(kind="llm").reasoning == 4


def test_what_senders_say_stands_beside_ours_and_is_never_added(worker: Agent, task: Task, settings: Any) -> None:
    settings.ACP_REPORTING_CURRENCY = "USD"
    PriceBook.objects.update(currency="USD")
    chat(worker, task, **{"llm.cost.total": 0.0054})
    cost = CostItem.objects.get(kind="llm")
    assert (cost.amount_micro, cost.priced_by) == (4500, "book")
    assert (cost.reported_micro, cost.reported_currency) == (5400, "USD")
    ((model, currency, calls, told, against, ours, apart),) = rows_of("told")
    assert (model, currency, calls) == ("large", "USD", "1")
    assert [float(one) for one in (told, against, ours)] == [0.0054, 0.0054, 0.0045]
    assert float(apart) == pytest.approx(0.2)
    page = Client()
    page.force_login(make_holder("kpis.view_kpi"))
    said = page.get("/dashboards/cost/").content.decode()
    assert "+20.0%" in said
    assert "What agents say their models cost" in said


def test_in_another_currency_nothing_is_held_against_ours_and_nothing_is_priced_by_it(
    worker: Agent,
    task: Task,
) -> None:
    chat(worker, task, **{"llm.cost.total": 0.0054})
    ((_model, currency, calls, told, *rest),) = rows_of("told")
    assert (currency, calls, float(told), rest) == ("USD", "1", 0.0054, ["", "", ""])
    PriceBook.objects.all().delete()
    save_price(
        system_user("console"),
        model="other",
        valid_from=database_now(),
        input_micro=Decimal(1),
        output_micro=Decimal(1),
    )
    fold()
    assert CostItem.objects.get(kind="llm").priced_by == "unpriced"


def rows_of(figure: str) -> list[list[str]]:
    page = Client()
    page.force_login(make_holder("kpis.view_kpi"))
    raw = page.get(f"/dashboards/cost/{figure}.csv").content.decode()
    rows = [row for row in csv.reader(io.StringIO(raw)) if not row[0].startswith("#")]
    return rows[1:]


def test_the_page_counts_reasoning_by_model(worker: Agent, task: Task, run: Run) -> None:
    chat(worker, task, **{THOUGHT: 60})
    assert run.pk == task.run_id
    ((model, _spend, calls, tokens, reasoning, _none),) = rows_of("by-model")
    assert (model, calls, tokens, reasoning) == ("large", "1", "1100", "60")
