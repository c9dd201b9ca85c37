"""Many items told the same at once: what may go together, what each gets, and what survives a dead worker."""

import re
from uuid import uuid4

import pytest
from django.db import connection, transaction
from django.test import Client
from django.test.utils import CaptureQueriesContext
from hypothesis import given
from hypothesis import strategies as st
from uuid_utils.compat import uuid7

from apps.agents.models import Action
from apps.audit.models import Entry
from apps.core.models import ClockTimestamp, User
from apps.core.rules import Risk
from apps.oversight.models import Escalation, Grant, Job, JobItem, Vote
from apps.oversight.rules import Candidate, apart, bulk_problem, limit_problem, outliers
from apps.oversight.services import jobs, perform_due_items, start_bulk
from apps.oversight.services.jobs import CLAIM
from apps.policies.rules import USUAL_BULK, Bulk
from tests.factories.access import make_holder, make_user
from tests.factories.agents import make_key_for
from tests.factories.oversight import escalate, make_escalation, make_payment, propose, say
from tests.oversight.test_api import caller, nothing_but_a_note, post

pytestmark = pytest.mark.django_db
URL = "/api/v1/escalations/bulk/"


@transaction.atomic
def many(count=3, amounts=None, **fields):
    """Payments of low risk that wait for the same people under the same rule."""
    payment = make_payment(risk="low", **fields)
    amounts = amounts or [250_000] * count
    items = [payment.item]
    for number, amount in enumerate(amounts[1:]):
        parameters = {"amount_minor": amount, "currency": "EUR", "iban": f"DE{number:04}"}
        items.append(escalate(propose(payment.agent, payment.operation, parameters), payment.operation))
    return payment, items


def ask(person, items, verdict="approve", **more):
    return post(caller(person), URL, {"verdict": verdict, "ids": [str(item.pk) for item in items], **more})


def work():
    done = 0
    while few := perform_due_items():
        done += few
    return done


def states(items):
    return [Escalation.objects.get(pk=item.pk).state for item in items]


def result_of(person, job):
    return caller(person).get(f"/api/v1/jobs/{job}/").json()


def test_what_does_not_go_with_the_others_is_named_and_the_rest_goes_on():
    payment, items = many(4)
    other = many(1, unit=payment.unit)[1][0]
    question = make_escalation(kind="question", queue=payment.queue)
    client = Client()
    client.force_login(payment.ada)
    chosen = [other, *items, question]
    page = client.get("/inbox/bulk/", {"verdict": "approve", "ids": [str(item.pk) for item in chosen]})
    assert page.context["problem"]
    assert page.context["apart"] == {other.pk: "asks for something else", question.pk: "is answered, not approved"}
    text = page.content.decode()
    assert [text.count(f">{why}<") for why in page.context["apart"].values()] == [1, 1]
    form = text[text.index('<form method="get" action="/inbox/bulk/"') :].split("</form>")[0]
    assert "Go on with the other 4" in form
    going = re.findall(r'name="ids" value="([^"]+)"', form)
    assert going == [str(item.pk) for item in items]
    rest = client.get("/inbox/bulk/", {"verdict": "approve", "ids": going})
    assert (rest.context["problem"], rest.context["n"]) == ("", 4)
    assert states(chosen) == ["pending"] * 6


@given(st.lists(st.sampled_from(["a", "b", "c"]), min_size=1, max_size=12), st.integers(1, 12))
def test_what_is_left_without_what_is_apart_goes_together(whats, most):
    bulk = Bulk(Risk.LOW, most)
    found = [Candidate(uuid7(), what, ("r",), Risk.LOW, amount_minor=10, currency="EUR", bulk=bulk) for what in whats]
    named = apart(found)
    rest = [one for one in found if one.item not in named]
    assert rest
    assert bulk_problem(rest) is None
    assert limit_problem(rest) is None
    assert bool(named) == bool(bulk_problem(found) or limit_problem(found))


def test_its_page_says_what_became_of_each_afterwards():
    payment, items = many()
    job = ask(payment.ada, items).json()["id"]
    work()
    Action.objects.filter(pk=items[0].action_id).update(state="failed")
    Action.objects.filter(pk=items[1].action_id).update(state="succeeded")
    client = Client()
    client.force_login(payment.ada)
    rows = client.get(f"/jobs/{job}/").content.decode().split("<tr>")[2:]
    said = ["Failed</span>", "Carried out</span>", "Waits to be carried out</span>"]
    assert [[word for word in said if f">{word}" in row] for row in rows] == [[word] for word in said]


def test_like_items_are_approved_each_with_its_own_digest():
    payment, items = many()
    answer = ask(payment.ada, items)
    job = answer.json()
    assert (answer.status_code, job["state"], job["done"], job["total"]) == (202, "running", 0, 3)
    assert answer["Location"] == f"/api/v1/jobs/{job['id']}/"
    assert states(items) == ["pending"] * 3
    assert work() == 3
    found = result_of(payment.ada, job["id"])
    assert (found["state"], found["done"]) == ("done", 3)
    assert [row["outcome"] for row in found["results"]] == ["approved"] * 3
    assert {row["digest"] for row in found["results"]} == {item.digest for item in items}
    assert {vote.digest for vote in Vote.objects.all()} == {item.digest for item in items}
    assert Grant.objects.count() == 3
    assert list(Entry.objects.filter(subject_kind="job").order_by("id").values_list("name", flat=True)) == [
        "job.running",
        "job.done",
    ]
    assert Entry.objects.filter(name="vote.cast", actor=payment.ada).count() == 3


def test_what_changed_or_was_decided_meanwhile_is_reported_and_the_others_go_through():
    payment, items = many(4)
    job = ask(payment.ada, items, versions={str(items[0].pk): 7}).json()
    say(payment.ben, items[1])
    work()
    found = result_of(payment.ada, job["id"])["results"]
    assert [row["code"] for row in found] == ["stale", "already_decided", None, None]
    assert str(payment.ben) in found[1]["detail"]
    assert states(items) == ["pending", "approved", "approved", "approved"]


def test_amounts_that_stand_out_are_left_out_and_named():
    payment, items = many(amounts=[250_000, 260_000, 240_000, 2_500_000])
    job = ask(payment.ada, items).json()
    assert [row["state"] for row in job["results"]] == ["waiting", "waiting", "waiting", "excluded"]
    assert job["results"][3]["code"] == "outlier"
    work()
    assert states(items) == ["approved"] * 3 + ["pending"]


@pytest.mark.parametrize("kind", ["operation", "risk", "rules", "question"])
def test_what_is_not_alike_is_not_approved_together(kind):
    payment, items = many(2)
    if kind == "operation":
        items.append(make_escalation(queue=payment.queue, risk="low"))
    if kind == "risk":
        Escalation.objects.filter(pk=items[1].pk).update(risk="medium")
    if kind == "rules":
        verdict = dict(items[1].verdict)
        verdict["rules"] = [{**rule, "version": 99} for rule in verdict["rules"]]
        Escalation.objects.filter(pk=items[1].pk).update(verdict=verdict)
    if kind == "question":
        items = [make_escalation(queue=payment.queue, kind="question", risk="low", run_id=uuid7())]
    with nothing_but_a_note():
        answer = ask(payment.ada, items)
    assert answer.status_code == 422
    assert set(answer.json()["errors"]) == {"ids"}
    assert not Job.objects.exists()


def test_a_rule_that_wants_a_fresh_sign_in_wants_it_for_each():
    payment, items = many(2, obligations={"step_up": True})
    with nothing_but_a_note():
        assert ask(payment.ada, items).status_code == 422


@pytest.mark.parametrize(
    ("bulk", "words"),
    [
        (False, "approved by itself"),
        ({"items": 2}, "at most 2 of these"),
        ({"total_minor": 749_999}, "at most 7,499.99 EUR"),
    ],
)
def test_a_rule_says_how_many_and_up_to_which_sum(bulk, words):
    payment, items = many(3, obligations={"bulk": bulk})
    with nothing_but_a_note():
        answer = ask(payment.ada, items)
    assert answer.status_code == 422
    [said] = answer.json()["errors"]["ids"]
    assert words in said
    assert not Job.objects.exists()


def test_what_fits_a_rule_s_limits_is_approved_together():
    payment, items = many(3, obligations={"bulk": {"items": 3, "total_minor": 750_000}})
    assert ask(payment.ada, items).status_code == 202


def test_what_stands_out_counts_towards_no_limit():
    limits = {"bulk": {"items": 3, "total_minor": 760_000}}
    payment, items = many(amounts=[250_000, 260_000, 250_000, 2_500_000], obligations=limits)
    job = ask(payment.ada, items).json()
    assert [row["state"] for row in job["results"]] == ["waiting", "waiting", "waiting", "excluded"]


def test_a_rule_may_let_medium_risk_be_approved_together_and_a_silent_one_beside_it_keeps_to_low():
    payment, items = many(2, obligations={"bulk": {"risk": "medium"}})
    Escalation.objects.update(risk="medium")
    assert ask(payment.ada, items).status_code == 202
    Escalation.objects.update(risk="high")
    with nothing_but_a_note():
        assert "low or medium risk" in ask(payment.ada, items).json()["errors"]["ids"][0]
    silent = {"slug": "silent", "when": "true", "effect": "require_approval"}
    payment = make_payment(silent, obligations={"bulk": {"risk": "medium"}})
    assert payment.item.verdict["obligations"]["bulk"] == {"risk": "low", "items": 50}


def page_of(person, query, **typed):
    client = Client()
    client.force_login(person)
    return client.post("/inbox/bulk/", typed) if typed else client.get(f"/inbox/bulk/?{query}")


def test_all_that_match_are_listed_with_their_total_and_fixed_when_confirmed():
    payment, items = many(3)
    other = make_escalation(queue=payment.queue, risk="high", title="A step")
    page = page_of(payment.ada, f"all=1&verdict=approve&view=team&agent={payment.agent.slug}").content.decode()
    assert "Approve 3 items · 7,500.00 EUR" in page
    assert all(f'name="ids" value="{item.pk}"' in page for item in items)
    assert str(other.pk) not in page
    assert "More match" not in page
    late = escalate(
        propose(payment.agent, payment.operation, {"amount_minor": 250_000, "currency": "EUR", "iban": "DE9"}),
        payment.operation,
    )
    ids = [str(item.pk) for item in items]
    answer = page_of(payment.ada, "", verdict="approve", ids=ids, **{f"v-{key}": 1 for key in ids})
    work()
    assert answer.status_code == 302
    assert states(items) == ["approved"] * 3
    assert states([late]) == ["pending"]


def test_all_that_match_are_what_the_person_may_decide_and_no_more_than_a_job_takes(monkeypatch):
    payment, items = many(3)
    question = make_escalation(queue=payment.queue, kind="question", title="Which?")
    say(payment.ada, make_escalation(queue=payment.queue, title="Voted", quorum=2))
    page = page_of(payment.ada, "all=1&verdict=reject&view=team").content.decode()
    assert "Reject 3 items" in page
    assert str(question.pk) not in page
    assert (
        "Nothing here can be told that" in page_of(payment.ada, "all=1&verdict=approve&view=decided").content.decode()
    )
    viewer = make_holder("oversight.view_escalation", unit=payment.unit)
    assert str(items[0].pk) not in page_of(viewer, "all=1&verdict=reject&view=team").content.decode()
    monkeypatch.setattr("apps.oversight.selectors.jobs.MAX_BULK", 2)
    page = page_of(payment.ada, "all=1&verdict=snooze&view=team").content.decode()
    assert "These 2 are the most urgent ones" in page


def test_of_all_that_match_as_many_are_approved_as_their_rules_let_be():
    payment, _items = many(3, obligations={"bulk": {"items": 2}})
    page = page_of(payment.ada, "all=1&verdict=approve&view=mine").content.decode()
    assert "Approve 2 items" in page
    assert "These 2 are the most urgent ones" in page
    assert "approved by itself" not in page


def test_listing_all_costs_the_same_whatever_the_number(django_assert_max_num_queries):
    payment, _items = many(2)
    page_of(payment.ada, "all=1&verdict=approve")
    more = [
        escalate(
            propose(payment.agent, payment.operation, {"amount_minor": 250_000, "currency": "EUR", "iban": "DE1"}),
            payment.operation,
        )
        for _ in range(12)
    ]
    client = Client()
    client.force_login(payment.ada)
    with django_assert_max_num_queries(32):
        page = client.get("/inbox/bulk/?all=1&verdict=approve").content.decode()
    assert all(str(item.pk) in page for item in more)


def test_what_failed_is_put_before_the_person_again_with_the_same_words():
    payment, items = many(3)
    job = ask(payment.ada, items, "reject", reason="The supplier is closed.", versions={str(items[0].pk): 7}).json()[
        "id"
    ]
    say(payment.ben, items[1])
    work()
    client = Client()
    client.force_login(payment.ada)
    assert "Try the other one again" in client.get(f"/jobs/{job}/").content.decode()
    page = client.get(f"/inbox/bulk/?job={job}").content.decode()
    assert "Reject 1 item" in page
    assert str(items[0].pk) in page
    assert str(items[1].pk) not in page  # decided meanwhile
    assert "The supplier is closed." in page
    client.force_login(payment.ben)
    assert client.get(f"/inbox/bulk/?job={job}").status_code == 404


def test_one_s_own_jobs_are_listed_with_what_became_of_them():
    payment, items = many(3)
    job = ask(payment.ada, items, versions={str(items[0].pk): 7}).json()["id"]
    running = ask(payment.ben, items[:1], "reject", reason="No.").json()["id"]
    JobItem.objects.filter(job=running).update(not_before=items[0].due_at)
    work()
    [row] = caller(payment.ada).get("/api/v1/jobs/").json()["results"]
    assert (row["id"], row["state"], row["total"], row["done"], row["failed"]) == (job, "done", 3, 3, 1)
    client = Client()
    client.force_login(payment.ada)
    page = client.get("/jobs/").content.decode()
    assert f"/jobs/{job}/" in page
    assert running not in page
    client.force_login(payment.ben)
    assert "0 of 1" in client.get("/jobs/").content.decode()
    client.force_login(make_holder("oversight.view_escalation"))
    assert "Nothing was decided together yet" in client.get("/jobs/").content.decode()


def test_anything_may_be_rejected_together_with_one_reason():
    payment = make_payment(risk="critical", quorum=2)
    step = make_escalation(queue=payment.queue, risk="high")
    job = ask(payment.ada, [payment.item, step], "reject", reason="The supplier is closed.").json()
    work()
    assert [row["outcome"] for row in result_of(payment.ada, job["id"])["results"]] == ["rejected"] * 2
    assert payment.action_now().refusal["reason"] == "The supplier is closed."


def test_many_are_put_aside():
    payment, items = many(2)
    until = items[0].created_at + (items[0].due_at - items[0].created_at) / 2
    job = ask(payment.ada, items, "snooze", until=until.isoformat()).json()
    work()
    assert [row["state"] for row in result_of(payment.ada, job["id"])["results"]] == ["done", "done"]
    assert states(items) == ["pending", "pending"]


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"ids": []}, "ids"),
        ({"ids": "all"}, "ids"),
        ({"ids": ["x"]}, "ids.0"),
        ({"ids": [str(uuid4()) for _ in range(201)]}, "ids"),
        ({"ids": [str(uuid4())]}, "ids"),
        ({"verdict": "answer"}, "verdict"),
        ({"verdict": "reject"}, "reason"),
        ({"verdict": "reject", "reason": "  "}, "reason"),
        ({"verdict": "reject", "reason": "x" * 2001}, "reason"),
        ({"versions": []}, "versions"),
        ({"versions": {"x": 1}}, "versions"),
        ({"versions": {str(uuid4()): True}}, "versions"),
        ({"versions": {str(uuid4()): 0}}, "versions"),
        ({"verdict": "snooze"}, "until"),
        ({"until": "2030-01-01T00:00:00Z"}, "until"),
        ({"all": True}, "all"),
    ],
)
def test_bodies_that_do_not_fit_start_nothing(body, field):
    payment, items = many(2)
    with nothing_but_a_note():
        answer = post(caller(payment.ada), URL, {"verdict": "approve", "ids": [str(item.pk) for item in items], **body})
    assert answer.status_code == 422, answer.content
    assert set(answer.json()["errors"]) == {field}
    assert not Job.objects.exists()


def test_the_same_item_twice_is_named_once():
    payment, items = many(1)
    with nothing_but_a_note():
        assert ask(payment.ada, items * 2).json()["errors"] == {"ids": ["Name each item once."]}


def test_strangers_find_no_items_and_nobody_else_s_job():
    payment, items = many(2)
    with nothing_but_a_note():
        assert ask(make_user(), items).status_code == 422
        with_key = {"Authorization": f"Bearer {make_key_for(payment.agent)}"}
        assert post(Client(headers=with_key), URL, {"verdict": "approve", "ids": []}).status_code == 403
    job = ask(payment.ada, items).json()["id"]
    assert caller(payment.ben).get(f"/api/v1/jobs/{job}/").status_code == 404
    assert caller(payment.ada).get(f"/api/v1/jobs/{uuid4()}/").status_code == 404


def test_the_right_to_decide_is_asked_at_each_vote():
    payment, items = many(3)
    viewer = make_holder("oversight.view_escalation", unit=payment.unit)
    refused = ask(viewer, items).json()["id"]
    job = ask(payment.ada, items).json()["id"]
    assert perform_due_items(at_once=1)
    payment.ada.role_grants.all().delete()
    work()
    assert {row["code"] for row in result_of(viewer, refused)["results"]} == {"not_eligible"}
    codes = [row.code for row in JobItem.objects.filter(job=job)]
    assert set(codes) <= {"", "not_found"}
    assert set(states(items)) == {"pending"}


def test_many_are_read_as_one_is():
    def reads(number):
        payment, items = many(number)
        ask(payment.ada, items, verdict="reject", reason="Not this month.")
        with CaptureQueriesContext(connection) as found:
            assert perform_due_items() == number
        assert set(states(items)) == {"rejected"}
        return [sql for query in found if (sql := query["sql"]).startswith("SELECT")]

    reads(1)  # what a process reads once
    assert len(reads(9)) == len(reads(2))


def test_entries_of_what_is_refused_are_not_written_with_those_of_the_others():
    payment, items = many(3)
    job = ask(payment.ada, items).json()["id"]
    assert say(payment.ben, items[1], "reject", reason="Not this one.").state == "rejected"
    before = Entry.objects.filter(subject_id=items[1].pk).count()
    assert work() == 3
    assert [row.code for row in JobItem.objects.filter(job=job)] == ["", "already_decided", ""]
    assert Entry.objects.filter(subject_id=items[1].pk).count() == before
    for item in (items[0], items[2]):
        names = Entry.objects.filter(subject_id=item.pk).order_by("id").values_list("name", flat=True)
        assert list(names)[-2:] == ["vote.cast", "escalation.approved"]


def test_nothing_is_decided_for_who_has_left():
    payment, items = many(3)
    job = ask(payment.ada, items).json()["id"]
    User.objects.filter(pk=payment.ada.pk).update(is_active=False)
    work()
    assert {row.code for row in JobItem.objects.filter(job=job)} == {"not_allowed"}
    assert not Vote.objects.exists()
    assert Job.objects.get(pk=job).state == "done"
    assert set(states(items)) == {"pending"}


def test_an_item_that_cannot_be_done_holds_up_no_other_and_each_is_voted_on_once(monkeypatch):
    payment, items = many(4)
    job = ask(payment.ada, items).json()["id"]
    monkeypatch.setattr(jobs, "vote_on", breaking(jobs.vote_on, at=items[1].pk))
    for tries in (1, 2):
        with pytest.raises(RuntimeError, match="the cable is cut"):
            perform_due_items()
        waiting = JobItem.objects.filter(job=job, state="waiting")
        assert set(waiting.values_list("attempts", flat=True)) == {tries}
        assert Vote.objects.count() == len(items) - waiting.count()  # what was taken back was taken back whole
        waiting.update(not_before=ClockTimestamp())
    assert states(items) == ["approved", "pending", "approved", "approved"]
    monkeypatch.undo()
    assert work() == 1
    assert Job.objects.get(pk=job).state == "done"
    assert Vote.objects.count() == 4


def breaking(command, *, at):
    def broken(person, item, **words):
        if item.pk == at:
            raise RuntimeError("the cable is cut")
        return command(person, item, **words)

    return broken


def test_a_repeat_with_the_same_key_is_the_same_job():
    payment, items = many(2)
    client, body = caller(payment.ada), {"verdict": "approve", "ids": [str(item.pk) for item in items]}
    first = post(client, URL, body, **{"Idempotency-Key": "k1"})
    again = post(client, URL, body, **{"Idempotency-Key": "k1"})
    assert first.json()["id"] == again.json()["id"]
    assert Job.objects.count() == 1
    work()
    assert Vote.objects.count() == 2


def test_a_worker_that_dies_after_claiming_holds_up_nothing_and_loses_nothing():
    payment, items = many(3)
    job = ask(payment.ada, items).json()["id"]
    with connection.cursor() as cursor:  # claimed, then killed: the claim stands, the vote was never cast
        cursor.execute(CLAIM, [2])
    assert work() == 1
    assert result_of(payment.ada, job)["state"] == "running"
    JobItem.objects.filter(state="waiting").update(not_before=items[0].created_at)
    assert work() == 2
    assert result_of(payment.ada, job)["state"] == "done"
    assert Vote.objects.count() == 3
    assert states(items) == ["approved"] * 3


def test_two_hundred_go_in_one_job():
    payment, items = many(50)
    for _ in range(3):
        items += [
            escalate(
                propose(payment.agent, payment.operation, {"amount_minor": 250_000, "currency": "EUR", "iban": "DE1"}),
                payment.operation,
            )
            for _ in range(50)
        ]
    start_bulk(payment.ada, verdict="reject", ids=[item.pk for item in items], reason="Closed.")
    work()
    assert set(states(items)) == {"rejected"}


RISKS = st.sampled_from(list(Risk))
CANDIDATES = st.lists(
    st.builds(
        Candidate,
        item=st.uuids(),
        what=st.sampled_from(["pay", "send"]),
        rules=st.sampled_from([("a@1/x",), ("a@2/x",)]),
        risk=RISKS,
        step_up=st.booleans(),
        amount_minor=st.none() | st.integers(-(10**9), 10**9),
        currency=st.sampled_from(["EUR", "USD"]),
        bulk=st.sampled_from([USUAL_BULK, Bulk(Risk.MEDIUM, 3, 10**9), Bulk(items=0)]),
    ),
    max_size=8,
    unique_by=lambda found: found.item,
)


@given(CANDIDATES)
def test_only_what_is_alike_and_what_every_rule_lets_through_goes_together(found):
    if bulk_problem(found) is None and limit_problem(found) is None:
        assert len({(one.what, one.rules, one.currency) for one in found}) <= 1
        assert all(one.risk in {Risk.LOW, one.bulk.risk} and not one.step_up for one in found)
        assert all(len(found) <= one.bulk.items for one in found)
        if bounds := [one.bulk.total_minor for one in found if one.bulk.total_minor is not None]:
            amounts = [one.amount_minor for one in found]
            assert None not in amounts
            assert sum(map(abs, amounts)) <= min(bounds)


@given(CANDIDATES)
def test_what_stands_out_is_larger_than_most_and_order_does_not_matter(found):
    out = outliers(found)
    assert out == outliers(reversed(found))
    amounts = {one.item: abs(one.amount_minor) for one in found if one.amount_minor is not None}
    assert all(amounts[item] > min(amounts.values()) for item in out)
    if amounts and len(set(amounts.values())) == 1:
        assert not out


def test_what_stands_out_keeps_the_others_apart_by_nothing_but_itself():
    amounts = [250_000, 260_000, 270_000, 9_000_000]
    with transaction.atomic():
        large = {"slug": "very-large", "when": "action.amount_minor > 5000000", "effect": "require_approval"}
        payment = make_payment(large, risk="low")
        items = [payment.item]
        for number, amount in enumerate(amounts[1:]):
            parameters = {"amount_minor": amount, "currency": "EUR", "iban": f"DE{number:04}"}
            items.append(escalate(propose(payment.agent, payment.operation, parameters), payment.operation))
    page = Client()
    page.force_login(payment.ada)
    asked = page.get("/inbox/bulk/", {"verdict": "approve", "ids": [str(item.pk) for item in items]}).content.decode()
    assert "stands out: decide it alone" in asked
    assert "These are not approved together." not in asked
    job = ask(payment.ada, items).json()["id"]
    work()
    assert states(items) == ["approved", "approved", "approved", "pending"]
    assert result_of(payment.ada, job)["state"] == "done"
