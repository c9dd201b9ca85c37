"""What a halt stops where claims really happen, and what it leaves alone."""

import pytest

from apps.agents.models import Action, Agent
from apps.connectors.models import Effect
from apps.halts.services import engage_halt
from apps.oversight.models import Grant
from apps.workflows.models import Task
from apps.workflows.services import claim_tasks, complete_task, start_run
from apps.workflows.services.actions import perform_due
from tests.factories.access import make_admin, make_holder, make_unit
from tests.factories.agents import make_agent
from tests.factories.connectors import make_connector, make_operation
from tests.factories.workflows import make_workflow, permit_workflow
from tests.workflows.actions import make_desk, the_action

pytestmark = pytest.mark.django_db

TWO_STEPS = {
    "slug": "look-and-pay",
    "name": "Look and pay",
    "steps": {"look": {"agent": "look"}, "pay": {"needs": ["look"], "operation": "bank.pay", "with": {}}},
}


def halt_unit(unit) -> None:
    engage_halt(make_admin(), scope="unit", target=unit.slug, unit=unit, reason="odd")


@pytest.mark.parametrize("scope", ["everything", "agent", "version", "unit", "connector", "operation"])
def test_a_halted_grant_is_not_consumed(scope):
    desk = make_desk(execution="agent")
    asked = desk.ask(50_000, execution="agent").json()
    target = {
        "everything": "",
        "agent": desk.agent.slug,
        "version": f"{desk.agent.slug}@1",
        "unit": desk.agent.unit.slug,
        "connector": desk.operation.connector.slug,
        "operation": desk.operation.slug,
    }[scope]
    engage_halt(make_admin(), scope=scope, target=target, reason="odd")
    answer = desk.post(f"actions/{asked['id']}/consume/", {"digest": asked["digest"]})
    assert (answer.status_code, answer.json()["scope"]) == (423, scope)
    assert (the_action().state, Grant.objects.get().state) == ("approved", "live")


def test_parameters_that_were_changed_behind_the_planes_back_do_not_run(system):
    """Allowed by the rules alone: no grant stands behind it, so the digest is all there is."""
    desk = make_desk(system.url)
    desk.ask(50_000)
    action = the_action()
    Action.objects.update(parameters={**action.parameters, "amount_minor": 99_000_000})
    perform_due()
    assert (the_action().state, the_action().error["code"]) == ("failed", "binding_mismatch")
    assert system.asked == []


@pytest.fixture
def looking():
    """A workflow whose run may be of a branch, and an agent of another unit that works in it."""
    make_operation(slug="bank.pay", connector=make_connector(slug="bank"), parameters={"type": "object"},
                   amount=None, target="", consequence="")  # fmt: skip
    workflow = make_workflow(TWO_STEPS)
    agent = make_agent(capabilities=["look"])
    permit_workflow(agent, workflow)
    return workflow, make_unit(parent=workflow.unit), agent


def started(workflow, unit):
    return start_run(make_holder("workflows.start_run"), workflow=workflow.slug, input={}, business_unit=unit.slug)


@pytest.mark.parametrize("where", ["branch", "workflow", "elsewhere"])
def test_tasks_of_a_halted_unit_are_passed_over(looking, where):
    workflow, branch, agent = looking
    started(workflow, branch)
    halt_unit({"branch": branch, "workflow": workflow.unit, "elsewhere": make_unit()}[where])
    assert len(claim_tasks(agent.user)) == (1 if where == "elsewhere" else 0)
    assert Task.objects.get().state == ("claimed" if where == "elsewhere" else "ready")


def test_a_halt_on_the_runs_own_unit_stops_the_workflows_operations_too(looking):
    workflow, branch, agent = looking
    run = started(workflow, branch)
    [task] = claim_tasks(agent.user)
    halt_unit(branch)
    complete_task(agent.user, task_id=task.pk, lease=str(task.fence), output={})
    assert not Action.objects.filter(run_id=run.pk).exists()


def test_and_those_that_were_allowed_before_it(looking):
    workflow, branch, agent = looking
    run = started(workflow, branch)
    [task] = claim_tasks(agent.user)
    complete_task(agent.user, task_id=task.pk, lease=str(task.fence), output={})
    assert Action.objects.get(run_id=run.pk).state == "approved"
    halt_unit(branch)
    assert perform_due() == 0
    assert (the_action().state, Effect.objects.get().state) == ("approved", "prepared")


def test_an_agent_does_not_act_for_a_run_of_a_halted_unit(looking):
    workflow, branch, _ = looking
    desk = make_desk()
    Agent.objects.filter(pk=desk.agent.pk).update(capabilities=["look"])
    permit_workflow(desk.agent, workflow)
    started(workflow, branch)
    [task] = desk.post("tasks/claim/", {}).json()["tasks"]
    halt_unit(branch)
    assert desk.ask(50_000, task=task["id"]).json()["code"] == "halted"
    assert desk.ask(50_000).status_code == 202
