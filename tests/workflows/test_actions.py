"""Agents ask, policy answers, the plane carries out."""

import pytest
from django.db import transaction

from apps.agents.models import Action
from apps.agents.services import change_state
from apps.audit.models import Entry
from apps.connectors.models import Effect
from apps.connectors.services import narrow_operation, revoke_operation
from apps.core.errors import InvalidError
from apps.core.services import system_user
from apps.halts.services import engage_halt
from apps.oversight.models import Escalation, Grant
from apps.oversight.services import cast_vote
from apps.policies.services import apply_policy
from apps.workflows.services.actions import Ask, submit_action
from tests.factories.access import grant, make_admin, make_role, make_user
from tests.factories.policies import make_rule
from tests.workflows.actions import make_desk, the_action, the_item, work

pytestmark = pytest.mark.django_db


def nothing_was_asked() -> bool:
    return not Action.objects.exists() and not Escalation.objects.exists() and not Effect.objects.exists()


def test_a_small_payment_is_allowed_and_carried_out_once(system):
    desk = make_desk(system.url)
    system.will(body=b'{"payment": 7}')
    answer = desk.ask(50_000)
    assert (answer.status_code, answer.json()["state"]) == (202, "approved")
    work()
    found = desk.get(f"actions/{answer.json()['id']}/").json()
    assert (found["state"], found["result"], found["final"]) == ("succeeded", {"payment": 7}, True)
    assert len(system.asked) == 1
    names = list(Entry.objects.filter(trail_id=found["id"]).order_by("id").values_list("name", flat=True))
    assert names == [
        "action.proposed", "action.approved", "effect.prepared", "effect.claimed", "action.executing",
        "effect.dispatched", "effect.succeeded", "action.succeeded",
    ]  # fmt: skip


def test_a_large_payment_waits_for_a_person_and_then_runs_with_a_grant(system):
    desk = make_desk(system.url)
    answer = desk.ask(250_000)
    assert (answer.status_code, answer.json()["state"]) == (202, "pending_approval")
    assert answer.json()["escalation"]["quorum"] == 1
    work()
    assert system.asked == []
    cast_vote(desk.approver, escalation_id=the_item().pk, verdict="approve", version=1)
    work()
    assert the_action().state == "succeeded"
    assert Grant.objects.get().state == "consumed"
    assert len(system.asked) == 1


def test_a_huge_payment_is_denied_at_once_and_says_why():
    answer = make_desk().ask(20_000_000)
    assert (answer.status_code, answer.json()["state"]) == (201, "denied")
    assert "Never." in [rule["message"] for rule in answer.json()["verdict"]["rules"]]
    assert not Escalation.objects.exists()
    assert not Effect.objects.exists()


def test_what_no_rule_allows_is_denied():
    desk = make_desk()
    apply_policy(system_user("console"), slug=desk.policy.slug, name="P", unit=desk.agent.unit, rules=[])
    answer = desk.ask()
    assert (answer.status_code, answer.json()["verdict"]["reason"]) == (201, "no_matching_allow")


def test_a_rejected_payment_never_runs_and_is_remembered(system):
    desk = make_desk(system.url)
    desk.ask(250_000, reference="inv-1")
    cast_vote(desk.approver, escalation_id=the_item().pk, verdict="reject", reason="wrong supplier", version=1)
    work()
    assert the_action().state == "rejected"
    again = desk.ask(250_000, reference="inv-1")
    assert (again.status_code, again.json()["code"], again.json()["reason"]) == (
        409,
        "previously_rejected",
        "wrong supplier",
    )
    assert Action.objects.count() == 1
    assert system.asked == []


def test_the_same_key_and_body_are_answered_again_and_another_body_is_a_conflict():
    desk = make_desk()
    first, second = desk.ask(key="same"), desk.ask(key="same")
    assert second.json() == first.json()
    assert second["Idempotency-Replayed"] == "true"
    other = desk.ask(1, key="same")
    assert (other.status_code, other.json()["code"]) == (409, "idempotency_conflict")
    assert Action.objects.count() == 1


def test_ten_retries_of_one_reference_are_one_action_and_one_item():
    desk = make_desk()
    answers = [desk.ask(250_000, reference="inv-1") for _ in range(10)]
    assert len({answer.json()["id"] for answer in answers}) == 1
    assert the_action().attempts == 10
    assert Escalation.objects.count() == 1


def test_changed_parameters_under_a_reference_supersede_what_waits():
    desk = make_desk()
    first = desk.ask(250_000, reference="inv-1").json()
    second = desk.ask(260_000, reference="inv-1").json()
    assert first["id"] != second["id"]
    assert Action.objects.get(pk=first["id"]).state == "cancelled"
    assert sorted(Escalation.objects.values_list("state", flat=True)) == ["pending", "superseded"]
    assert the_item().supersedes is not None


def test_checking_runs_nothing_asks_nobody_and_leaves_one_line():
    desk = make_desk()
    answer = desk.post("actions/check/", desk.body(250_000))
    assert (answer.status_code, answer.json()["verdict"]["effect"]) == (200, "require_approval")
    assert nothing_was_asked()
    assert list(Entry.objects.filter(name__startswith="action.").values_list("name", flat=True)) == ["action.checked"]


def test_an_action_needs_an_idempotency_key():
    desk = make_desk()
    answer = desk.post("actions/", desk.body())
    assert (answer.status_code, answer.json()["code"]) == (400, "idempotency_key_required")
    assert nothing_was_asked()


@pytest.mark.parametrize(
    ("raw", "status", "code"),
    [
        ("{", 400, "malformed"),
        ('{"operation": "x", "operation": "y"}', 400, "malformed"),
        ("[" * 70 + "]" * 70, 400, "malformed"),
        ("[]", 422, "invalid"),
        ('{"operation": "a\\u0000b", "parameters": {}}', 422, "invalid"),
        ('{"operation": 5, "parameters": {}}', 422, "invalid"),
        ('{"operation": "x", "parameters": []}', 422, "invalid"),
        ('{"operation": "x", "parameters": {"n": 9007199254740993}}', 422, "invalid"),
        ('{"operation": "x", "parameters": {}, "state": "approved"}', 422, "invalid"),
        ('{"operation": "nothing.like_it", "parameters": {}}', 404, "not_found"),
    ],
)
def test_what_cannot_be_read_or_does_not_fit_makes_no_action_and_leaves_a_line(raw, status, code):
    answer = make_desk().post("actions/", raw, key="k")
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert answer["Content-Type"] == "application/problem+json"
    assert nothing_was_asked()
    assert Entry.objects.get(name="request.refused").payload["code"] == code


@pytest.mark.parametrize("amount", ["50000", 50_000.5, -1, 0, 2**53, None, True, [1], {"a": 1}])
def test_an_amount_is_a_positive_integer_and_nothing_else(amount):
    answer = make_desk().ask(amount)
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid")
    assert nothing_was_asked()


@pytest.mark.parametrize("number", [1e16, -1e22, 2**53])
def test_a_number_that_the_database_would_make_another_of_is_refused(number):
    desk = make_desk(parameters={"type": "object"}, amount=None, target="")
    answer = desk.post("actions/", {"operation": desk.operation.slug, "parameters": {"n": number}}, key="k")
    assert (answer.status_code, list(answer.json()["errors"])) == (422, ["parameters.n"])
    ask = Ask(operation=desk.operation.slug, parameters={"list": [number]})
    with pytest.raises(InvalidError) as refused, transaction.atomic():  # as a workflow asks, past the door
        submit_action(desk.agent.user, ask=ask)
    assert list(refused.value.errors) == ["parameters.list.0"]
    assert nothing_was_asked()


def test_what_has_no_digest_fails_and_holds_up_nothing_else(system):
    desk = make_desk(system.url)
    odd, fine = desk.ask(50_000).json()["id"], desk.ask(50_001).json()["id"]
    Action.objects.filter(pk=odd).update(parameters={**the_parameters(odd), "note": 10**22})
    work()
    failed = Action.objects.get(pk=odd)
    assert (failed.state, failed.error["code"]) == ("failed", "binding_mismatch")
    assert Action.objects.get(pk=fine).state == "succeeded"
    assert len(system.asked) == 1


def the_parameters(action_id):
    return Action.objects.get(pk=action_id).parameters


def test_a_body_that_is_too_large_is_refused():
    answer = make_desk().ask(goal="x" * 2_000_000)
    assert (answer.status_code, answer.json()["code"]) == (413, "too_large")
    assert nothing_was_asked()


def test_a_narrowed_permission_refuses_the_next_request_with_the_parameter():
    desk, admin = make_desk(), make_admin()
    assert desk.ask(parameters={"note": "hello"}).status_code == 202
    narrow_operation(
        admin,
        holder=desk.agent.user,
        operation=desk.operation,
        fields=["amount_minor", "currency", "iban"],
        until=None,
        reason="no notes",
    )
    answer = desk.ask(parameters={"note": "hello"})
    assert (answer.status_code, answer.json()["code"]) == (403, "not_allowed")
    assert list(answer.json()["errors"]) == ["parameters.note"]
    assert Action.objects.count() == 1


def test_a_revoked_permission_is_not_there_on_the_next_request():
    desk = make_desk()
    revoke_operation(make_admin(), holder=desk.agent.user, operation=desk.operation, reason="unused")
    assert desk.ask().status_code == 404
    assert nothing_was_asked()


@pytest.mark.parametrize(
    ("state", "told"), [("suspended", (403, "agent_inactive")), ("retired", (401, "credential_revoked"))]
)
def test_an_agent_that_does_not_work_is_refused(state, told):
    desk = make_desk()
    change_state(make_admin(), agent=desk.agent, to=state, reason="odd")
    answer = desk.ask()
    assert (answer.status_code, answer.json()["code"]) == told
    assert nothing_was_asked()


def test_a_halt_answers_423_and_nothing_is_stored():
    desk = make_desk()
    engage_halt(make_admin(), scope="agent", target=desk.agent.slug, unit=desk.agent.unit, reason="odd payments")
    answer = desk.ask()
    assert (answer.status_code, answer.json()["code"], answer.json()["reason"]) == (423, "halted", "odd payments")
    assert nothing_was_asked()


def test_a_halt_after_the_verdict_holds_the_effect_back_until_it_is_lifted(system):
    from apps.halts.services import lift_halt

    desk = make_desk(system.url)
    desk.ask()
    halt = engage_halt(make_admin(), scope="everything", reason="x")
    work()
    assert system.asked == []
    assert the_action().state == "approved"
    lift_halt(make_admin(), halt_id=halt.pk, reason="y")
    Effect.objects.update(retry_at=None)
    work()
    assert the_action().state == "succeeded"


def test_what_became_stricter_before_the_claim_goes_back_to_people(system):
    desk = make_desk(system.url)
    desk.ask(50_000)
    rule = make_rule(slug="all", effect="require_approval", queue=desk.queue.slug)
    apply_policy(system_user("console"), slug=desk.policy.slug, name="P", unit=desk.agent.unit, rules=[rule])
    work()
    assert system.asked == []
    assert the_action().state == "pending_approval"
    cast_vote(desk.approver, escalation_id=the_item().pk, verdict="approve", version=1)
    work()
    assert the_action().state == "succeeded"
    assert len(system.asked) == 1


@pytest.mark.parametrize("more", [{"obligations": {"limit": {"amount_minor": 60_000}}}, {"risk": "high"}])
def test_what_rules_still_allow_runs_whatever_else_they_came_to_say(system, more):
    """Nobody approved it, and nobody is to be asked: a limit that it keeps takes nothing back."""
    desk = make_desk(system.url)
    desk.ask(50_000)
    rule = make_rule(slug="all", effect="allow", **more)
    apply_policy(system_user("console"), slug=desk.policy.slug, name="P", unit=desk.agent.unit, rules=[rule])
    work()
    assert the_action().state == "succeeded"
    assert len(system.asked) == 1


def test_a_permission_taken_before_the_claim_fails_the_action_without_a_call(system):
    desk = make_desk(system.url)
    desk.ask()
    revoke_operation(make_admin(), holder=desk.agent.user, operation=desk.operation, reason="unused")
    work()
    assert system.asked == []
    assert (the_action().state, the_action().error["code"]) == ("failed", "permission")


def test_a_refusal_of_the_system_is_a_failure(system):
    desk = make_desk(system.url)
    system.will(status=422, body=b'{"error": "no such account"}')
    desk.ask()
    work()
    assert (the_action().state, the_action().error["code"]) == ("failed", "refused_by_system")


def test_silence_after_a_write_is_unknown_and_a_person_finds_out(system):
    desk = make_desk(system.url, idempotency="none")
    system.will(status=500)
    desk.ask()
    work()
    assert the_action().state == "unknown"
    item = the_item()
    assert item.kind == "unknown"
    approver = desk.approver
    cast_vote(approver, escalation_id=item.pk, verdict="answer", answer="succeeded", version=1)
    work()
    assert the_action().state == "succeeded"
    assert len(system.asked) == 1


def test_an_unknown_effect_that_may_not_be_repeated_any_more_stays_unknown_and_goes_to_a_person(system):
    desk = make_desk(system.url)
    system.will(status=500)
    desk.ask()
    work()
    assert the_action().state == "unknown"
    assert not Escalation.objects.exists()
    revoke_operation(make_admin(), holder=desk.agent.user, operation=desk.operation, reason="unused")
    Effect.objects.update(retry_at="2026-01-01T00:00:00Z")
    work()
    assert the_action().state == "unknown"
    assert the_item().kind == "unknown"
    assert len(system.asked) == 1


def test_an_agent_carries_out_itself_with_its_grant_once():
    desk = make_desk(execution="agent")
    found = desk.ask(execution="agent").json()
    assert found["grant"]
    wrong = desk.post(f"actions/{found['id']}/consume/", {"digest": "sha256:" + "0" * 64})
    assert (wrong.status_code, wrong.json()["code"]) == (409, "binding_mismatch")
    taken = desk.post(f"actions/{found['id']}/consume/", {"digest": found["digest"]})
    assert (taken.status_code, taken.json()["state"]) == (200, "executing")
    again = desk.post(f"actions/{found['id']}/consume/", {"digest": found["digest"]})
    assert (again.status_code, again.json()["code"]) == (409, "already_consumed")
    told = desk.post(f"actions/{found['id']}/outcome/", {"succeeded": True, "result": {"ok": 1}})
    assert (told.status_code, told.json()["state"], told.json()["result"]) == (200, "succeeded", {"ok": 1})


def test_another_agents_action_is_not_there():
    desk, other = make_desk(), make_desk()
    found = desk.ask().json()
    for path in (f"actions/{found['id']}/",):
        assert other.get(path).status_code == 404
    assert other.post(f"actions/{found['id']}/cancel/", {}).status_code == 404
    assert Action.objects.get(pk=found["id"]).state == "approved"


def test_on_behalf_of_a_person_needs_both_permissions():
    desk, person = make_desk(), make_user()
    unknown, known = desk.ask(on_behalf_of="nobody"), desk.ask(on_behalf_of=person.username)
    assert (unknown.status_code, known.status_code) == (403, 403)
    assert {**unknown.json(), "request_id": ""} == {**known.json(), "request_id": ""}, "it tells which names there are"
    grant(person, make_role("connectors.use_operation"))
    assert desk.ask(on_behalf_of=person.username).json()["on_behalf_of"] == person.username


def test_a_person_does_not_ask_as_an_agent(client):
    client.force_login(make_admin())
    answer = client.post("/api/v1/actions/", "{}", content_type="application/json", headers={"Idempotency-Key": "k"})
    assert (answer.status_code, answer.json()["code"]) == (403, "not_allowed")


def test_a_dead_key_is_refused_and_recorded():
    desk = make_desk()
    desk.agent.credentials.update(revoked_at="2026-01-01T00:00:00Z")
    answer = desk.ask()
    assert (answer.status_code, answer.json()["code"]) == (401, "credential_revoked")
    assert answer["WWW-Authenticate"].startswith("Bearer ")
    assert Entry.objects.filter(name="agentcredential.refused").exists()
