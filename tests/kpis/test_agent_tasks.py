"""Versions of agents compared by what their tasks took and cost: each claim for the version that had it."""

from datetime import datetime, timedelta
from itertools import count
from random import Random
from typing import Any
from uuid import uuid4

import pytest

from apps.agents.models import Action, Agent, AgentVersion
from apps.core.models import User
from apps.core.rules import digest_of
from apps.core.services import system_user
from apps.kpis.models import CostItem
from apps.kpis.models.claims import claims_worked
from apps.kpis.models.clock import database_now
from apps.kpis.services import save_price
from apps.oversight.models import Escalation
from apps.telemetry.models import UsageRecord
from apps.workflows.models import Attempt, Run, Workflow
from apps.workflows.services import claim_tasks, fail_task
from apps.workflows.services.tasks.sweeps import offer_scheduled
from tests.factories.access import make_holder, make_unit
from tests.factories.agents import make_action
from tests.factories.kpis import NOON
from tests.factories.oversight import make_payment
from tests.factories.workflows import make_run, make_worker, make_workflow
from tests.kpis.test_agent_versions import asked, page
from tests.kpis.test_folding import DOCUMENT, fold, whole_run

pytestmark = pytest.mark.django_db
PERIOD = "from=2026-10-01&to=2026-12-01"
EUR = 1_000_000
_items = count(1)


@pytest.fixture
def workflow() -> Workflow:
    return make_workflow(DOCUMENT)


@pytest.fixture
def worker(workflow: Workflow) -> Agent:
    return make_worker(workflow, "order.check", slug="payer")


@pytest.fixture
def run(workflow: Workflow) -> Run:
    return make_run(workflow)


@pytest.fixture
def executive() -> User:
    return make_holder("kpis.view_kpi")


def version_of(agent: Agent, number: int) -> AgentVersion:
    found = AgentVersion.objects.filter(agent=agent, number=number).first()
    return found or AgentVersion.objects.create(
        agent=agent, number=number, state="pilot", model="none", digest=digest_of({}), made_by=agent.owner
    )


def worked(
    run: Run,
    agent: Agent,
    number: int,
    n: int,
    *,
    minutes: float = 10,
    euros: float = 0.0,
    days: int = 20,
    **fields: Any,
) -> list[Attempt]:
    """Tasks that a version took, each about so long and dear, on twenty days one after the other."""
    source, version = Random(f"{number} {n} {minutes} {fields}"), version_of(agent, number)
    rows = []
    for at in range(n):
        end = NOON - timedelta(days=at % 20)
        took = timedelta(minutes=minutes * source.lognormvariate(0, 0.5))
        more = {"state": "done", "capability": "order.check", **fields}
        rows.append(
            Attempt(run=run, step="check", round=1, item=next(_items), agent=agent, version=version, created_at=end,
                    **{"task_id": uuid4(), "claimed_at": end - took, **more})
        )  # fmt: skip
    Attempt.objects.bulk_create(rows)
    for one in rows if euros else ():
        spent(one, euros * source.lognormvariate(0, 0.3))
    return rows


def spent(one: Attempt, euros: float, at: datetime | None = None) -> None:
    """A model was called for a task."""
    assert one.agent is not None
    used = UsageRecord.objects.create(
        agent=one.agent, model="large", input_tokens=1, output_tokens=1, run_id=one.run_id, task_id=one.task_id
    )
    CostItem.objects.create(
        kind="llm", source_id=used.pk, run_id=one.run_id, agent=one.agent.slug, model="large",
        amount_micro=round(euros * EUR), incurred_at=at or one.created_at, priced_by="book",
    )  # fmt: skip


def cost_of(one: Attempt) -> int:
    return int(claims_worked().values_list("cost_micro", flat=True).get(pk=one.pk))


def took_s(one: Attempt) -> float:
    return int(claims_worked().values_list("took_ms", flat=True).get(pk=one.pk)) / 1000


def test_a_version_that_is_faster_and_cheaper_is_better_and_says_by_how_much(
    run: Run, worker: Agent, executive: User
) -> None:
    was, now = worked(run, worker, 1, 120, euros=2), worked(run, worker, 2, 120, minutes=4, euros=1)
    found = asked(executive).json()
    assert (found["version"], found["against"]) == (2, 1)
    time, cost = found["figures"]["task_time_p50_s"], found["figures"]["cost_per_task_minor"]
    assert (time["outcome"], cost["outcome"]) == ("better", "better")
    assert time["compared"] == {"now": 120, "was": 120}
    each = [sum(cost_of(one) for one in side) / 10_000 / 120 for side in (now, was)]
    assert cost["now"]["value"] == pytest.approx(each[0], abs=0.01)
    assert cost["difference"]["value"] == pytest.approx(each[0] - each[1])
    assert cost["difference"]["low"] < cost["difference"]["value"] < cost["difference"]["high"] < 0
    assert time["difference"]["high"] < 0
    assert found["figures"]["accuracy"]["outcome"] == "too_few"
    unit = run.unit.name
    mix = {"workflow": "order", "capability": "order.check", "unit": unit, "now": 120, "was": 120, "compared": True}
    assert found["tasks"] == {"mix": [mix], "mix_moved": 0, "left_out": 0}
    text = page(executive).content.decode()
    assert "Better: Time per task, median; Cost per task" in text
    assert "Which tasks they took, and where" in text
    assert "shorter (95 % interval: " in text


def test_versions_that_are_alike_are_no_change_and_few_tasks_say_nothing(
    run: Run, worker: Agent, executive: User
) -> None:
    worked(run, worker, 1, 400, euros=2)
    worked(run, worker, 2, 400, euros=2, minutes=10.001)
    worked(run, worker, 3, 20, euros=9)
    figures = asked(executive, f"agent=payer&version=2&against=1&{PERIOD}").json()["figures"]
    assert figures["task_time_p50_s"]["outcome"] == figures["cost_per_task_minor"]["outcome"] == "unclear"
    few = asked(executive).json()["figures"]["cost_per_task_minor"]
    assert (few["outcome"], few["difference"]) == ("too_few", None)
    assert (
        "At least 30 of each version are needed, where both ran on 5 days or more." in page(executive).content.decode()
    )


def test_tasks_of_another_workflow_or_capability_are_other_work(
    workflow: Workflow, worker: Agent, executive: User
) -> None:
    other = make_run(make_workflow({**DOCUMENT, "slug": "claims"}))
    mine = make_run(workflow)
    worked(mine, worker, 1, 60, minutes=1)
    worked(mine, worker, 2, 60, minutes=1)
    worked(other, worker, 2, 300, minutes=90)
    worked(mine, worker, 1, 40, minutes=90, capability="order.write")
    found = asked(executive).json()
    assert found["figures"]["task_time_p50_s"]["compared"] == {"now": 60, "was": 60}
    assert found["figures"]["task_time_p50_s"]["outcome"] != "worse"
    assert found["tasks"]["left_out"] == 340
    text = page(executive).content.decode()
    assert "Of 60 of 100 before and 60 of 360 now: where both ran on 5 days or more." in text


def test_failed_tries_are_paid_for_by_those_that_were_done(run: Run, worker: Agent, executive: User) -> None:
    worked(run, worker, 1, 40, euros=1)
    worked(run, worker, 2, 40, euros=1)
    worked(run, worker, 2, 40, euros=1, state="failed", minutes=500)
    found = asked(executive).json()["figures"]
    assert found["cost_per_task_minor"]["now"]["value"] > 1.7 * found["cost_per_task_minor"]["was"]["value"]
    assert found["task_time_p50_s"]["now"]["value"] < 1200


def test_time_in_which_people_decided_is_not_the_agents(run: Run, worker: Agent) -> None:
    begun = NOON - timedelta(minutes=60)
    (one,) = worked(run, worker, 1, 1, claimed_at=begun)
    assert took_s(one) == 3600
    for since, until in ((10, 30), (20, 35), (50, 90)):  # of the last its part within the claim counts
        item = make_payment().item
        Action.objects.filter(pk=item.action_id).update(agent=worker, run_id=run.pk, task_id=one.task_id)
        Escalation.objects.filter(pk=item.pk).update(
            state="expired", created_at=begun + timedelta(minutes=since), ended_at=begun + timedelta(minutes=until)
        )
    assert took_s(one) == (60 - 25 - 10) * 60
    assert took_s(worked(run, worker, 2, 1)[0]) > 0


def test_costs_are_of_the_claim_that_the_agent_had_then(run: Run, worker: Agent) -> None:
    start = NOON
    (first,) = worked(run, worker, 1, 1, state="failed", claimed_at=start - timedelta(hours=1), fence=1)
    (other,) = worked(run, worker, 1, 1)
    second = Attempt.objects.create(
        run=run, task_id=first.task_id, step="check", round=1, item=first.item, number=2, fence=2, agent=worker,
        version=version_of(worker, 2), claimed_at=start + timedelta(hours=2), created_at=start + timedelta(hours=3),
        state="done",
    )  # fmt: skip
    for euros, hours in ((1, -0.5), (2, 1.0), (4, 2.5), (8, 9.0), (16, -5.0)):
        spent(first, euros, start + timedelta(hours=hours))
    assert cost_of(first) == (1 + 2 + 16) * EUR  # while it had it, late, and by a clock that is behind
    assert cost_of(second) == (4 + 8) * EUR
    assert cost_of(other) == 0
    CostItem.objects.create(
        kind="agent", source_id=second.pk, run_id=run.pk, amount_micro=5, incurred_at=start, priced_by="rate"
    )
    asked_for = make_action(agent=worker, run_id=run.pk, task_id=first.task_id)
    type(asked_for).objects.filter(pk=asked_for.pk).update(created_at=start + timedelta(hours=1))
    CostItem.objects.create(  # asked for by the first, done when the second was long at it
        kind="connector", source_id=asked_for.pk, run_id=run.pk, amount_micro=7,
        incurred_at=start + timedelta(hours=2, minutes=30), priced_by="fee",
    )  # fmt: skip
    CostItem.objects.create(  # people's time is no agent's
        kind="human", source_id=uuid4(), run_id=run.pk, amount_micro=11, incurred_at=start, priced_by="hourly_rate"
    )
    assert (cost_of(first), cost_of(second)) == (19 * EUR + 7, 12 * EUR + 5)
    stranger = make_worker(run.workflow, "order.check")
    spent(Attempt(agent=stranger, run=run, task_id=first.task_id, created_at=start), 32, start)
    assert cost_of(first) == 19 * EUR + 7


def test_what_is_reported_while_a_task_is_held_is_in_it(workflow: Workflow, worker: Agent) -> None:
    """Through the doors and the ledger: the first try fails and is paid for, the second hands in."""
    save_price(
        system_user("console"), model="large", valid_from=database_now().replace(year=2020), input_micro=3,  # type: ignore[arg-type]
        output_micro=15,  # type: ignore[arg-type]
    )  # fmt: skip
    run = whole_run(workflow, worker)
    failing = make_run(workflow)
    (task,) = claim_tasks(worker.user)
    fail_task(worker.user, task_id=task.pk, lease=str(task.fence), code="x", message="", retryable=True)
    offer_scheduled()
    fold()
    rows = {row.run_id: row for row in claims_worked()}
    assert rows[run.pk].cost_micro == 1000 * 3 + 100 * 15
    assert rows[run.pk].took_ms >= 0
    assert (rows[failing.pk].cost_micro, rows[failing.pk].agent_version) == (0, 1)


def test_only_units_of_the_reader_count_and_rehearsals_only_when_asked(
    run: Run, worker: Agent, executive: User
) -> None:
    worked(run, worker, 1, 40)
    worked(run, worker, 2, 40)
    assert asked(make_holder("kpis.view_kpi", unit=run.unit)).json()["tasks"]["mix"][0]["now"] == 40
    assert page(make_holder("kpis.view_kpi", unit=make_unit())).status_code == 404
    Run.objects.filter(pk=run.pk).update(simulated=True)
    assert asked(executive).status_code == 422
    assert asked(executive, f"agent=payer&simulated=true&{PERIOD}").json()["tasks"]["mix"][0]["now"] == 40
