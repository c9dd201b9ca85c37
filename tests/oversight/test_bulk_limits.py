"""What rules let be approved at once: it only narrows, whoever judges again, and running jobs keep to it."""

from dataclasses import replace
from datetime import timedelta
from uuid import uuid4

import pytest
from django.db import connection
from django.db.models import F
from django.test import Client
from django.test.utils import CaptureQueriesContext
from hypothesis import given
from hypothesis import strategies as st

from apps.agents.models import Action
from apps.audit.models import Entry
from apps.core.rules import Risk
from apps.core.services import system_user
from apps.oversight.models import Escalation, EscalationGroup, Grant, Job, JobItem, Vote
from apps.oversight.rules import Candidate, beyond, limit_problem, most_together, outliers
from apps.oversight.rules.bulk import total_of
from apps.oversight.services import perform_due_items, reweigh_pending, undo_decision
from apps.policies.models import Policy
from apps.policies.rules import Bulk
from apps.policies.services import apply_policy
from apps.workflows.services.actions.reweighing import return_if_stricter
from tests.factories.access import grant, make_role
from tests.factories.oversight import escalate, make_payment, propose, say
from tests.factories.policies import make_rule
from tests.oversight.test_api import nothing_but_a_note
from tests.oversight.test_bulk import ask, many, result_of, states, work

pytestmark = pytest.mark.django_db
NEVER = {"bulk": False}
BOARD = {"slug": "board", "when": "action.amount_minor > 1000000", "effect": "require_approval"}


def now_ask(payment, **obligations):
    """The payment's policy has one rule from now on; what waits is judged again."""
    rule = make_rule(
        slug="all",
        effect="require_approval",
        queue=payment.queue.slug,
        scope={"operations": [payment.operation.slug]},
        obligations=obligations,
    )
    policy = Policy.objects.get()
    apply_policy(system_user("console"), slug=policy.slug, name="P", unit=payment.unit, rules=[rule])
    return reweigh_pending()


def test_a_stricter_release_that_lets_more_be_approved_at_once_does_not_loosen_what_waits():
    payment, items = many(2, obligations=NEVER)
    assert now_ask(payment, quorum=2, bulk={"risk": "medium", "items": 200}) == 2
    assert payment.now().version == 2
    assert payment.now().verdict["obligations"]["bulk"] == {"risk": "low", "items": 0}
    assert payment.now().bulk_let() == Bulk(items=0)
    with nothing_but_a_note():
        answer = ask(payment.ada, items)
    assert "approved by itself" in answer.json()["errors"]["ids"][0]


def test_a_silent_release_holds_on_to_the_usual():
    payment = make_payment(obligations={"bulk": {"risk": "medium", "items": 7, "total_minor": 900}})
    now_ask(payment, quorum=2)
    assert payment.now().bulk_let() == Bulk(items=7, total_minor=900)


def test_a_stricter_edit_that_lets_more_be_approved_at_once_does_not_loosen_the_item():
    few = {**BOARD, "slug": "few", "when": "action.amount_minor <= 1000000", "obligations": {"bulk": {"items": 3}}}
    payment = make_payment(few, {**BOARD, "obligations": {"quorum": 2}})
    item = say(payment.ada, payment.item, parameters={**payment.action.parameters, "amount_minor": 2_000_000})
    assert (item.state, item.version) == ("pending", 2)
    assert payment.now().bulk_let() == Bulk(items=3)


def test_an_edit_that_only_lets_fewer_be_approved_at_once_counts_and_is_kept():
    payment = make_payment({**BOARD, "obligations": NEVER}, quorum=2)
    say(payment.ada, payment.item, parameters={**payment.action.parameters, "amount_minor": 2_000_000})
    assert Vote.objects.get(voided_at=None).voter == payment.ada
    assert payment.now().bulk_let() == Bulk(items=0)


def test_fewer_at_once_takes_back_no_vote_and_is_kept_for_what_waits():
    payment = make_payment(quorum=2)
    say(payment.ada, payment.item)
    assert now_ask(payment, quorum=2, bulk=False) == 1
    assert (payment.now().version, payment.now().bulk_let()) == (1, Bulk(items=0))
    assert Vote.objects.get().voided_at is None
    assert Entry.objects.get(name="escalation.narrowed").payload["bulk"]["items"] == 0
    assert say(payment.ben, payment.item).state == "approved"


def test_fewer_at_once_takes_back_no_approval():
    payment = make_payment()
    say(payment.ada, payment.item)
    now_ask(payment, bulk=False)
    assert return_if_stricter(system_user("plane"), action=payment.action_now()) is False
    assert Grant.objects.get().state == "live"


def test_a_running_job_keeps_to_what_its_rules_let_now():
    payment, items = many(4)
    job = ask(payment.ada, items).json()["id"]
    assert perform_due_items(at_once=1) == 1
    now_ask(payment, bulk={"items": 2})
    work()
    found = [(row["state"], row["code"]) for row in result_of(payment.ada, job)["results"]]
    assert sorted(found) == [("done", None)] * 2 + [("failed", "not_together")] * 2
    assert sorted(states(items)) == ["approved"] * 2 + ["pending"] * 2
    [told] = {row.message for row in JobItem.objects.filter(code="not_together")}
    assert told == "A rule lets at most 2 of these be approved at once."


def test_a_running_job_keeps_to_the_sum():
    payment, items = many(3)
    ask(payment.ada, items)
    now_ask(payment, bulk={"total_minor": 500_000})
    work()
    assert sorted(states(items)) == ["approved", "approved", "pending"]


def test_a_bounded_sum_is_not_kept_by_what_has_no_amount():
    payment, items = many(2, obligations={"bulk": {"total_minor": 750_000}})
    Action.objects.filter(operation=payment.operation.slug).update(amount_minor=None, currency="")
    with nothing_but_a_note():
        answer = ask(payment.ada, items)
    assert answer.status_code == 422
    assert "the amount is not known" in answer.json()["errors"]["ids"][0]
    assert not Job.objects.exists()
    assert beyond(Bulk(), 2, None) is None
    assert beyond(Bulk(total_minor=1), 2, None) == "amount"
    assert beyond(Bulk(total_minor=1), 2, 2) == "total"


def test_a_sum_of_several_currencies_is_none():
    one = Candidate(uuid4(), "bank.pay", (), Risk.LOW, amount_minor=1, currency="EUR")
    assert total_of([one, replace(one, item=uuid4())]) == 2
    assert total_of([one, replace(one, item=uuid4(), currency="USD")]) is None


def test_what_does_not_wait_when_a_job_begins_is_not_approved_in_it():
    payment, items = many(3)
    Escalation.objects.filter(pk=items[0].pk).update(risk="medium")
    say(payment.ben, items[0], hold_s=60)
    job = ask(payment.ada, items).json()
    assert (job["results"][0]["state"], job["results"][0]["code"]) == ("failed", "already_decided")
    undo_decision(payment.ben, escalation_id=items[0].pk)
    work()
    assert states(items) == ["pending", "approved", "approved"]


def test_a_job_of_what_ended_is_done_at_once():
    payment, items = many(2)
    for item in items:
        say(payment.ben, item, "reject", reason="No.")
    job = ask(payment.ada, items, "reject", reason="No.").json()
    assert (job["state"], job["failed"]) == ("done", 2)
    assert work() == 0


def page_again(person, job):
    client = Client()
    client.force_login(person)
    return client.get(f"/jobs/{job}/").content.decode(), client.get(f"/inbox/bulk/?job={job}").content.decode()


def names(item):
    return f'name="ids" value="{item.pk}"'


def test_what_changed_since_is_marked_and_not_approved_in_passing():
    payment, items = many(3, quorum=2)
    job = ask(payment.ada, items).json()["id"]
    say(payment.ben, items[0], parameters={**items[0].action.parameters, "amount_minor": 240_000})
    JobItem.objects.filter(escalation=items[1]).update(state="failed", code="halted")
    work()
    told, page = page_again(payment.ada, job)
    assert "Try the other one again" in told
    assert "Approve 1 item · 2,500.00 EUR" in page
    assert page.count("changed since: decide it alone") == 1
    assert names(items[1]) in page
    assert names(items[0]) not in page
    assert str(items[2].pk) not in page  # they voted on it


def test_what_changed_since_is_marked_where_it_is_rejected():
    payment, items = many(2, quorum=2)
    job = ask(payment.ada, items, "reject", reason="No.").json()["id"]
    say(payment.ben, items[0], parameters={**items[0].action.parameters, "amount_minor": 240_000})
    work()
    _, page = page_again(payment.ada, job)
    assert "changed since" in page
    assert names(items[0]) in page


def test_what_can_only_fail_again_is_not_offered_again():
    payment, items = many(2, quorum=2)
    for item in items:
        say(payment.ada, item)
    job = ask(payment.ada, items).json()["id"]
    work()
    assert {row["code"] for row in result_of(payment.ada, job)["results"]} == {"already_voted"}
    told, page = page_again(payment.ada, job)
    assert "again" not in told.replace("Look again", "")
    assert "Nothing here can be told that" in page


def all_that_match(person, query="view=team"):
    client = Client()
    client.force_login(person)
    return client.get(f"/inbox/bulk/?all=1&verdict=approve&{query}").content.decode()


def test_all_that_match_are_looked_for_among_what_the_person_may_decide(monkeypatch):
    others, _ = many(3)  # due earlier, and somebody else's
    payment, items = many(2)
    grant(payment.ada, make_role("oversight.view_escalation"), others.unit)
    Escalation.objects.filter(agent=others.agent).update(due_at=F("due_at") - timedelta(minutes=1))
    monkeypatch.setattr("apps.oversight.selectors.jobs.MAX_BULK", 2)
    page = all_that_match(payment.ada)
    assert "Approve 2 items" in page
    assert all(names(item) in page for item in items)
    assert "3 more match that you cannot tell this" in page
    assert "wait for another time" not in page


def test_all_that_match_keep_to_the_sum_and_say_how_many_wait():
    payment, items = many(4, obligations={"bulk": {"total_minor": 760_000}})
    page = all_that_match(payment.ada)
    assert "Approve 3 items · 7,500.00 EUR" in page
    assert names(items[3]) not in page
    assert "One more matches and waits for another time" in page
    assert "you cannot tell this" not in page


def test_of_all_that_match_what_has_no_amount_is_no_hindrance_where_a_sum_is_bounded():
    payment, items = many(3, obligations={"bulk": {"total_minor": 760_000}})
    Action.objects.filter(pk=items[0].action_id).update(amount_minor=None, currency="")
    page = all_that_match(payment.ada)
    assert "Approve 2 items" in page
    assert names(items[0]) not in page


def test_where_not_even_one_may_be_the_page_says_why_and_speaks_of_no_others():
    payment, _ = many(3, obligations=NEVER)
    page = all_that_match(payment.ada)
    assert "approved by itself" in page
    assert "for another time" not in page


def test_listing_all_costs_the_same_where_groups_name_roles_and_ladders_called():
    role = make_role("oversight.view_escalation", "oversight.decide_escalation")
    payment, _ = many(2, obligations={"quorum": [{"n": 1, "role": role.slug}, {"n": 1}]})
    grant(payment.ada, role, payment.unit)
    EscalationGroup.objects.update(called=[{"role": make_role().slug}])

    def cost():
        with CaptureQueriesContext(connection) as found:
            page = all_that_match(payment.ada)
        return len(found), page.count('name="ids"')

    cost()
    before = cost()
    parameters = {"amount_minor": 250_000, "currency": "EUR", "iban": "DE1"}
    for _ in range(8):
        escalate(propose(payment.agent, payment.operation, parameters), payment.operation)
    EscalationGroup.objects.update(called=[{"role": make_role().slug}])
    assert before[1] == 2
    assert cost() == (before[0], 10)


AMOUNTS = st.none() | st.integers(-(10**6), 10**6)
BULKS = st.sampled_from([Bulk(), Bulk(items=2), Bulk(total_minor=10**6), Bulk(items=0), Bulk(Risk.MEDIUM, 3, 0)])


@given(
    st.lists(
        st.builds(
            Candidate,
            st.uuids(),
            st.just("pay"),
            st.just(()),
            st.just(Risk.LOW),
            st.just(False),
            AMOUNTS,
            st.just("EUR"),
            BULKS,
        ),
        max_size=8,
    )
)
def test_as_many_as_their_rules_let_be_are_within_every_limit(found):
    fit = most_together(found)
    taken = [one for one in found if one.item in fit]
    out = outliers(taken)
    assert limit_problem([one for one in taken if one.item not in out]) is None
    if limit_problem(found) is None:
        assert taken == found
