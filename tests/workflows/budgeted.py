"""An agent that asks where one budget of each scope would count it, and another one that shares all but the agent's."""

from typing import Any, NamedTuple

from apps.access.models import BusinessUnit
from apps.agents.models import Agent
from apps.policies.models import Budget
from apps.workflows.services import claim_tasks
from tests.factories.access import make_unit
from tests.factories.agents import make_agent, make_key_for
from tests.factories.budgets import make_budget
from tests.factories.connectors import permit
from tests.factories.workflows import make_run, make_workflow, permit_workflow
from tests.workflows.actions import Desk, make_desk

SCOPES = ("agent", "unit", "workflow", "connector")
MEASURES: dict[str, dict[str, Any]] = {"money": {}, "calls": {"measure": "calls", "currency": ""}}


class Budgeted(NamedTuple):
    """``first`` and ``second`` each work on a task of one workflow, in units below one, with the same system."""

    first: Desk
    second: Desk
    tasks: dict[str, str]
    over: BusinessUnit
    flow: str

    def budget(self, scope: str, **fields: Any) -> Budget:
        """A budget that counts what the first desk asks; of its agent, or of what both have in common."""
        target = {
            "agent": self.first.agent.slug,
            "unit": self.over.slug,
            "workflow": self.flow,
            "connector": self.first.operation.connector.slug,
        }[scope]
        about = {"scope": scope, "target": target, "unit": self.over, "owner": self.first.agent.owner}
        return make_budget(self.first.agent, **{**about, **fields})

    def ask(self, amount: int, desk: Desk | None = None) -> Any:
        """What asking over the API answers, in a task."""
        who = desk or self.first
        return who.ask(amount, task=self.tasks[who.agent.slug]).json()


def make_budgeted(**operation: Any) -> Budgeted:
    """Both desks' units are below the one whose zone counts."""
    over = make_unit()
    first = make_desk(**operation)
    BusinessUnit.objects.filter(pk=first.agent.unit_id).update(parent=over)
    other = make_agent(unit=make_unit(parent=over))
    permit(other.user, first.operation)
    second = Desk(other, make_key_for(other), first.operation, first.queue, first.policy, first.approver)
    capability = "scopes.do"
    Agent.objects.filter(pk__in=[first.agent.pk, other.pk]).update(capabilities=[capability])
    workflow = make_workflow({"steps": {"a": {"agent": capability}, "b": {"agent": capability}}})
    for desk in (first, second):
        permit_workflow(desk.agent, workflow)
    make_run(workflow)
    tasks = {
        desk.agent.slug: str(claim_tasks(Agent.objects.get(pk=desk.agent.pk).user, limit=1)[0].pk)
        for desk in (first, second)
    }
    return Budgeted(first, second, tasks, over, workflow.slug)
