"""A suspended agent may look and do nothing, the keys of a retired one open nothing, from the next request on."""

import pytest

from apps.agents.models import Action, Agent
from apps.agents.services import change_state
from apps.audit.models import Entry
from apps.connectors.models import AccessRequest, Effect
from apps.halts.services import engage_halt
from apps.oversight.models import Comment, Escalation, Grant
from apps.telemetry.models import UsageRecord
from apps.workflows.models import Attempt, Interrupt, Run, Task, Workflow
from apps.workflows.urls import endpoints
from tests.factories.access import grant, make_admin, make_role, make_user
from tests.factories.workflows import make_workflow, permit_workflow
from tests.workflows.actions import make_desk

pytestmark = pytest.mark.django_db

LOOK = """
kind: Workflow
slug: look
name: Look
unit: finance
steps: {look: {agent: look}}
"""
CALL = {
    "action_requests": [{"name": "pay", "args": {"amount_minor": 50_000, "currency": "EUR", "iban": "DE0017"}}],
    "review_configs": [{"action_name": "pay", "allowed_decisions": ["approve", "reject"]}],
}
"""What the middleware of an agent framework interrupts with."""
KEPT = (AccessRequest, Action, Effect, Escalation, Grant, Comment, Interrupt, Task, Attempt, Run, UsageRecord)
DOORS = [
    ("actions/", {"operation": "{operation}", "parameters": {}}),
    ("actions/check/", {"operation": "{operation}", "parameters": {}}),
    ("actions/{pending}/cancel/", {}),
    ("actions/{pending}/compensate/", {"reason": "Wrong."}),
    ("actions/{pending}/comments/", {"text": "Please."}),
    ("actions/{approved}/consume/", {"digest": "{digest}"}),
    ("actions/{executing}/outcome/", {"succeeded": True}),
    ("interrupts/", {"interrupt": CALL, "operations": {"pay": "{operation}"}}),
    ("interrupts/{interrupt}/resume/", {}),
    ("runs/", {"workflow": "look", "input": {}}),
    ("runs/{run}/cancel/", {"reason": "x"}),
    ("runs/{run}/pause/", {"reason": "x"}),
    ("runs/{run}/resume/", {"reason": "x"}),
    ("tasks/claim/", {}),
    ("tasks/{task}/heartbeat/", {"lease": "{lease}"}),
    ("tasks/{task}/complete/", {"lease": "{lease}", "output": {}}),
    ("tasks/{task}/fail/", {"lease": "{lease}", "error": {"code": "x", "message": ""}, "retryable": False}),
    ("tasks/{task}/release/", {"lease": "{lease}"}),
    ("tasks/{task}/ask/", {"lease": "{lease}", "question": "Which?"}),
    ("me/access-requests/", {"operation": "bank.refund", "reason": "x"}),
    ("usage/", {"model": "m", "input_tokens": 1, "output_tokens": 1, "run": "{run}"}),
]
"""Every endpoint at which an agent's key changes something."""


@pytest.fixture
def desk():
    desk = make_desk(execution="both")
    workflow = make_workflow(LOOK)
    Agent.objects.filter(pk=desk.agent.pk).update(capabilities=["look"])
    permit_workflow(desk.agent, workflow)
    return desk


def names_of(desk):
    """What the agent was in the middle of: an action in each state, a run of its own, a task that it holds."""
    approved, executing = (desk.ask(50_000, execution="agent").json() for _ in range(2))
    desk.post(f"actions/{executing['id']}/consume/", {"digest": executing["digest"]})
    run = desk.post("runs/", {"workflow": "look", "input": {}}, key="run").json()
    desk.post("runs/", {"workflow": "look", "input": {}}, key="another run")
    asked = {"interrupt": CALL, "operations": {"pay": desk.operation.slug}}
    interrupt = desk.post("interrupts/", asked, key="interrupt").json()
    [task] = desk.post("tasks/claim/", {}).json()["tasks"]
    return {
        "operation": desk.operation.slug,
        "pending": desk.ask(250_000).json()["id"],
        "approved": approved["id"],
        "digest": approved["digest"],
        "executing": executing["id"],
        "interrupt": interrupt["id"],
        "run": run["id"],
        "task": task["id"],
        "lease": task["lease"]["token"],
    }


def filled(value, names):
    if isinstance(value, dict):
        return {name: filled(each, names) for name, each in value.items()}
    return value.format(**names) if isinstance(value, str) else value


def kept():
    return [list(model.objects.order_by("id").values()) for model in KEPT]


@pytest.mark.parametrize("state", ["suspended", "retired"])
@pytest.mark.parametrize(("path", "body"), DOORS, ids=[path for path, _ in DOORS])
def test_an_agent_that_does_not_work_changes_nothing_anywhere(desk, path, body, state):
    names = names_of(desk)
    change_state(make_admin(), agent=desk.agent, to=state, reason="odd")
    before, entries = kept(), Entry.objects.count()
    answer = desk.post(path.format(**names), filled(body, names), key="now")
    status, code, lines = {"suspended": (403, "agent_inactive", 1), "retired": (401, "credential_revoked", 2)}[state]
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert kept() == before
    assert Entry.objects.count() == entries + lines
    assert Entry.objects.latest("id").payload["code"] == code


@pytest.mark.parametrize("path", ["me/", "me/operations/", "actions/", "actions/{pending}/", "runs/{run}/"])
def test_it_may_still_look(desk, path):
    names = names_of(desk)
    change_state(make_admin(), agent=desk.agent, to="suspended", reason="odd")
    assert desk.get(path.format(**names)).status_code == 200


@pytest.mark.parametrize("path", ["me/", "me/operations/", "me/feedback/", "actions/", "actions/{pending}/"])
def test_retired_it_looks_no_more_and_whoever_owns_it_is_told_that_it_tries(desk, path):
    names = names_of(desk)
    change_state(make_admin(), agent=desk.agent, to="retired", reason="done")
    assert desk.get(path.format(**names)).json()["code"] == "credential_revoked"
    assert Entry.objects.filter(name="agent.key_refused", subject_id=desk.agent.pk).exists()


def test_retired_it_is_not_answered_again_what_it_was_answered_once(desk):
    body = {"operation": desk.operation.slug, "parameters": {"amount_minor": 250_000, "currency": "EUR"}}
    desk.post("actions/", body, key="once")
    change_state(make_admin(), agent=desk.agent, to="retired", reason="done")
    assert desk.post("actions/", body, key="once").status_code == 401


def test_no_door_of_agents_is_forgotten():
    reading = {f"{kind}s/<uuid:{kind}_id>/" for kind in ("action", "interrupt", "run", "task")}
    there = {str(endpoint.pattern) for endpoint in endpoints} - reading
    there = {path for path in there if not path.startswith("workflows/")} - {"runs/failures/", "runs/retry/"}
    asked = {
        path.format(
            **dict.fromkeys(["pending", "approved", "executing"], "<uuid:action_id>"),
            interrupt="<uuid:interrupt_id>",
            run="<uuid:run_id>",
            task="<uuid:task_id>",
        )
        for path, _ in DOORS
    }
    assert there | {"usage/", "me/access-requests/"} == asked


@pytest.mark.parametrize("scope", ["agent", "version"])
def test_a_halted_agent_starts_no_run(desk, scope):
    target = {"agent": desk.agent.slug, "version": f"{desk.agent.slug}@1"}[scope]
    engage_halt(make_admin(), scope=scope, target=target, unit=desk.agent.unit, reason="odd")
    answer = desk.post("runs/", {"workflow": "look", "input": {}}, key="run")
    assert (answer.status_code, answer.json()["scope"]) == (423, scope)
    assert not Run.objects.exists()


def test_a_run_on_behalf_of_a_person_needs_their_permission_too(desk):
    person, unit = make_user(), desk.agent.unit
    body = {"workflow": "look", "input": {}, "on_behalf_of": person.username}

    def status(key, **more):
        return desk.post("runs/", {**body, **more}, key=key).status_code

    assert (status("a"), Run.objects.count()) == (403, 0)
    grant(person, make_role("workflows.start_run"), unit=Workflow.objects.get().unit)
    assert status("b", business_unit=unit.slug) == 403
    assert status("c") == 201
    assert Run.objects.get().on_behalf_of == person
