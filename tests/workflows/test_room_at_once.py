"""How much an agent does at once, with real threads, connections and commits: tasks and actions share one limit."""

from collections import Counter
from functools import partial

import pytest
from django.db import OperationalError, connections

from apps.agents.models import Action, Agent
from apps.connectors.models import Effect
from apps.core.errors import RateLimitedError
from apps.workflows.models import Task
from apps.workflows.services import claim_tasks
from apps.workflows.services.actions import consume_action, perform_due, report_outcome
from tests.factories.workflows import make_run, make_workflow, permit_workflow
from tests.together import at_once
from tests.workflows.actions import make_desk

pytestmark = pytest.mark.usefixtures("real_db")
MANY = {
    "input": {"type": "object", "properties": {"names": {"type": "array"}}},
    "steps": {"a": {"agent": "lab.do", "for_each": "input.names", "with": {"name": "item"}}},
}


def asked(desk, many: int, **more) -> list[Action]:
    ids = [desk.ask(1_000 + n, **more).json()["id"] for n in range(many)]
    return list(Action.objects.filter(pk__in=ids))


def taken(agent: Agent, action: Action):
    """As a client does: who gets no connection in time is told so (503), and asks again."""
    for _ in range(10):
        try:
            return consume_action(agent.user, action=action, digest=action.digest)
        except OperationalError:
            connections.close_all()
    raise AssertionError("no connection was to be had")


def test_of_fifty_that_begin_at_once_as_many_do_as_the_agent_may():
    desk = make_desk(execution="both")
    Agent.objects.filter(pk=desk.agent.pk).update(limits={"max_concurrent": 7})
    agent = Agent.objects.get()
    actions = asked(desk, 50, execution="agent")
    said = at_once(*(partial(taken, agent, action) for action in actions))
    assert Counter(type(each) for each in said) == {Action: 7, RateLimitedError: 43}
    assert {each.code for each in said if isinstance(each, RateLimitedError)} == {"too_many_at_once"}
    assert Action.objects.filter(state="executing").count() == 7
    assert Action.objects.filter(state="approved").count() == 43  # what did not begin may begin later
    done = Action.objects.filter(state="executing").first()
    report_outcome(agent.user, action=done, succeeded=True)
    rest = list(Action.objects.filter(state="approved"))
    said = at_once(*(partial(taken, agent, action) for action in rest[:10]))
    assert Counter(type(each) for each in said) == {Action: 1, RateLimitedError: 9}


def test_tasks_and_actions_that_begin_at_once_share_the_limit():
    workflow = make_workflow(MANY)
    desk = make_desk(execution="both")
    Agent.objects.filter(pk=desk.agent.pk).update(limits={"max_concurrent": 6}, capabilities=["lab.do"])
    agent = Agent.objects.get(pk=desk.agent.pk)
    permit_workflow(agent, workflow)
    make_run(workflow, {"names": list(range(20))})
    actions = asked(desk, 10, execution="agent")
    jobs = [partial(taken, agent, action) for action in actions]
    claims = [partial(claim_tasks, agent.user, limit=3) for _ in range(8)]
    at_once(*jobs, *claims)
    held = Task.objects.filter(agent=agent, state="claimed").count()
    assert Action.objects.filter(state="executing").count() + held == 6


def test_what_is_done_for_a_task_is_one_thing_with_it():
    workflow = make_workflow(MANY)
    desk = make_desk(execution="both")
    Agent.objects.filter(pk=desk.agent.pk).update(limits={"max_concurrent": 1}, capabilities=["lab.do"])
    agent = Agent.objects.get(pk=desk.agent.pk)
    permit_workflow(agent, workflow)
    make_run(workflow, {"names": [1, 2]})
    (task,) = claim_tasks(agent.user, limit=5)
    first, second = asked(desk, 2, execution="agent", task=str(task.pk))
    taken(agent, first)
    with pytest.raises(RateLimitedError):
        taken(agent, second)
    report_outcome(agent.user, action=first, succeeded=True)
    taken(agent, second)
    assert claim_tasks(agent.user, limit=5) == []


def test_an_effect_waits_for_room_and_loses_nothing():
    desk = make_desk(execution="both")
    Agent.objects.filter(pk=desk.agent.pk).update(limits={"max_concurrent": 1})
    agent = Agent.objects.get()
    (own,) = asked(desk, 1, execution="agent")
    taken(agent, own)
    desk.ask(2_000)
    assert perform_due() == 1
    effect = Effect.objects.select_related("action").get()
    assert (effect.state, effect.action.state, effect.attempt) == ("prepared", "approved", 0)
    assert effect.retry_at is not None
    report_outcome(agent.user, action=Action.objects.get(pk=own.pk), succeeded=True)
    Effect.objects.update(retry_at=None)
    assert perform_due() == 1
    assert Effect.objects.get().attempt == 1  # its turn came
