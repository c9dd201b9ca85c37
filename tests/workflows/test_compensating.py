"""What was done is taken back by another action: it is compensated then, or people hear that it still stands."""

import pytest
from django.test import Client

from apps.agents.models import Action
from apps.audit.models import Entry
from apps.connectors.models import Effect, Operation
from apps.connectors.rules.verifying import ReadBack, Reading
from apps.connectors.services import settle_check, take_check
from apps.core.errors import ConflictError, NotAllowedError
from apps.core.services import system_user
from apps.halts.services import engage_halt, lift_halt
from apps.oversight.models import Escalation
from apps.oversight.rules import Fate
from apps.oversight.selectors import fates_for, inbox_for
from apps.workflows.models import Run
from apps.workflows.services import cancel_run
from apps.workflows.services.actions import compensate_action
from tests.factories.access import grant, make_admin, make_approver, make_holder, make_role
from tests.factories.connectors import make_operation, permit
from tests.factories.oversight import nothing_happens, say
from tests.factories.policies import make_policy, make_rule
from tests.factories.workflows import carry_out, make_run, make_workflow, waiting_action
from tests.workflows.actions import make_desk, work

pytestmark = pytest.mark.django_db

REFUND = {"type": "object", "required": ["id"], "properties": {"id": {"type": "string"}}, "additionalProperties": False}
PAID = b'{"id": "p-1"}'


def undoable(desk, **more):
    """From now on the desk's payments can be taken back, by the same agent, alone."""
    undoing = make_operation(
        connector=desk.operation.connector, slug=f"{desk.operation.slug}.refund", path="/refunds", parameters=REFUND,
        amount=None, target="id", consequence="Will refund {id}.", idempotency="none", **more,
    )  # fmt: skip
    permit(desk.agent.user, undoing)
    named = {"operation": undoing.slug, "parameters": {"id": "response.id"}}
    Operation.objects.filter(pk=desk.operation.pk).update(compensation=named)
    make_policy(make_rule(scope={"operations": [undoing.slug]}), unit=desk.agent.unit)
    return undoing


@pytest.fixture
def desk(system):
    desk = make_desk(system.url)
    undoable(desk)
    return desk


@pytest.fixture
def keeper(desk):
    return make_holder("agents.manage_agent", "agents.view_agent", unit=desk.agent.unit, username="keeper")


def paid(desk, system, amount_minor=50_000):
    system.will(body=PAID)
    assert desk.ask(amount_minor).status_code == 202
    work()
    return Action.objects.get(operation=desk.operation.slug)


def the_effect(action):
    return Effect.objects.get(action=action)


def test_what_was_done_is_compensated_when_its_undoing_succeeded(desk, system, keeper):
    action = paid(desk, system)
    taking = compensate_action(keeper, action=action, reason="Paid twice.")
    action.refresh_from_db()
    assert (action.state, taking.state, taking.compensates_id) == ("succeeded", "approved", action.pk)
    assert taking.parameters == {"id": "p-1"}
    system.will(body=b"{}")
    work()
    action.refresh_from_db()
    assert (action.state, the_effect(action).state) == ("compensated", "compensated")
    assert [asked[:2] for asked in system.asked] == [("POST", "/payments"), ("POST", "/refunds")]
    asked = Entry.objects.get(name="action.compensation_asked")
    assert (asked.actor, asked.payload["reason"], asked.subject_id) == (keeper, "Paid twice.", action.pk)
    told = Entry.objects.get(name="effect.compensated")
    assert (told.payload["by"], told.payload["by_hand"]) == (str(taking.pk), False)
    assert Entry.objects.get(name="action.compensated").payload["action"] == str(taking.pk)


def test_the_api_and_the_page_say_what_took_it_back(desk, system):
    action = paid(desk, system)
    answer = desk.post(f"actions/{action.pk}/compensate/", {"reason": "Wrong vendor."}, key="undo")
    assert answer.status_code == 202, answer.content
    taking = answer.json()
    assert (taking["compensates"], taking["operation"]) == (str(action.pk), f"{desk.operation.slug}.refund")
    system.will(body=b"{}")
    work()
    seen = desk.get(f"actions/{action.pk}/").json()
    assert (seen["state"], seen["final"], seen["compensated_by"]) == ("compensated", True, taking["id"])
    client = Client()
    client.force_login(make_admin())
    page = client.get(f"/actions/{action.pk}/").content.decode()
    assert f"/actions/{taking['id']}/" in page
    assert f"/actions/{action.pk}/" in client.get(f"/actions/{taking['id']}/").content.decode()


def test_an_undoing_that_failed_is_an_exception_before_the_owner(desk, system, keeper):
    action = paid(desk, system)
    desk.agent.owner = desk.approver
    desk.agent.save(update_fields=["owner"])
    compensate_action(keeper, action=action, reason="Paid twice.")
    system.will(status=409, body=b'{"error": "settled"}')
    work()
    action.refresh_from_db()
    assert (action.state, the_effect(action).state) == ("succeeded", "succeeded")
    item = Escalation.objects.get()
    assert (item.kind, item.action_id, item.assigned_to, item.state) == (
        "exception", action.pk, desk.approver, "pending",
    )  # fmt: skip
    assert "Could not be taken back" in item.title
    assert item.subject["error"]["code"] == "refused_by_system"
    client = Client()
    client.force_login(desk.approver)
    page = client.get(f"/inbox/{item.pk}/").content.decode()
    assert "done by hand" in page
    assert "refused_by_system" in page


def failed_undoing(desk, system, keeper):
    action = paid(desk, system)
    compensate_action(keeper, action=action, reason="Paid twice.")
    system.will(status=409)
    work()
    return action


def test_a_person_undid_it_by_hand(desk, system, keeper):
    action = failed_undoing(desk, system, keeper)
    answer = {"next": "done by hand", "remark": "Called the bank."}
    say(desk.approver, Escalation.objects.get(), "answer", answer=answer)
    work()
    action.refresh_from_db()
    assert (action.state, the_effect(action).state) == ("compensated", "compensated")
    told = Entry.objects.get(name="effect.compensated")
    assert (told.actor, told.payload["by_hand"], told.payload["reason"]) == (desk.approver, True, "Called the bank.")


def test_it_is_left_as_it_is(desk, system, keeper):
    action = failed_undoing(desk, system, keeper)
    say(desk.approver, Escalation.objects.get(), "answer", answer={"next": "left as it is"})
    work()
    action.refresh_from_db()
    assert action.state == "succeeded"
    assert not Escalation.objects.filter(state="pending").exists()


def test_it_is_tried_again_by_who_may(desk, system, keeper):
    action = failed_undoing(desk, system, keeper)
    desk.approver.role_grants.create(
        role=keeper.role_grants.get().role, unit=desk.agent.unit, granted_by=system_user("console")
    )
    say(desk.approver, Escalation.objects.get(), "answer", answer={"next": "try again"})
    system.will(body=b"{}")
    work()
    action.refresh_from_db()
    assert action.state == "compensated"


def test_who_may_not_ask_is_told_so_in_a_new_item(desk, system, keeper):
    failed_undoing(desk, system, keeper)
    say(desk.approver, Escalation.objects.get(), "answer", answer={"next": "try again"})
    work()
    item = Escalation.objects.get(state="pending")
    assert item.subject["error"]["code"] == "not_allowed"


def test_only_what_stands_and_only_once(desk, system, keeper):
    action = paid(desk, system)
    compensate_action(keeper, action=action, reason="Paid twice.")
    with pytest.raises(ConflictError, match="already"):
        compensate_action(keeper, action=action, reason="Paid twice.")
    system.will(body=b"{}")
    work()
    action.refresh_from_db()
    with pytest.raises(ConflictError, match="stands"):
        compensate_action(keeper, action=action, reason="Paid twice.")


def test_what_is_refused_changes_nothing(desk, system, keeper):
    action = paid(desk, system)
    assert desk.post(f"actions/{action.pk}/compensate/", {}, key="a").status_code == 422
    assert desk.post(f"actions/{action.pk}/compensate/", {"reason": " "}, key="b").status_code == 422
    other = make_desk(system.url)
    assert other.post(f"actions/{action.pk}/compensate/", {"reason": "Mine."}, key="c").status_code == 404
    onlooker = make_holder("agents.view_agent", unit=desk.agent.unit, username="onlooker")
    client = Client()
    client.force_login(onlooker)
    assert client.post(f"/actions/{action.pk}/compensate/", {"reason": "Hm."}).status_code == 403
    assert "Take it back" not in client.get(f"/actions/{action.pk}/").content.decode()
    Operation.objects.filter(pk=desk.operation.pk).update(
        compensation={"operation": f"{desk.operation.slug}.refund", "parameters": {"id": "response.nothing"}}
    )
    answer = desk.post(f"actions/{action.pk}/compensate/", {"reason": "Wrong."}, key="d")
    assert (answer.status_code, answer.json()["code"]) == (409, "no_way_back")
    Operation.objects.filter(pk=desk.operation.pk).update(compensation=None)
    answer = desk.post(f"actions/{action.pk}/compensate/", {"reason": "Wrong."}, key="e")
    assert (answer.status_code, answer.json()["code"]) == (409, "no_way_back")
    assert Action.objects.filter(operation__contains=desk.operation.slug).count() == 1
    assert not Entry.objects.filter(name="action.compensation_asked").exists()


def test_rules_and_people_are_asked_as_for_anything_else(desk, system, keeper):
    action = paid(desk, system)
    make_policy(
        make_rule(
            effect="require_approval", queue=desk.queue.slug, scope={"operations": [f"{desk.operation.slug}.refund"]}
        ),
        unit=desk.agent.unit,
    )
    client = Client()
    client.force_login(keeper)
    page = client.get(f"/actions/{action.pk}/compensate/").content.decode()
    assert "p-1" in page
    assert client.post(f"/actions/{action.pk}/compensate/", {"reason": ""}).status_code == 422
    assert client.post(f"/actions/{action.pk}/compensate/", {"reason": "Paid twice."}).status_code == 302
    taking = Action.objects.get(compensates=action)
    assert taking.state == "pending_approval"
    say(desk.approver, Escalation.objects.get(state="pending"), "reject", reason="It is right.")
    work()
    action.refresh_from_db()
    assert action.state == "succeeded", "people said no: it stands, and nobody need be told again"
    assert Escalation.objects.count() == 1


def asked_by_an_approver(desk, system, exclude):
    """Who wants it undone, and may both ask for that and decide in the queue that a rule puts it before."""
    both = make_approver(desk.queue)
    grant(both, make_role("agents.manage_agent", "agents.view_agent"), desk.agent.unit)
    asks = {"effect": "require_approval", "queue": desk.queue.slug, "obligations": {"exclude": [exclude]}}
    make_policy(make_rule(scope={"operations": [f"{desk.operation.slug}.refund"]}, **asks), unit=desk.agent.unit)
    compensate_action(both, action=paid(desk, system), reason="Paid twice.")
    return both


def refuse(person, why):
    item = Escalation.objects.get(state="pending")
    assert item not in inbox_for(person)
    with nothing_happens(), pytest.raises(NotAllowedError) as caught:
        say(person, item)
    assert (caught.value.code, caught.value.members["why"]) == ("not_eligible", why)
    return item


@pytest.mark.parametrize("why", ["requester", "run_starter"])
def test_who_wants_it_undone_asked_for_it_and_does_not_approve_it(desk, system, why):
    item = refuse(asked_by_an_approver(desk, system, why), why)
    assert item in inbox_for(desk.approver)
    assert say(desk.approver, item).state == "approved"


@pytest.mark.parametrize("why", ["requester", "run_starter"])
def test_nor_once_a_halt_was_lifted_and_people_are_asked_again(desk, system, why):
    both = asked_by_an_approver(desk, system, why)
    say(desk.approver, refuse(both, why))
    halt = engage_halt(make_admin(), scope="agent", target=desk.agent.slug, unit=desk.agent.unit, reason="Look.")
    lift_halt(make_admin(), halt_id=halt.pk, reason="Fine.")
    work()
    refuse(both, why)


def test_an_approver_is_told_that_it_was_reversed(desk, system, keeper):
    desk.ask(250_000)
    say(desk.approver, Escalation.objects.get())
    system.will(body=PAID)
    work()
    action = Action.objects.get()
    compensate_action(keeper, action=action, reason="Paid twice.")
    system.will(body=b"{}")
    work()
    item = Escalation.objects.get()
    assert fates_for(desk.approver, [item.pk]) == {item.pk: Fate.REVERSED}


def test_what_was_taken_back_is_not_read_back_any_more(desk, system, keeper):
    look = make_operation(
        connector=desk.operation.connector, slug=f"{desk.operation.slug}.look", method="GET", path="/payments/{id}",
        effect="read", parameters=REFUND, amount=None, target="", consequence="", idempotency="none",
    )  # fmt: skip
    verify = {"operation": look.slug, "parameters": {"id": "response.id"}, "expect": "found.ok == true"}
    Operation.objects.filter(pk=desk.operation.pk).update(verify=verify)
    action = paid(desk, system)
    held = take_check()
    assert held is not None
    compensate_action(keeper, action=action, reason="Paid twice.")
    system.will(body=b"{}")
    work()
    assert the_effect(action).state == "compensated"
    assert settle_check(system_user("plane"), effect=held, seen=ReadBack(Reading.DIFFERS)) is None
    assert (the_effect(action).state, the_effect(action).verify_at) == ("compensated", None)


def test_a_test_is_taken_back_without_a_call(desk, system, keeper):
    action = paid(desk, system)
    Action.objects.filter(pk=action.pk).update(environment="test")
    action.refresh_from_db()
    calls = len(system.asked)
    taking = compensate_action(keeper, action=action, reason="Trying.")
    work()
    action.refresh_from_db()
    taking.refresh_from_db()
    assert (taking.environment, taking.state, action.state, len(system.asked)) == (
        "test",
        "succeeded",
        "compensated",
        calls,
    )


UNDOING = {
    "steps": {
        "a": {"operation": "lab.one", "compensate": {"operation": "lab.undo", "with": {"id": "steps.a.id"}}},
        "b": {"needs": ["a"], "agent": "lab.do", "on_error": {"then": "fail"}},
    }
}


def test_a_run_that_fails_takes_back_what_it_did_and_the_action_says_so():
    run = make_run(make_workflow(UNDOING), {})
    done = waiting_action(run, "a")
    carry_out(done, {"id": "A-1"})
    Operation.objects.filter(slug="lab.one").update(compensation={"operation": "lab.undo"})
    done = Action.objects.get(pk=done.pk)
    with pytest.raises(ConflictError, match="not over"):
        compensate_action(make_admin(), action=done, reason="Now.")
    cancel_run(make_admin(), run_id=run.pk, reason="Enough.")
    taking = Action.objects.get(purpose="compensate")
    assert (taking.compensates_id, taking.run_id) == (done.pk, run.pk)
    carry_out(taking, {})
    assert Action.objects.get(pk=done.pk).state == "compensated"
    assert the_effect(done).state == "compensated"
    assert Run.objects.get(pk=run.pk).state == "cancelled"


def test_the_item_says_why_the_system_refused_what_was_approved(desk, system):
    desk.ask(250_000)
    item = Escalation.objects.get()
    say(desk.approver, item)
    client = Client()
    client.force_login(desk.approver)
    assert "was not done" not in client.get(f"/inbox/{item.pk}/").content.decode()
    system.will(status=409, body=b'{"error": "account <b>closed</b>"}')
    work()
    page = client.get(f"/inbox/{item.pk}/").content.decode()
    assert "It was approved, and was not done." in page
    assert "answered 409" in page
    assert "account &lt;b&gt;closed&lt;/b&gt;" in page
    assert f"/actions/{item.action_id}/" in page
