"""Test keys: judged as ever, shown for what they are, and nothing outside or in any figure knows of them."""

from typing import Any

import pytest

from apps.agents.models import Action, Agent, AgentCredential
from apps.agents.rules import REPEATS_FLAGGED
from apps.agents.selectors import gate_for
from apps.agents.services import change_state, create_credential
from apps.audit.models import Entry
from apps.connectors.models import Effect
from apps.connectors.selectors import what_agent_may_for
from apps.core.errors import ConflictError, InvalidError
from apps.kpis.models import ApprovalFact, CostItem
from apps.kpis.tasks import fold_entries as fold_facts
from apps.oversight.models import Escalation
from apps.policies.models import RuleDay
from apps.policies.tasks import fold_entries as fold_rules
from tests.agents.test_life import DOORS, LOOK, filled, kept, names_of
from tests.factories.access import make_admin
from tests.factories.workflows import make_workflow, permit_workflow
from tests.oversight.test_api import BASE, caller, decide, post
from tests.workflows.actions import Desk, make_desk, rules_of, work

pytestmark = pytest.mark.django_db
TRIES = ("actions/", "actions/check/", "me/access-requests/")
"""What a test key may do: try, and ask people for what its agent lacks."""
OWN = ("cancel", "comments", "consume", "outcome")


def key_of_test(desk: Desk) -> str:
    return create_credential(make_admin(), agent=desk.agent, environment="test").text


@pytest.fixture
def desk(system: Any) -> Desk:
    return make_desk(system.url, execution="both", fee_minor=30)


def ask(desk: Desk, token: str, amount_minor: int = 50_000, **more: Any) -> Any:
    return desk.post("actions/", desk.body(amount_minor, **more), key=f"t{Action.objects.count()}", token=token)


class TestWhatItReaches:
    def test_nothing_outside_is_called(self, desk: Desk, system: Any) -> None:
        answer = ask(desk, key_of_test(desk))
        assert (answer.status_code, answer.json()["environment"]) == (202, "test")
        work()
        action, effect = Action.objects.get(), Effect.objects.get()
        assert (action.state, action.result, effect.state) == ("succeeded", None, "succeeded")
        assert system.asked == []
        assert not Entry.objects.filter(name="effect.dispatched").exists()
        ask(desk, desk.key)
        work()
        assert len(system.asked) == 1

    @pytest.mark.parametrize(("path", "body"), DOORS, ids=[path for path, _ in DOORS])
    def test_no_work_that_is_live(self, desk: Desk, path: str, body: dict[str, Any]) -> None:
        if path in TRIES:
            return
        workflow = make_workflow(LOOK)
        Agent.objects.filter(pk=desk.agent.pk).update(capabilities=["look"])
        permit_workflow(desk.agent, workflow)
        names, key = names_of(desk), key_of_test(desk)
        before = kept()
        answer = desk.post(path.format(**names), filled(body, names), key="now", token=key)
        is_own = path.startswith("actions/")
        expected = (404, "not_found") if is_own else (403, "live_only")
        assert (answer.status_code, answer.json()["code"]) == expected
        assert kept() == before

    def test_a_live_key_does_not_meet_what_was_tried(self, desk: Desk) -> None:
        tried = ask(desk, key_of_test(desk), reference="inv-1").json()
        assert desk.get(f"actions/{tried['id']}/").status_code == 404
        meant = ask(desk, desk.key, reference="inv-1").json()
        assert meant["id"] != tried["id"]
        assert meant["attempts"] == 1

    def test_an_answer_that_was_kept_for_a_test_answers_nothing_in_earnest(self, desk: Desk, system: Any) -> None:
        said = desk.body(50_000)
        tried = desk.post("actions/", said, key="invoice-1", token=key_of_test(desk))
        meant = desk.post("actions/", said, key="invoice-1", token=desk.key)
        assert meant.headers.get("Idempotency-Replayed") is None
        assert (meant.json()["environment"], meant.json()["id"] != tried.json()["id"]) == ("live", True)
        work()
        assert len(system.asked) == 1
        again = desk.post("actions/", said, key="invoice-1", token=desk.key)
        assert (again.headers["Idempotency-Replayed"], again.json()["id"]) == ("true", meant.json()["id"])

    def test_lets_nothing_be_approved_in_advance_that_is_meant(self, system: Any, client: Any) -> None:
        lets = {"standing": {"times": 20, "days": 7, "up_to_minor": 300_000}}
        desk = make_desk(system.url, obligations=lets, target="iban")
        ask(desk, key_of_test(desk), 250_000)
        item, person = Escalation.objects.get(), caller(desk.approver)
        client.force_login(desk.approver)
        body = {"version": item.version, "days": 7, "times": 3, "up_to_minor": 250_000}
        answer = post(person, f"{BASE}{item.pk}/standing/", body)
        assert (answer.status_code, list(answer.json()["errors"])) == (422, ["escalation"])
        assert "Approve the like of this in advance" not in client.get(f"/inbox/{item.pk}/").content.decode()
        meant = ask(desk, desk.key, 250_000).json()
        assert meant["state"] == "pending_approval"
        item = Escalation.objects.get(action=meant["id"])
        assert "Approve the like of this in advance" in client.get(f"/inbox/{item.pk}/").content.decode()
        assert post(person, f"{BASE}{item.pk}/standing/", body).status_code == 201
        assert ask(desk, key_of_test(desk), 240_000).json()["state"] == "pending_approval"
        assert ask(desk, desk.key, 240_000).json()["state"] == "approved"
        Action.objects.filter(pk=meant["id"]).update(environment="test")  # as one that was given before this was minded
        assert ask(desk, desk.key, 230_000).json()["state"] == "pending_approval"

    def test_a_no_to_a_test_is_no_no_in_earnest(self, desk: Desk) -> None:
        key = key_of_test(desk)
        ask(desk, key, 250_000)
        item = Escalation.objects.get()
        body = {"verdict": "reject", "reason": "No.", "version": item.version}
        assert decide(caller(desk.approver), item, **body).status_code == 200
        assert ask(desk, desk.key, 250_000).status_code == 202
        again = ask(desk, key, 250_000)
        assert (again.status_code, again.json()["code"]) == (409, "previously_rejected")
        for _ in range(REPEATS_FLAGGED):
            ask(desk, key, 250_000)
        assert "flags" not in [line.proof for line in gate_for(make_admin(), desk.agent) if not line.passed]
        assert not Entry.objects.filter(name="agent.flagged").exists()


class TestADraft:
    @pytest.fixture
    def draft(self, desk: Desk) -> Desk:
        Agent.objects.filter(pk=desk.agent.pk).update(state="draft")
        return desk

    def test_tries_with_a_test_key_alone(self, draft: Desk) -> None:
        refused = ask(draft, draft.key)
        assert (refused.status_code, refused.json()["code"]) == (403, "agent_inactive")
        assert not Action.objects.exists()
        assert ask(draft, key_of_test(draft)).status_code == 202
        work()
        assert Action.objects.get().state == "succeeded"

    def test_what_people_approve_is_no_call_either(self, draft: Desk, system: Any) -> None:
        ask(draft, key_of_test(draft), 250_000)
        item = Escalation.objects.get()
        assert item.title.startswith("Test · ")
        assert item.consequence.startswith("A test, nothing is called. Will pay")
        body = {"verdict": "approve", "version": item.version}
        assert decide(caller(draft.approver), item, **body).status_code == 200
        work()
        assert Action.objects.get().state == "succeeded"
        assert system.asked == []

    def test_when_suspended_it_tries_nothing(self, draft: Desk) -> None:
        key = key_of_test(draft)
        Agent.objects.filter(pk=draft.agent.pk).update(state="pilot")
        draft.agent.refresh_from_db()
        change_state(make_admin(), agent=draft.agent, to="suspended", reason="odd")
        refused = ask(draft, key)
        assert (refused.status_code, refused.json()["code"]) == (403, "agent_inactive")

    def test_the_agent_carries_out_a_test_of_its_own(self, draft: Desk) -> None:
        key = key_of_test(draft)
        asked = ask(draft, key, execution="agent").json()
        taken = draft.post(f"actions/{asked['id']}/consume/", {"digest": asked["digest"]}, key="c", token=key)
        assert (taken.status_code, taken.json()["state"]) == (200, "executing")
        done = draft.post(f"actions/{asked['id']}/outcome/", {"succeeded": True}, key="o", token=key)
        assert done.json()["state"] == "succeeded"


def fold() -> None:
    """What the projections would: each entry of the ledger, once."""
    entries = list(Entry.objects.order_by("id"))
    fold_facts(entries)
    RuleDay.objects.all().delete()
    fold_rules(entries)


class TestFigures:
    def test_leave_it_out(self, desk: Desk) -> None:
        key = key_of_test(desk)
        ask(desk, key)
        ask(desk, key, 250_000)
        item = Escalation.objects.get()
        body = {"verdict": "approve", "version": item.version}
        assert decide(caller(desk.approver), item, **body).status_code == 200
        work()
        fold()
        assert not ApprovalFact.objects.exists()
        assert not CostItem.objects.exists()
        assert not RuleDay.objects.exists()
        assert next(line.value for line in gate_for(make_admin(), desk.agent)) == 0
        assert [use.used for use in what_agent_may_for(make_admin(), desk.agent)] == [0]
        ask(desk, desk.key)
        work()
        fold()
        assert CostItem.objects.exists()
        assert RuleDay.objects.exists()

    def test_uses_up_no_limit(self, desk: Desk) -> None:
        count = f"history.count('{desk.operation.slug}', '1d', 'agent')"
        rules_of(desk, {"slug": "few", "when": f"{count} > 0", "effect": "deny"}, {"slug": "rest"})
        key = key_of_test(desk)
        assert ask(desk, key).status_code == 202
        assert ask(desk, desk.key).status_code == 202
        assert ask(desk, desk.key).json()["state"] == "denied"
        assert ask(desk, key).json()["state"] == "denied"

    def test_a_rule_can_tell_it_apart(self, desk: Desk) -> None:
        rules_of(desk, {"slug": "tests", "when": "action.environment == 'test'"})
        assert ask(desk, key_of_test(desk)).json()["state"] == "approved"
        assert ask(desk, desk.key).json()["state"] == "denied"


class TestKeys:
    def test_each_environment_has_room_of_its_own(self, desk: Desk) -> None:
        for _ in range(2):
            create_credential(make_admin(), agent=desk.agent, environment="test")
        with pytest.raises(ConflictError):
            create_credential(make_admin(), agent=desk.agent, environment="test")
        with pytest.raises(InvalidError):
            create_credential(make_admin(), agent=desk.agent, environment="else")
        create_credential(make_admin(), agent=desk.agent)
        assert AgentCredential.objects.count() == 4

    def test_me_says_where_it_acts(self, desk: Desk) -> None:
        key = key_of_test(desk)
        assert desk.get("me/").json()["environment"] == "live"
        desk.key = key
        assert desk.get("me/").json()["environment"] == "test"

    def test_it_is_made_and_shown_on_the_page_and_over_http(self, desk: Desk, client: Any) -> None:
        client.force_login(make_admin())
        url = f"/agents/{desk.agent.slug}/"
        assert client.post(f"{url}keys/", {"days": 30, "environment": "test"}).status_code == 302
        assert AgentCredential.objects.latest("id").environment == "test"
        ask(desk, key_of_test(desk))
        action = Action.objects.get()
        for path in (url, "/actions/", f"/actions/{action.pk}/"):
            assert '<span class="badge info">Test</span>' in client.get(path).content.decode(), path
        body = {"environment": "test"}
        full = post(caller(make_admin()), f"/api/v1/agents/{desk.agent.slug}/credentials/", body)
        assert full.status_code == 409
        wrong = post(caller(make_admin()), f"/api/v1/agents/{desk.agent.slug}/credentials/", {"environment": "x"})
        assert (wrong.status_code, list(wrong.json()["errors"])) == (422, ["environment"])
