"""Deciding at once, twice, late; expiry; the agent that asks again."""

import time
from collections import Counter
from datetime import timedelta
from typing import Any

import pytest

from apps.audit.tasks import deliver_reactions
from apps.core.models import ClockTimestamp
from apps.notifications.tasks import send_messages
from apps.oversight.models import Escalation
from apps.oversight.tasks import sweep_escalations
from apps.workflows.models import Run, Step
from tests.factories.oversight import make_payment, say
from tests.factories.workflows import make_run, make_workflow, open_item
from tests.notifications.conftest import Mailbox, later, tell
from tests.notifications.conftest import mail as mail
from tests.oversight.edge_cases.census import only
from tests.oversight.edge_cases.doors import Person, make_reachable_desk
from tests.together import at_once
from tests.workflows.actions import make_desk, the_action, the_item, work
from tests.workflows.conftest import system as system

APPROVED = (
    "+1 entry vote.cast", "+1 vote live", "-1 escalation pending", "+1 escalation approved",
    "+1 entry escalation.approved", "-1 escalationgroup open", "+1 escalationgroup closed",
    "-1 action pending_approval", "+1 action approved", "+1 entry action.approved",
    "+1 grant live", "+1 entry grant.live",
)  # fmt: skip
"""What one approval of one action leaves behind."""
WITH_A_TIMEOUT = """
kind: Workflow
slug: timeout
name: Timeout
unit: lab
steps:
  ask: {approval: {subject: "1"}, queue: clerks, due: {after: 1h, expires: 2h}}
  in_time: {needs: [ask], agent: lab.do}
  too_late: {needs: [ask.expired], agent: lab.do}
"""


def let_expire(item: Escalation) -> None:
    """Its expiry has passed; nobody has looked yet."""
    Escalation.objects.filter(pk=item.pk).update(expires_at=ClockTimestamp())


@pytest.mark.usefixtures("real_db")
def test_row_01_twenty_decide_at_once_one_wins_and_the_others_read_who_and_when() -> None:
    payment = make_payment()
    people = [Person(user) for user in (payment.ada, payment.ben, *(payment.approver() for _ in range(18)))]
    with only(*APPROVED, "+19 entry request.refused"):
        answers = at_once(*(lambda person=person: person.decide(payment.item) for person in people))
    assert Counter(answer.status_code for answer in answers) == {200: 1, 409: 19}
    now = payment.now()
    lost = [answer.json() for answer in answers if answer.status_code == 409]
    assert {problem["code"] for problem in lost} == {"already_decided"}
    for problem in lost:
        winner = problem["winner"]
        assert (winner["by"], winner["verdict"]) == (now.decided_by and now.decided_by.username, "approve")
        assert winner["at"]


@pytest.mark.django_db
def test_row_01_on_the_page_the_loser_reads_the_winner_in_place_and_keeps_what_was_typed() -> None:
    payment = make_payment()
    loser = Person(payment.ben)
    say(payment.ada, payment.item)
    with only():
        answer = loser.decide_on_page(payment.item, "reject", reason="My own words.", reason_code="other")
    assert answer.status_code == 409
    text = answer.content.decode()
    assert payment.ada.name in text
    assert "My own words." in text
    assert "<html" not in text


@pytest.mark.usefixtures("real_db")
def test_row_02_a_double_click_is_one_decision_and_a_retry_gets_the_same_answer() -> None:
    payment = make_payment()
    ada = Person(payment.ada)
    with only(*APPROVED, "+1 idempotencykey"):
        answers = at_once(*(lambda: ada.decide(payment.item, key="click") for _ in range(6)))
    assert [answer.status_code for answer in answers] == [200] * 6
    assert all(answer.json() == answers[0].json() for answer in answers)
    assert Counter(answer.headers.get("Idempotency-Replayed") for answer in answers) == {None: 1, "true": 5}
    with only("+1 entry request.refused"):
        other = ada.decide(payment.item, "reject", reason="No.", key="click")
    assert (other.status_code, other.json()["code"]) == (409, "idempotency_conflict")


@pytest.mark.django_db
def test_row_03_what_was_decided_in_time_stands_however_late_the_workers(system: Any) -> None:
    desk = make_desk(system.url)
    desk.ask(250_000)
    item, ada = the_item(), Person(desk.approver)
    Escalation.objects.filter(pk=item.pk).update(expires_at=ClockTimestamp() + timedelta(seconds=6))
    with only(*APPROVED):
        assert ada.decide(item).status_code == 200
    time.sleep(6.1)  # what was decided cannot be given another expiry
    with only():
        assert sweep_escalations() == 0
    work()
    assert (the_action().state, len(system.asked)) == ("succeeded", 1)


@pytest.mark.django_db
def test_row_04_what_is_decided_after_expiry_is_refused_before_any_sweep(system: Any) -> None:
    desk = make_desk(system.url)
    desk.ask(250_000)
    item, ada = the_item(), Person(desk.approver)
    let_expire(item)
    with only("+1 entry request.refused"):
        answer = ada.decide(item)
    assert (answer.status_code, answer.json()["code"]) == (409, "expired")
    with only():
        page = ada.decide_on_page(item)
    assert page.status_code == 409
    assert "Approved: " not in page.content.decode()
    assert "nothing will run" in page.content.decode()
    work()
    assert (the_action().state, system.asked) == ("pending_approval", [])


@pytest.mark.django_db
def test_row_05_expiry_is_nobody_s_decision_and_the_run_takes_its_timeout_branch() -> None:
    run = make_run(make_workflow(WITH_A_TIMEOUT), {})
    item = open_item(run, "ask")
    let_expire(item)
    with only(
        "-1 escalation pending", "+1 escalation expired", "+1 entry escalation.expired",
        "-1 escalationgroup open", "+1 escalationgroup closed",
    ):  # fmt: skip
        assert sweep_escalations() == 1
    item.refresh_from_db()
    assert (item.decided_by, item.decided_at) == (None, None)
    deliver_reactions()
    states = {step.name: f"{step.state} {step.outcome or ''}".strip() for step in Step.objects.filter(run=run)}
    assert states == {"ask": "done expired", "in_time": "dead", "too_late": "open"}
    assert Run.objects.get(pk=run.pk).state == "running"


@pytest.mark.django_db
def test_row_05_a_client_whose_waiting_ends_changes_nothing() -> None:
    desk = make_desk()
    asked = desk.ask(250_000).json()
    with only():
        answer = desk.get(f"actions/{asked['id']}/?wait=1&state=pending_approval")
    assert answer.json()["state"] == "pending_approval"


@pytest.mark.usefixtures("real_db")
def test_row_06_retries_of_a_waiting_action_are_the_same_item_and_tell_nobody_anew() -> None:
    desk = make_desk()
    first = desk.ask(250_000, reference="inv-1").json()
    with only("+10 idempotencykey", "+10 entry action.asked_again", "+10 entry escalation.attempted"):
        answers = at_once(*(lambda: desk.ask(250_000, reference="inv-1") for _ in range(10)))
    assert {answer.json()["id"] for answer in answers} == {first["id"]}
    assert (the_action().attempts, the_item().attempts) == (11, 11)


@pytest.mark.django_db
def test_row_06_retries_send_no_mail_and_no_chat(mail: Mailbox, system: Any) -> None:
    desk = make_reachable_desk(system.url)
    first = desk.ask(250_000, reference="inv-1").json()
    tell()
    assert (len(mail.letters), len(system.asked)) == (1, 1)
    with only("+3 idempotencykey", "+3 entry action.asked_again", "+3 entry escalation.attempted"):
        assert {desk.ask(250_000, reference="inv-1").json()["id"] for _ in range(3)} == {first["id"]}
        tell()
    later()
    send_messages()
    assert (len(mail.letters), len(system.asked)) == (1, 1)


@pytest.mark.django_db
def test_row_07_changed_parameters_are_a_new_item_beside_which_the_difference_stands() -> None:
    desk = make_desk(obligations={"quorum": 2})
    ada = Person(desk.approver)
    desk.ask(250_000, reference="inv-1")
    old = the_item()
    assert ada.decide(old).json()["state"] == "pending"
    with only(
        "+1 idempotencykey", "+1 action cancelled", "+1 entry action.cancelled", "-1 vote live", "+1 vote void",
        "+1 entry vote.voided", "+1 escalation superseded", "+1 entry escalation.superseded",
        "+1 escalationgroup closed", "+1 entry action.proposed", "+1 entry action.pending_approval",
        "+1 entry escalation.pending",
    ):  # fmt: skip
        desk.ask(260_000, reference="inv-1")
    new = the_item()
    assert new.supersedes_id == old.pk
    with only("+1 entry request.refused"):
        late = ada.decide(old)
    assert (late.status_code, late.json()["code"], late.json()["by"]) == (409, "superseded", str(new.pk))
    page = ada.page(f"/inbox/{new.pk}/")
    assert "replaces an earlier request" in page
    assert "<del>250000</del>" in page
    assert "<ins>260000</ins>" in page
