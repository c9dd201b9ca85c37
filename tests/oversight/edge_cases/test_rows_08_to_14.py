"""What was rejected, split, consumed twice; rules, operations and people that change while something waits."""

from collections import Counter
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from apps.access.models import RoleGrant
from apps.agents.models import Repetition
from apps.agents.rules import REPEATS_FLAGGED, REPEATS_WITHIN_S
from apps.audit.tasks import deliver_reactions
from apps.connectors.services import save_operation
from apps.core.models import ClockTimestamp
from apps.core.services import system_user
from apps.oversight.models import Grant, Vote
from apps.oversight.tasks import sweep_escalations
from tests.factories.access import make_admin, make_approver, make_queue
from tests.factories.agents import make_agent, make_key_for
from tests.factories.connectors import PAYMENT, permit
from tests.factories.oversight import make_escalation, make_payment
from tests.notifications.conftest import tell
from tests.oversight.edge_cases.census import only
from tests.oversight.edge_cases.doors import Person
from tests.together import at_once
from tests.workflows.actions import make_desk, rules_of, the_action, the_item, work
from tests.workflows.conftest import system as system
from tests.workflows.test_ways_around import spec_of


@pytest.mark.django_db
def test_row_08_what_was_rejected_is_refused_with_the_reason_by_reference_and_by_digest() -> None:
    desk = make_desk()
    ada = Person(desk.approver)
    first = desk.ask(250_000, reference="inv-1").json()
    ada.decide(the_item(), "reject", reason="Wrong supplier.")
    with only("+3 entry request.refused", "+1 repetition", "+1 entry agent.flagged"):
        again = ((250_000, "inv-1"), (260_000, "inv-1"), (250_000, "another"))
        answers = [desk.ask(amount, reference=name) for amount, name in again]
    for answer in answers:
        told = answer.json()
        assert (answer.status_code, told["code"], told["reason"]) == (409, "previously_rejected", "Wrong supplier.")
        assert told["action"] == first["id"]


@pytest.mark.django_db
def test_row_08_whoever_keeps_asking_is_flagged_and_its_owner_told_once() -> None:
    desk = make_desk()
    ada, owner, admin = Person(desk.approver), Person(desk.agent.owner), Person(make_admin())
    first = desk.ask(250_000, reference="<b>inv-1").json()
    ada.decide(the_item(), "reject", reason="Wrong supplier.")
    tell()
    with only("+2 entry request.refused", "+1 repetition"):
        for _ in range(REPEATS_FLAGGED - 1):
            desk.ask(250_000, reference="<b>inv-1")
    assert "Keeps asking" not in admin.page(f"/agents/{desk.agent.slug}/")
    with only("+1 entry request.refused", "+1 entry agent.flagged"):
        desk.ask(250_000, reference="<b>inv-1")
    with only("+2 entry request.refused"):
        desk.ask(260_000, reference="<b>inv-1")
        desk.ask(250_000)
    with only("+1 notice", "+1 delivery delivered", "+1 delivery suppressed"):
        tell()
    told = owner.get("/notifications/").json()["results"][0]
    assert (told["event"], told["agent"], told["title"]) == ("flagged", desk.agent.slug, desk.agent.name)
    assert owner.pages.get(f"/notifications/{told['id']}/").url == f"/agents/{desk.agent.slug}/"
    page = admin.page(f"/agents/{desk.agent.slug}/")
    assert "Keeps asking for what was rejected" in page
    assert "refused 5 times" in page
    assert f"/actions/{first['id']}/" in page
    assert "&lt;b&gt;inv-1" in page


@pytest.mark.usefixtures("real_db")
def test_row_08_asking_at_once_and_often_is_one_row_and_one_flag() -> None:
    desk = make_desk()
    desk.ask(250_000, reference="inv-1")
    Person(desk.approver).decide(the_item(), "reject", reason="No.", retry="never")
    with only("+20 entry request.refused", "+1 repetition", "+1 entry agent.flagged"):
        answers = at_once(*(lambda: desk.ask(250_000, reference="inv-1") for _ in range(20)))
    assert {answer.json()["code"] for answer in answers} == {"previously_rejected"}
    assert Repetition.objects.get().times == 20


@pytest.mark.django_db
def test_row_08_who_asks_now_and_then_is_not_flagged() -> None:
    desk = make_desk()
    desk.ask(250_000, reference="inv-1")
    Person(desk.approver).decide(the_item(), "reject", reason="No.", retry="never")
    with only("+6 entry request.refused", "+1 repetition"):
        for _ in range(6):
            desk.ask(250_000, reference="inv-1")
            Repetition.objects.update(last_at=ClockTimestamp() - timedelta(seconds=REPEATS_WITHIN_S + 1))


@pytest.mark.django_db
def test_row_09_split_amounts_and_other_agents_are_seen_whole(system: Any) -> None:
    desk = make_desk(system.url)
    other = make_agent(unit=desk.agent.unit)
    permit(other.user, desk.operation)
    key = make_key_for(other)
    whole = f"action.amount_minor + history.sum_minor('{desk.operation.slug}', '1d', 'target') > 100000"
    rules_of(
        desk, {"slug": "any"},
        {"slug": "whole", "when": whole, "effect": "require_approval", "queue": desk.queue.slug},
    )  # fmt: skip
    assert desk.ask(60_000).json()["state"] == "approved"
    with only(
        "+1 idempotencykey", "+1 action pending_approval", "+1 entry action.proposed",
        "+1 entry action.pending_approval", "+1 escalation pending", "+1 entry escalation.pending",
        "+1 escalationgroup open",
    ):  # fmt: skip
        split = desk.post("actions/", desk.body(60_000), key="split", token=key).json()
    assert split["state"] == "pending_approval"
    elsewhere = desk.body(60_000, parameters={"iban": "DE0099"})
    assert desk.post("actions/", elsewhere, key="elsewhere", token=key).json()["state"] == "approved"
    work()
    assert len(system.asked) == 2


@pytest.mark.usefixtures("real_db")
def test_row_10_a_grant_is_consumed_once_and_for_its_own_parameters_only() -> None:
    desk = make_desk(execution="agent")
    found = desk.ask(50_000, execution="agent").json()
    path = f"actions/{found['id']}/consume/"
    with only("+1 entry request.refused"):
        wrong = desk.post(path, {"digest": "sha256:" + "0" * 64})
    assert (wrong.status_code, wrong.json()["code"]) == (409, "binding_mismatch")
    with only(
        "-1 grant live", "+1 grant consumed", "+1 entry grant.consumed", "-1 action approved", "+1 action executing",
        "+1 entry action.executing", "+9 entry request.refused",
    ):  # fmt: skip
        answers = at_once(*(lambda: desk.post(path, {"digest": found["digest"]}) for _ in range(10)))
    assert Counter(answer.status_code for answer in answers) == {200: 1, 409: 9}
    assert {answer.json()["code"] for answer in answers if answer.status_code == 409} == {"already_consumed"}


@pytest.mark.django_db
def test_row_10_the_order_of_keys_and_the_spelling_of_a_number_are_the_same_parameters() -> None:
    schema = {**PAYMENT, "properties": {**PAYMENT["properties"], "share": {"type": "number"}}}
    desk = make_desk(parameters=schema)
    first = desk.ask(250_000, reference="inv-1", parameters={"share": 1}).json()
    spelled = f'{{"reference": "inv-1", "operation": "{desk.operation.slug}", "parameters": '
    spelled += '{"share": 1.0, "iban": "DE0017", "currency": "EUR", "amount_minor": 250000}}'
    with only("+1 idempotencykey", "+1 entry action.asked_again", "+1 entry escalation.attempted"):
        again = desk.post("actions/", spelled, key="spelled").json()
    assert (again["id"], again["digest"]) == (first["id"], first["digest"])


@pytest.mark.django_db
def test_row_11_a_stricter_policy_raises_the_quorum_of_what_waits() -> None:
    desk = make_desk(obligations={"quorum": 2})
    ada, ben, eve = Person(desk.approver), Person(make_approver(desk.queue)), Person(make_approver(desk.queue))
    desk.ask(250_000)
    item = the_item()
    assert ada.decide(item).json()["state"] == "pending"
    rules_of(
        desk, {"slug": "all", "effect": "require_approval", "queue": desk.queue.slug, "obligations": {"quorum": 3}}
    )
    with only("-1 vote live", "+1 vote void", "+1 entry vote.voided", "+1 entry escalation.reweighed"):
        assert sweep_escalations() == 1
    with only("+1 entry request.refused"):
        stale = ben.decide(item, version=1)
    assert (stale.status_code, stale.json()["code"], stale.json()["version"]) == (409, "stale", 2)
    states = [person.decide(item, version=2).json()["state"] for person in (ada, ben, eve)]
    assert states == ["pending", "pending", "approved"]


@pytest.mark.django_db
def test_row_11_a_policy_that_denies_ends_what_waits_with_its_reason() -> None:
    desk = make_desk()
    ada = Person(desk.approver)
    asked = desk.ask(250_000).json()
    item = the_item()
    rules_of(desk, {"slug": "never", "effect": "deny", "message": "Not this month."})
    with only(
        "-1 escalation pending", "+1 escalation invalidated", "+1 entry escalation.invalidated",
        "-1 escalationgroup open", "+1 escalationgroup closed",
        "-1 action pending_approval", "+1 action denied", "+1 entry action.denied",
    ):  # fmt: skip
        assert sweep_escalations() == 1
    with only("+1 entry request.refused"):
        late = ada.decide(item)
    assert (late.status_code, late.json()["code"], late.json()["why"]) == (409, "invalidated", "denied_by_policy")
    told = desk.get(f"actions/{asked['id']}/").json()
    assert (told["state"], told["verdict"]["rules"][0]["message"]) == ("denied", "Not this month.")


@pytest.mark.django_db
def test_row_11_what_no_longer_needs_a_person_is_told_and_never_runs_by_itself(system: Any) -> None:
    desk = make_desk(system.url)
    desk.ask(250_000)
    rules_of(desk, {"slug": "any"})
    with only("+1 entry escalation.no_longer_required"):
        assert sweep_escalations() == 1
    work()
    assert (the_action().state, the_item().version, system.asked) == ("pending_approval", 1, [])


@pytest.mark.django_db
def test_row_12_a_changed_operation_ends_what_waits_with_its_reason() -> None:
    desk = make_desk()
    ada = Person(desk.approver)
    asked = desk.ask(250_000).json()
    item = the_item()
    deliver_reactions()
    old = desk.operation
    save_operation(
        system_user("console"), slug=old.slug, connector=old.connector, spec=replace(spec_of(old), path="/x")
    )
    with only(
        "-1 escalation pending", "+1 escalation invalidated", "+1 entry escalation.invalidated",
        "-1 escalationgroup open", "+1 escalationgroup closed",
        "-1 action pending_approval", "+1 action denied", "+1 entry action.denied", "+1 entry request.refused",
        "+1 notice",
    ):  # fmt: skip
        deliver_reactions()
        late = ada.decide(item)
    assert (late.status_code, late.json()["code"], late.json()["why"]) == (409, "invalidated", "operation_changed")
    assert desk.get(f"actions/{asked['id']}/").json()["state"] == "denied"
    page = ada.page(f"/inbox/{item.pk}/")
    assert page.count("The operation is not the one that was judged any more") >= 2  # the verdict and the timeline
    assert "operation_changed" not in page
    late = ada.decide_on_page(item)
    assert "The operation is not the one that was judged any more" in late.content.decode()


@pytest.mark.django_db
def test_row_13_a_lost_role_takes_the_vote_and_the_claim_along() -> None:
    payment = make_payment(quorum=2)
    other = make_escalation(queue=payment.queue)
    ada, admin = Person(payment.ada), Person(make_admin())
    ada.decide(payment.item)
    assert ada.post(f"/escalations/{other.pk}/claim/", {}).json()["claimed_by"] == payment.ada.username
    payment.approver()
    deliver_reactions()
    held = RoleGrant.objects.get(user=payment.ada)
    with only("+1 entry rolegrant.revoked", "-1 vote live", "+1 vote void", "+1 entry vote.voided"):
        admin.pages.post(f"/access/grants/{held.pk}/revoke/", {"reason": "moved"})
        deliver_reactions()
    other.refresh_from_db()
    assert other.claimed_by is None
    assert Person(payment.ben).decide(payment.item).json()["state"] == "pending"


@pytest.mark.django_db
def test_row_13_whoever_becomes_the_agent_s_owner_is_not_counted() -> None:
    payment = make_payment(quorum=2, obligations={"exclude": ["agent_owner"]})
    ada, ben, eve = Person(payment.ada), Person(payment.ben), Person(payment.approver())
    assert ada.decide(payment.item).json()["state"] == "pending"
    payment.agent.owner = payment.ada
    payment.agent.save(update_fields=["owner"])
    with only("+1 vote void", "+1 entry vote.voided", "+1 entry vote.cast"):
        assert ben.decide(payment.item).json()["state"] == "pending"
    with only("+1 entry request.refused"):
        again = ada.decide(payment.item)
    assert (again.status_code, again.json()["why"]) == (403, "agent_owner")
    assert eve.decide(payment.item).json()["state"] == "approved"


@pytest.mark.django_db
def test_row_14_one_rejection_decides_where_the_threshold_is_one() -> None:
    payment = make_payment(quorum=2)
    ada, ben = Person(payment.ada), Person(payment.ben)
    ada.decide(payment.item)
    with only(
        "+1 vote live", "+1 entry vote.cast", "-1 escalation pending", "+1 escalation rejected",
        "+1 entry escalation.rejected", "-1 escalationgroup open", "+1 escalationgroup closed",
        "-1 action pending_approval", "+1 action rejected", "+1 entry action.rejected",
    ):  # fmt: skip
        assert ben.decide(payment.item, "reject", reason="No.").json()["state"] == "rejected"
    assert not Grant.objects.exists()


@pytest.mark.django_db
def test_row_14_a_rejection_below_the_threshold_counts_for_neither_side() -> None:
    queue = make_queue()
    people = [Person(make_approver(queue)) for _ in range(4)]
    item = make_escalation(queue=queue, needed=2, deny_needed=2)
    with only("+2 vote live", "+2 entry vote.cast"):
        assert people[0].decide(item, "reject", reason="No.").json()["state"] == "pending"
        assert people[1].decide(item).json()["state"] == "pending"
    assert people[2].decide(item).json()["state"] == "approved"
    assert Vote.objects.filter(voided_at=None, verdict="approve").count() == 2
