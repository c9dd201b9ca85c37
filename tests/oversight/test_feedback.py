"""What people said of an agent's work, as its agent and people read it: own work only, and each thing once."""

import csv
import json
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from django.test import Client
from hypothesis import given
from hypothesis import strategies as st

from apps.agents.models import Action
from apps.classification.models import DataClass
from apps.connectors.models import Effect
from apps.core.models import ClockTimestamp, database_now
from apps.oversight.models import Escalation
from apps.oversight.rules import Kind, patch_between
from apps.oversight.rules.feedback import Said, dotted, fields_of, said_of
from apps.oversight.selectors import feedback as reading
from apps.workflows.services.erasing import ask_erasure, erase_trail
from tests.classification.test_runs import IBAN, Case
from tests.factories.access import make_admin, make_approver, make_holder
from tests.factories.agents import make_agent, make_key_for
from tests.factories.classification import make_data_class
from tests.factories.oversight import Payment, escalate, make_escalation, make_payment, propose, say
from tests.oversight.test_api import caller
from tests.workflows.actions import work
from tests.workflows.test_sent_back import asked as asked_in_a_task
from tests.workflows.test_sent_back import decide as decide_in_a_task

pytestmark = pytest.mark.django_db
MINE = "/api/v1/me/feedback/"


def agent_client(agent: Any, **key: Any) -> Client:
    return Client(headers={"Authorization": f"Bearer {make_key_for(agent, **key)}"})


def read(payment: Payment, query: str = "", **key: Any) -> list[dict[str, Any]]:
    answer = agent_client(payment.agent, **key).get(f"{MINE}{query}")
    assert answer.status_code == 200, answer.content
    return list(answer.json()["results"])


def another(payment: Payment, **more: Any) -> Escalation:
    """One more payment of the same agent that waits."""
    return escalate(propose(payment.agent, payment.operation, {**payment.action.parameters}, **more), payment.operation)


def all_said(payment: Payment) -> list[Escalation]:
    """Four payments: approved, edited, rejected, sent back, in this order."""
    items = [payment.item, *(another(payment) for _ in range(3))]
    say(payment.ada, items[0])
    edited = {**payment.action.parameters, "amount_minor": 240_000, "iban": "DE0018"}
    say(payment.ada, items[1], parameters=edited)
    say(payment.ada, items[2], "reject", reason="We paid it in May.", reason_code="duplicate", retry="never")
    say(payment.ada, items[3], "request_changes", reason="Say which invoice.", reason_code="missing_evidence")
    return items


def carried_out(payment: Payment, **fields: Any) -> Effect:
    return Effect.objects.create(
        action=payment.action, operation=payment.operation, connector=payment.operation.connector,
        idempotency_key=str(uuid4()), read_back_at=ClockTimestamp(), **fields,
    )  # fmt: skip


def test_each_decision_is_told_with_what_there_is_to_learn_newest_first() -> None:
    payment = make_payment()
    items = all_said(payment)
    back, rejected, edited, approved = read(payment)
    assert [line["id"] for line in (approved, edited, rejected, back)] == [str(item.pk) for item in items]
    assert [line["said"] for line in (approved, edited, rejected, back)] == [
        "approved", "edited", "rejected", "changes_requested",
    ]  # fmt: skip
    assert (rejected["reason"], rejected["reason_code"], rejected["retry"]) == (
        "We paid it in May.",
        "duplicate",
        "never",
    )
    assert (back["reason"], back["reason_code"]) == ("Say which invoice.", "missing_evidence")
    assert edited["fields"] == ["amount_minor", "iban"]
    assert {step["path"]: step["value"] for step in edited["patch"]} == {"/amount_minor": 240_000, "/iban": "DE0018"}
    assert (approved["fields"], approved["patch"], approved["kind"]) == ([], [], "decision")
    assert approved["rules"][0]["message"] == "Payments above 1,000.00 need a person."
    assert (approved["action"], approved["operation"]) == (str(payment.action.pk), payment.operation.slug)
    assert payment.ada.username not in json.dumps([approved, edited, rejected, back])
    assert str(payment.ada.pk) not in json.dumps([approved, edited, rejected, back])


def test_what_waits_expired_or_was_cancelled_was_said_by_nobody() -> None:
    payment = make_payment()
    Escalation.objects.filter(pk=another(payment).pk).update(state="expired", ended_at=ClockTimestamp())
    assert read(payment) == []


def test_pages_hold_each_thing_once_however_often_they_are_turned() -> None:
    payment = make_payment()
    items = all_said(payment)
    carried_out(payment, state="mismatch", read_back={"expect": "found.paid", "reading": "differs"})
    client = agent_client(payment.agent)

    def walk() -> list[str]:
        found, url = [], f"{MINE}?limit=2"
        while url:
            page = client.get(url).json()
            found += [line["id"] for line in page["results"]]
            url = page["next"]
        return found

    first = walk()
    assert len(first) == len(set(first)) == 5
    assert {str(item.pk) for item in items} < set(first)
    assert walk() == first


def test_the_time_of_an_answer_is_where_the_next_one_begins() -> None:
    payment = make_payment()
    all_said(payment)
    page = agent_client(payment.agent).get(MINE).json()
    assert len(read(payment, f"?since={page['as_of']}")) == 4  # of the last minute is told again
    assert [line["said"] for line in read(payment, f"?since={page['results'][1]['at']}")] == [
        "changes_requested", "rejected",
    ]  # fmt: skip
    later = (database_now() + timedelta(seconds=5)).isoformat().replace("+00:00", "Z")
    assert read(payment, f"?since={later}") == []


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("?said=edited", ["edited"]),
        ("?said=approved", ["approved"]),
        ("?said=rejected", ["rejected"]),
        ("?kind=mismatch", ["mismatch"]),
        ("?said=mismatch", ["mismatch"]),
        ("?kind=review", []),
        ("?version=7", ["approved"]),
        ("?operation=nothing.of_it", []),
    ],
)
def test_a_filter_finds_what_it_names(query: str, said: list[str]) -> None:
    payment = make_payment()
    all_said(payment)
    version = payment.agent.versions.create(number=7, made_by=payment.agent.owner)
    Action.objects.filter(pk=payment.action.pk).update(version=version)
    other_action = Escalation.objects.filter(agent=payment.agent, state="rejected").get().action
    assert other_action
    Effect.objects.create(
        action=other_action, operation=payment.operation, connector=payment.operation.connector, state="mismatch",
        idempotency_key=str(uuid4()), read_back_at=ClockTimestamp(), read_back={"expect": "found.paid"},
    )  # fmt: skip
    assert [line["said"] for line in read(payment, query)] == said


def test_reviews_findings_and_what_systems_show_otherwise_are_there_too() -> None:
    payment = make_payment()
    say(payment.ada, payment.item)
    effect = carried_out(
        payment, state="mismatch",
        read_back={"expect": "found.amount == request.amount", "found": {"secret": "of the ledger"}},
    )  # fmt: skip
    review = make_escalation(
        kind="review", action=payment.action, run_id=None, schema={"type": "object"}, queue=payment.queue
    )
    say(make_approver(payment.queue), review, "answer", answer={"verdict": "wrong", "reason": "not our supplier"})
    finding = make_escalation(
        kind="exception", action=payment.action, run_id=None, schema={"type": "object"}, queue=payment.queue
    )
    say(payment.ada, finding, "answer", answer={"found": "mended", "remark": "paid again"})
    found = {line["kind"]: line for line in read(payment)}
    assert set(found) == {"decision", "review", "mismatch", "finding"}
    assert (found["review"]["said"], found["review"]["reason"]) == ("wrong", "not our supplier")
    assert (found["finding"]["said"], found["finding"]["reason"]) == ("mended", "paid again")
    assert (found["mismatch"]["id"], found["mismatch"]["expect"]) == (str(effect.pk), "found.amount == request.amount")
    assert "of the ledger" not in json.dumps(found)


def test_an_answer_to_a_question_is_there_with_the_question() -> None:
    case, item, clerk = asked_in_a_task()
    decide_in_a_task(item, clerk, "request_changes", reason="Say what is fine.")
    (line,) = agent_client(case.agent).get(MINE).json()["results"]
    assert (line["kind"], line["said"], line["question"]) == ("answer", "changes_requested", "Is it fine?")
    assert (line["reason"], line["action"], line["task"]) == ("Say what is fine.", None, str(item.task_id))
    assert agent_client(case.agent, environment="test").get(MINE).json()["results"] == []


def test_nobody_reads_what_was_said_of_anothers_work() -> None:
    payment, stranger = make_payment(), make_agent()
    all_said(payment)
    assert agent_client(stranger).get(MINE).json()["results"] == []
    path = f"/api/v1/agents/{payment.agent.slug}/feedback/"
    assert agent_client(payment.agent).get(path).status_code == 403
    assert caller(payment.ada).get(MINE).json()["code"] == "not_allowed"
    assert caller(make_holder("oversight.view_escalation")).get(path).status_code == 404
    assert caller(make_holder("agents.view_agent")).get(path).json()["results"] == []
    assert len(caller(make_holder("agents.view_agent", "oversight.view_escalation")).get(path).json()["results"]) == 4


def test_a_test_key_reads_of_tests_and_a_live_one_of_live_work() -> None:
    payment = make_payment()
    say(payment.ada, payment.item)
    tried = another(payment, environment="test")
    say(payment.ada, tried, "reject", reason="only a try")
    assert [line["said"] for line in read(payment)] == ["approved"]
    assert [line["said"] for line in read(payment, environment="test")] == ["rejected"]


def test_what_was_erased_stays_erased() -> None:
    payment = make_payment()
    say(payment.ada, payment.item, "reject", reason="Mrs Smith is no customer.", reason_code="wrong_target")
    work()
    dora, emil = make_admin(username="dora"), make_admin(username="emil")
    ask_erasure(dora, trail_id=payment.item.trail, reason="She asked for it.")
    erase_trail(emil, trail_id=payment.item.trail)
    (line,) = read(payment)
    assert (line["reason"], line["said"], line["reason_code"]) == ("", "rejected", "wrong_target")
    assert line["erased"]["by"] == "emil"
    assert "Smith" not in json.dumps(line)


def test_people_see_marks_where_they_may_not_see_a_class_and_the_agent_its_own_values() -> None:
    make_data_class(slug="bank")
    payment = make_payment()
    edited = {**payment.action.parameters, "amount_minor": 240_000}
    say(payment.ada, payment.item, parameters=edited)
    Action.objects.filter(pk=payment.action.pk).update(classed={"bank": [["amount_minor"]]})
    viewer = make_holder("agents.view_agent", "oversight.view_escalation")
    (line,) = caller(viewer).get(f"/api/v1/agents/{payment.agent.slug}/feedback/").json()["results"]
    assert "240000" not in json.dumps(line)
    assert line["fields"] == ["amount_minor"]
    assert read(payment)[0]["patch"][0]["value"] == 240_000


@pytest.mark.parametrize(("classes", "seen"), [(("people",), False), ((), True)])
def test_what_a_system_shows_is_marked_where_it_quotes_what_the_run_carries(classes: tuple[str], seen: bool) -> None:
    case, payment = Case(), make_payment()
    make_data_class(slug="bank")
    case.start()
    classed = {"bank": [["amount_minor"]]}
    Action.objects.filter(pk=payment.action.pk).update(classed=classed, run_id=case.run_id, workflow="hire")
    carried_out(payment, state="mismatch", read_back={"problem": f"There is no account {IBAN}.", "expect": "found"})
    DataClass.objects.exclude(slug__in=["bank", *classes]).update(redact_in=[])
    viewer = make_holder("agents.view_agent", "oversight.view_escalation")
    (line,) = caller(viewer).get(f"/api/v1/agents/{payment.agent.slug}/feedback/").json()["results"]
    assert (IBAN in line["reason"]) == seen
    assert "There is no account" in line["reason"]
    assert IBAN in read(payment)[0]["reason"], "The agent that gave the values reads them."


def test_all_of_it_comes_as_lines_up_to_a_cap(monkeypatch: pytest.MonkeyPatch) -> None:
    payment = make_payment()
    all_said(payment)
    client = agent_client(payment.agent)
    monkeypatch.setattr(reading, "READ_AT_ONCE", 2)

    def lines(query: str = "") -> list[str]:
        answer = client.get(f"{MINE}{query}", headers={"Accept": "application/x-ndjson"})
        assert (answer.status_code, answer["Content-Type"]) == (200, "application/x-ndjson")
        text = b"".join(answer.streaming_content).decode()
        return [json.loads(line)["said"] for line in text.splitlines()]

    assert lines() == ["changes_requested", "rejected", "edited", "approved"]
    assert lines("?said=edited") == ["edited"]
    monkeypatch.setattr(reading, "MAX_FEEDBACK", 3)
    assert lines() == ["changes_requested", "rejected", "edited"]
    refused = client.get(f"{MINE}?said=fine", headers={"Accept": "application/x-ndjson"})
    assert (refused.status_code, json.loads(refused.content)["code"]) == (422, "invalid")


@pytest.mark.parametrize(
    "query",
    ["?said=fine", "?kind=words", "?version=x", "?version=99999999999999999999", "?since=now", "?who=ada", "?cursor=x"],
)
def test_what_it_does_not_know_is_refused(query: str) -> None:
    payment = make_payment()
    answer = agent_client(payment.agent).get(f"{MINE}{query}")
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid")


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-999, 999) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("ab~/0", max_size=2), inner, max_size=3),
    max_leaves=8,
)


@given(before=VALUES, after=VALUES)
def test_fields_are_named_of_every_patch(before: Any, after: Any) -> None:
    patch = patch_between(before, after)
    assert bool(fields_of(patch)) == bool(patch)
    assert len(fields_of(patch)) <= len(patch)


def test_a_pointer_is_read_as_people_read_it() -> None:
    assert dotted("/lines/0/amount_minor") == "lines[].amount_minor"
    assert dotted("/a~1b/c~0d") == "a/b.c~d"
    assert dotted("") == "."


@given(kind=st.sampled_from(list(Kind)), answer=VALUES)
def test_odd_answers_say_nothing_rather_than_fail(kind: Kind, answer: Any) -> None:
    found = said_of(kind, "answered", edited=False, answer=answer)
    assert found is None or found in list(Said)


def test_the_page_shows_what_was_said_and_gives_it_as_files() -> None:
    payment = make_payment()
    all_said(payment)
    client = Client()
    client.force_login(make_holder("agents.view_agent", "oversight.view_escalation"))
    path = f"/agents/{payment.agent.slug}/feedback"
    page = client.get(f"{path}/").content.decode()
    assert "We paid it in May." in page
    assert "Already done, or a duplicate" in page
    assert "<code>iban</code>" in page
    only = client.get(f"{path}/?said=edited&version=odd&since=never").content.decode()
    assert "We paid it in May." not in only
    table = list(csv.DictReader(b"".join(client.get(f"{path}.csv").streaming_content).decode().splitlines()))
    assert [row["said"] for row in table] == ["changes_requested", "rejected", "edited", "approved"]
    assert table[1]["reason"] == "We paid it in May."
    lines = b"".join(client.get(f"{path}.jsonl?said=edited").streaming_content).decode().splitlines()
    assert [json.loads(line)["fields"] for line in lines] == [["amount_minor", "iban"]]
    client.force_login(make_holder("oversight.view_escalation"))
    assert {client.get(f"{path}{end}").status_code for end in ("/", ".csv", ".jsonl")} == {404}


def test_the_page_turns_and_says_where_nothing_is() -> None:
    payment = make_payment()
    client = Client()
    client.force_login(make_holder("agents.view_agent", "oversight.view_escalation"))
    path = f"/agents/{payment.agent.slug}/feedback/"
    assert "Nobody has said anything yet" in client.get(path).content.decode()
    assert "Nothing fits" in client.get(f"{path}?said=edited").content.decode()
    all_said(payment)
    found = client.get(path)
    assert found.context["page"].next_url is None
    assert client.get(f"{path}?after=odd&said=odd&version=-1").status_code == 200
