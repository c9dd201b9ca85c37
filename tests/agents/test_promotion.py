"""Another version of an agent: who promotes it, what it changes, what becomes of what the one before holds."""

from typing import Any

import pytest

from apps.agents.models import Action, Agent, AgentVersion, ChangeRequest
from apps.agents.services import agree_to_change, ask_change, save_version
from apps.audit.models import Entry
from apps.audit.tasks import deliver_reactions
from apps.core.errors import ConflictError, InvalidError
from apps.core.models import User
from apps.workflows.models import Attempt, Task
from apps.workflows.services import claim_tasks
from apps.workflows.tasks.runs import sweep_handovers
from tests.agents.test_changes import managers
from tests.agents.test_life import LOOK
from tests.factories.access import make_admin, make_holder
from tests.factories.agents import make_agent, make_key_for
from tests.factories.workflows import make_workflow, permit_workflow
from tests.oversight.test_api import caller, post
from tests.workflows.actions import Desk, make_desk

pytestmark = pytest.mark.django_db


def with_draft(agent: Agent) -> AgentVersion:
    return save_version(make_admin(), agent=agent, model="m2", instructions="Be bolder.", activate=False)[0]


def promote(agent: Agent, number: int, handover: str = "drain", **more: Any) -> ChangeRequest | None:
    asked = {"kind": "version", "to": str(number), "handover": handover, "reason": "Better.", **more}
    return ask_change(make_admin(), agent=agent, **asked)


def states(agent: Agent) -> dict[int, str]:
    return dict(agent.versions.order_by("number").values_list("number", "state"))


@pytest.fixture
def desk() -> Desk:
    """An agent in the middle of work: it holds a task and asked people for a payment; version 2 is a draft."""
    desk = make_desk(execution="both")
    workflow = make_workflow(LOOK)
    Agent.objects.filter(pk=desk.agent.pk).update(capabilities=["look"])
    permit_workflow(desk.agent, workflow)
    desk.post("runs/", {"workflow": "look", "input": {}}, key="run")
    desk.post("tasks/claim/", {})
    desk.ask(250_000)
    with_draft(desk.agent)
    return desk


def lease() -> str:
    return str(Task.objects.get(state="claimed").fence)


def bound(desk: Desk, number: int) -> str:
    return make_key_for(desk.agent, version=desk.agent.versions.get(number=number))


class TestWhoPromotes:
    def test_one_person_does_for_a_lesser_agent_and_the_next_request_acts_as_it(self) -> None:
        agent = make_agent()
        with_draft(agent)
        assert promote(agent, 2) is None
        agent.refresh_from_db()
        assert (agent.version.number, states(agent)) == (2, {1: "draining", 2: "active"})
        entry = Entry.objects.get(name="agentversion.active")
        assert (entry.payload["reason"], entry.payload["rollback"]) == ("Better.", False)
        assert agent.epoch == 2

    def test_two_do_for_a_grave_one_and_it_is_a_pilot_again(self) -> None:
        agent = make_agent(risk="high")
        with_draft(agent)
        change = promote(agent, 2)
        assert change is not None
        agent.refresh_from_db()
        assert (agent.version.number, agent.state) == (1, "active")
        agree_to_change(make_admin(), change=change)
        agent.refresh_from_db()
        assert (agent.version.number, agent.state) == (2, "pilot")
        assert Entry.objects.get(name="agent.pilot").payload["why"] == "new_version"

    def test_a_risk_that_somebody_raised_meanwhile_is_minded(self) -> None:
        agent = make_agent()
        Agent.objects.filter(pk=agent.pk).update(risk="high")
        with pytest.raises(ConflictError) as refusal:
            save_version(make_admin(), agent=agent, model="m2")
        assert (refusal.value.code, states(agent)) == ("second_person_required", {1: "active"})

    def test_going_back_waits_for_nobody(self) -> None:
        agent = make_agent(risk="critical")
        with_draft(agent)
        change = promote(agent, 2, "return")
        assert change is not None
        agree_to_change(make_admin(), change=change)
        agent.refresh_from_db()
        assert promote(agent, 1, "return") is None
        agent.refresh_from_db()
        assert (agent.version.number, states(agent)) == (1, {1: "active", 2: "superseded"})
        assert Entry.objects.filter(name="agentversion.active").latest("id").payload["rollback"] is True

    def test_nobody_slips_a_version_in_by_the_way(self) -> None:
        agent = make_agent(risk="high")
        answer = post(caller(make_admin()), f"/api/v1/agents/{agent.slug}/versions/", {"model": "m2"})
        assert (answer.status_code, answer.json()["code"]) == (409, "second_person_required")
        assert states(agent) == {1: "active"}
        draft = {"model": "m2", "activate": False}
        assert post(caller(make_admin()), f"/api/v1/agents/{agent.slug}/versions/", draft).status_code == 201
        assert states(agent) == {1: "active", 2: "draft"}

    @pytest.mark.parametrize(("number", "handover"), [("9", "drain"), ("x", "drain"), ("2", ""), ("2", "burn")])
    def test_what_does_not_fit_promotes_nothing(self, number: str, handover: str) -> None:
        agent = make_agent()
        with_draft(agent)
        with pytest.raises(InvalidError):
            ask_change(make_admin(), agent=agent, kind="version", to=number, handover=handover, reason="x")
        assert states(agent) == {1: "active", 2: "draft"}

    def test_a_retired_agent_gets_none(self) -> None:
        agent = make_agent()
        with_draft(agent)
        Agent.objects.filter(pk=agent.pk).update(state="retired")
        agent.refresh_from_db()
        with pytest.raises(ConflictError):
            promote(agent, 2)
        with pytest.raises(ConflictError):
            save_version(make_admin(), agent=agent, model="m3", activate=False)
        assert states(agent) == {1: "active", 2: "draft"}


class TestDraining:
    def test_what_the_version_before_holds_it_finishes_and_begins_nothing(self, desk: Desk) -> None:
        promote(desk.agent, 2)
        old = bound(desk, 1)
        for path, body in (
            ("tasks/claim/", {}),
            ("actions/", desk.body()),
            ("runs/", {"workflow": "look", "input": {}}),
        ):
            answer = desk.post(path, body, key=path, token=old)
            assert (answer.status_code, answer.json()["code"]) == (409, "unknown_version"), path
        task = Task.objects.get(state="claimed")
        assert desk.post(f"tasks/{task.pk}/heartbeat/", {"lease": lease()}, token=old).status_code == 200
        inside = desk.post("actions/", desk.body(task=str(task.pk)), key="inside", token=old)
        assert inside.status_code == 202
        done = desk.post(f"tasks/{task.pk}/complete/", {"lease": lease(), "output": {}}, token=old)
        assert done.status_code == 200

    def test_it_is_superseded_when_it_is_through(self, desk: Desk) -> None:
        promote(desk.agent, 2)
        assert sweep_handovers() == 0
        Task.objects.filter(state="claimed").update(state="done")
        assert sweep_handovers() == 0, "people are still asked"
        Action.objects.update(state="denied")
        assert sweep_handovers() == 1
        assert states(desk.agent) == {1: "superseded", 2: "active"}

    def test_what_a_test_key_asked_holds_up_nothing(self, desk: Desk) -> None:
        promote(desk.agent, 2)
        Task.objects.filter(state="claimed").update(state="done")
        Action.objects.update(environment="test")
        assert sweep_handovers() == 1
        assert states(desk.agent) == {1: "superseded", 2: "active"}

    def test_people_still_decide_what_it_asked(self, desk: Desk) -> None:
        promote(desk.agent, 2)
        deliver_reactions()
        assert Action.objects.get().state == "pending_approval"

    @pytest.mark.parametrize("handover", ["drain", "return"])
    def test_a_claim_that_came_in_before_takes_nothing_after(self, desk: Desk, handover: str) -> None:
        caller_before = User.objects.select_related("agent__version").get(agent=desk.agent)
        assert caller_before.agent.version.state == "active"  # read with the key, before anybody promoted
        promote(desk.agent, 2, handover)
        deliver_reactions()
        Task.objects.update(state="ready", agent=None, version=None, lease_until=None, timeout_at=None)
        with pytest.raises(ConflictError) as caught:
            claim_tasks(caller_before)
        assert caught.value.code == "unknown_version"
        assert not Task.objects.filter(state="claimed").exists()

    def test_going_back_to_it_ends_the_draining(self, desk: Desk) -> None:
        promote(desk.agent, 2)
        desk.agent.refresh_from_db()
        promote(desk.agent, 1)
        assert states(desk.agent) == {1: "active", 2: "draining"}
        assert sweep_handovers() == 1
        assert states(desk.agent) == {1: "active", 2: "superseded"}


class TestReturning:
    def test_its_tasks_are_offered_again_and_count_as_no_try(self, desk: Desk) -> None:
        task, held = Task.objects.get(state="claimed"), lease()
        promote(desk.agent, 2, "return")
        assert states(desk.agent) == {1: "superseded", 2: "active"}
        deliver_reactions()
        task.refresh_from_db()
        assert (task.state, task.agent, task.failures, task.losses) == ("ready", None, 0, 0)
        assert Attempt.objects.get(task_id=task.pk).state == "released"
        late = desk.post(f"tasks/{task.pk}/complete/", {"lease": held, "output": {}})
        assert (late.status_code, late.json()["code"]) == (409, "lease_lost")
        [again] = desk.post("tasks/claim/", {}).json()["tasks"]
        assert again["id"] == str(task.pk)
        task.refresh_from_db()
        assert task.version.number == 2

    def test_what_it_asked_people_ends(self, desk: Desk) -> None:
        promote(desk.agent, 2, "return")
        deliver_reactions()
        assert Action.objects.get().state != "pending_approval"


class TestWhereItIsShown:
    def test_over_http(self) -> None:
        agent = make_agent()
        with_draft(agent)
        client = caller(managers(agent)[0])
        told = client.get(f"/api/v1/agents/{agent.slug}/versions/2/").json()
        assert (told["against"], told["instructions"]) == (1, "Be bolder.")
        assert {row["path"]: (row["before"], row["after"]) for row in told["differences"]} == {
            "model": ("none", "m2"),
            "instructions": ("", "Be bolder."),
        }
        assert client.get(f"/api/v1/agents/{agent.slug}/versions/9/").status_code == 404
        assert client.get(f"/api/v1/agents/{agent.slug}/versions/2/?against=x").status_code == 404
        body = {"kind": "version", "to": "2", "handover": "return", "reason": "Better."}
        answer = post(client, f"/api/v1/agents/{agent.slug}/changes/", body)
        assert (answer.status_code, answer.json()["version"]) == (200, 2)

    def test_on_its_own_page(self, client: Any) -> None:
        agent = make_agent(risk="high")
        with_draft(agent)
        client.force_login(make_admin())
        url = f"/agents/{agent.slug}/versions/2/"
        page = client.get(url).content.decode()
        assert "What it changes of version 1" in page
        assert "Be bolder." in page
        assert "somebody else has to agree" in page
        assert client.post(url, {"handover": "drain"}).status_code == 422
        assert client.post(url, {"handover": "drain", "reason": "Better."}).status_code == 302
        assert "Asked to make version 2 the current one" in client.get(f"/agents/{agent.slug}/").content.decode()
        assert client.get(f"/agents/{agent.slug}/versions/9/").status_code == 404
        assert "Make it current" not in client.get(f"/agents/{agent.slug}/versions/1/").content.decode()

    def test_who_may_only_look_promotes_nothing(self, client: Any) -> None:
        agent = make_agent()
        with_draft(agent)
        client.force_login(make_holder("agents.view_agent", unit=agent.unit))
        url = f"/agents/{agent.slug}/versions/2/"
        assert "Make it current" not in client.get(url).content.decode()
        assert client.post(url, {"handover": "drain", "reason": "Better."}).status_code == 404
        assert states(agent) == {1: "active", 2: "draft"}
