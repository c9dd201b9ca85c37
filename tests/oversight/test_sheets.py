"""What the decision page says besides the parameters, and where it says it."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils.html import escape
from uuid_utils.compat import uuid7

from apps.agents.models import Action
from apps.agents.rules import ActionState
from apps.agents.services import erase_actions
from apps.connectors.models import Effect, Operation
from apps.core.models import ClockTimestamp, User
from apps.oversight.models import Escalation, Vote
from apps.oversight.rules import Pace, first_deadline, percentile
from apps.oversight.selectors import escalation_for, pace_for, precedent_for
from apps.oversight.selectors.factors import named_in
from apps.oversight.selectors.sheets import Sheet, ordered_parameters_for, sheet_for
from tests.factories.connectors import make_operation
from tests.factories.oversight import Payment, escalate, make_escalation, make_payment, propose, say
from tests.factories.policies import make_policy, make_rule

pytestmark = pytest.mark.django_db
PARTS = (
    "If you approve", "Parameters", "Why you", "Risk", "Deadline", "Policy", "Who", "Evidence", "Precedent", "Cost",
    "Way back", "Agent says", "Timeline", "Binding",
)  # fmt: skip


def signed_in(person: User) -> Client:
    client = Client()
    client.force_login(person)
    return client


def sheet(payment: Payment) -> Sheet:
    return sheet_for(payment.ada, escalation_for(payment.ada, payment.item.pk))


def page_of(payment: Payment) -> str:
    headers = {"HX-Request": "true", "HX-Target": "detail"}
    return str(signed_in(payment.ada).get(f"/inbox/{payment.item.pk}/", headers=headers).content.decode())


def earlier(payment: Payment, *amounts: int, **fields: Any) -> None:
    """Payments that the same agent made before."""
    for amount in amounts:
        action = propose(payment.agent, payment.operation, {**payment.action.parameters, "amount_minor": amount})
        Action.objects.filter(pk=action.pk).update(state=ActionState.SUCCEEDED, **fields)


def test_the_parts_stand_in_their_order() -> None:
    payment = make_payment()
    Action.objects.filter(pk=payment.action.pk).update(evidence=[{"title": "Invoice", "text": "x"}], goal="Pay.")
    page = page_of(payment)
    places = [page.index(f">{part}<") for part in PARTS]
    assert places == sorted(places)


def test_the_amount_is_compared_with_what_the_agent_usually_moves() -> None:
    payment = make_payment()
    earlier(payment, *range(1_000, 21_000, 1_000))
    history = sheet(payment).history
    assert (history.total, history.p95_minor) == (20, 19_000)
    assert "13.2× its 95th percentile, 190.00 EUR" in page_of(payment)
    earlier(payment, *[900_000] * 5)
    assert "within its 95th percentile" in page_of(payment)


def test_amounts_of_another_currency_are_not_compared() -> None:
    payment = make_payment()
    earlier(payment, 100, 200, currency="USD")
    assert sheet(payment).history.p95_minor is None
    assert "95th percentile" not in page_of(payment)


def test_a_first_time_for_a_target_is_said() -> None:
    payment = make_payment()
    assert "this agent never did this before" in page_of(payment)
    earlier(payment, 1_000, target="DE0099")
    assert "first time for" in page_of(payment)
    earlier(payment, 1_000)
    assert "first time for" not in page_of(payment)


@pytest.mark.parametrize(("values", "found"), [([], None), ([7], 7), ([1, 2, 3, 4], 4), (list(range(1, 101)), 95)])
def test_the_percentile_is_the_smallest_value_that_the_share_does_not_exceed(values: list[int], found: int) -> None:
    assert percentile(values) == found


def test_the_rule_is_told_with_the_values_that_matched() -> None:
    payment = make_payment()
    [ground] = sheet(payment).grounds
    assert ground.values == [("action.amount_minor", 250_000)]
    page = page_of(payment)
    assert "It looked at:" in page
    assert "<code>action.amount_minor</code> = <code>250000</code>" in page


def test_a_fact_is_named_only_as_a_whole() -> None:
    facts = {"action.amount": 1, "action.amount_minor": 2, "agent.slug": "x"}
    assert named_in("agent.slug == 'x' && action.amount_minor > 1", facts) == [
        ("agent.slug", "x"),
        ("action.amount_minor", 2),
    ]


def test_precedent_counts_reversals_and_shows_the_fields_that_differ() -> None:
    payment = make_payment()
    action = propose(payment.agent, payment.operation, {**payment.action.parameters, "amount_minor": 200_000})
    say(payment.ben, escalate(action, payment.operation))
    Action.objects.filter(pk=action.pk).update(state=ActionState.COMPENSATED)
    found = precedent_for(payment.ada, payment.item)
    assert (found.approved, found.reversed, found.same_target) == (1, 1, 1)
    page = page_of(payment)
    assert "1 that was approved was reversed or overturned afterwards." in page
    assert "<del>200000</del> → <ins>250000</ins>" in page
    assert "1.2×" in page


def test_an_erased_precedent_keeps_its_target_and_is_compared_with_nothing() -> None:
    payment = make_payment()
    earlier(payment, 1_000)
    past = Action.objects.exclude(pk=payment.action.pk).get()
    action = propose(payment.agent, payment.operation, payment.action.parameters)
    say(payment.ben, escalate(action, payment.operation))
    erase_actions(payment.ada, ids=[past.pk, action.pk])
    assert sheet(payment).history.same_target == 1
    found = precedent_for(payment.ada, payment.item)
    assert (found.approved, found.same_target, found.compared, found.differs) == (1, 1, None, [])
    assert "1 of them had the same target." in page_of(payment)
    assert "first time for" not in page_of(payment)


def test_nothing_different_is_said_too() -> None:
    payment = make_payment()
    action = propose(payment.agent, payment.operation, payment.action.parameters)
    say(payment.ben, escalate(action, payment.operation))
    assert "Nothing: every parameter is the same." in page_of(payment)


def test_a_secret_differs_without_being_told() -> None:
    payment = make_payment()
    action = propose(payment.agent, payment.operation, {**payment.action.parameters, "api_key": "older"})
    say(payment.ben, escalate(action, payment.operation))
    Action.objects.filter(pk=payment.action.pk).update(parameters={**payment.action.parameters, "api_key": "newer"})
    page = page_of(payment)
    assert "newer" not in page
    assert "older" not in page


def test_the_way_back_says_whether_it_was_ever_exercised() -> None:
    payment = make_payment()
    assert "Nothing. What was done stays done." in page_of(payment)
    undo = make_operation(connector=payment.operation.connector, name="Take it back")
    compensation = {"operation": undo.slug, "parameters": {}}
    Operation.objects.filter(pk=payment.operation.pk).update(compensation=compensation)
    assert "Never: whether it works was not tried." in page_of(payment)
    Effect.objects.create(
        action=payment.action, operation=payment.operation, connector=payment.operation.connector,
        state="compensated", idempotency_key="k", settled_at=ClockTimestamp(),
    )  # fmt: skip
    found = sheet(payment).way_back
    assert found is not None
    assert (found.name, found.undone) == ("Take it back", 1)


def test_waiting_costs_a_run_that_stands_still() -> None:
    payment = make_payment()
    step = make_escalation(queue=payment.queue)
    make_escalation(queue=payment.queue, run_id=step.run_id, step="other")
    cost = sheet_for(payment.ada, escalation_for(payment.ada, step.pk)).cost
    assert (cost.blocks_run, cost.beside) == (True, 1)
    assert sheet(payment).cost.blocks_run is False
    assert "no run waits for it" in page_of(payment)


def votes(payment: Payment, person: User, *gaps_s: int) -> None:
    """Votes of a person, so many seconds apart."""
    moment = datetime.now(UTC) - timedelta(days=1)
    for gap_s in (0, *gaps_s):
        moment += timedelta(seconds=gap_s)
        vote = Vote.objects.create(
            escalation=make_escalation(queue=payment.queue), voter=person, verdict="approve", version=1
        )
        Vote.objects.filter(pk=vote.pk).update(created_at=moment)


def test_the_pace_is_the_median_of_ones_own_votes_in_one_sitting() -> None:
    payment = make_payment()
    assert pace_for(payment.ada) == Pace(45, "assumed")
    votes(payment, payment.ben, 10, 20, 30, 40, 50, 9_000)
    assert pace_for(payment.ada) == Pace(30, "others")
    votes(payment, payment.ada, 5, 5, 6, 7, 7)
    assert pace_for(payment.ada) == Pace(6, "own")
    assert "at your own median" in page_of(payment)


def test_minutes_are_at_least_one() -> None:
    assert [Pace(45, "own").minutes_for(items) for items in (1, 2, 12)] == [1, 2, 9]


def test_the_first_deadline_is_the_hour_behind_the_first_item() -> None:
    noon = datetime(2026, 5, 4, 12, 0, tzinfo=UTC)
    due = [noon + timedelta(minutes=minutes) for minutes in (-5, 70, 110, 119, 120, 300)]
    assert first_deadline(due, noon) == (3, noon + timedelta(hours=2))
    assert first_deadline([noon], noon) is None


def test_what_has_no_expiry_does_not_run_by_itself_either() -> None:
    payment = make_payment()
    assert "then it will not run" in page_of(payment)
    Escalation.objects.filter(pk=payment.item.pk).update(expires_at=None)
    assert "it will not run without a decision" in page_of(payment)


def test_an_item_with_everything_costs_a_fixed_number_of_queries(django_assert_max_num_queries: Any) -> None:
    payment = make_payment(quorum=2)
    undo = make_operation(name="Take it back")
    compensation = {"operation": undo.slug, "parameters": {}}
    evidence = [{"title": f"Invoice {number}", "text": "x"} for number in range(5)]
    parameters = {"amount_minor": 260_000, "currency": "EUR", "iban": "DE0017"}
    older = [escalate(propose(payment.agent, payment.operation, parameters), payment.operation) for _ in range(3)]
    for item in older:
        say(payment.ada, item)
        say(payment.ben, item)
    Action.objects.filter(pk=payment.action.pk).update(evidence=evidence, goal="Pay.")
    Escalation.objects.filter(pk=payment.item.pk).update(run_id=uuid7(), supersedes=older[0])
    say(payment.ben, payment.item)
    Operation.objects.filter(pk=payment.operation.pk).update(compensation=compensation)
    client = signed_in(payment.ada)
    for number in range(4):
        client.post(f"/inbox/{payment.item.pk}/comment/", {"text": f"I called them {number} times"})
    headers = {"HX-Request": "true", "HX-Target": "detail"}
    page_of(payment)
    with django_assert_max_num_queries(28):
        page = client.get(f"/inbox/{payment.item.pk}/", headers=headers).content.decode()
    for part in ("Take it back", "Invoice 4", "I called them 3 times", str(payment.ben)):
        assert part in page


def test_an_amount_reads_as_money_wherever_it_stands() -> None:
    payment = make_payment(risk="high")
    schema = {"type": "object", "properties": {"sum": {"type": "object"}, "ccy": {"type": "string"}}}
    amount = {"path": "sum.total", "currency_path": "ccy"}
    operation = make_operation(parameters=schema, amount=amount, target="", consequence="")
    asks = make_rule(effect="require_approval", queue=payment.queue.slug, scope={"operations": [operation.slug]})
    make_policy(asks, unit=payment.unit)
    parameters = {"sum": {"total": 50_000, "lines": 2}, "ccy": "USD"}
    item = escalate(propose(payment.agent, operation, parameters), operation)
    payment.item = item
    page = " ".join(page_of(payment).split())
    assert sheet(payment).notes == {"sum.total": "= 500.00 USD"}
    assert (
        "= 500.00 USD"
        in page[page.index('id="parameters-card"') : page.index("</section>", page.index("parameters-card"))]
    )
    assert "As it stands above: <code>500.00</code>" in page
    assert item.restated({"sum": {"total": 60_000}, "ccy": "USD"}) == (60_000, 2)
    assert ordered_parameters_for(payment.ada, item.action)[1] == {"sum.total": "= 500.00 USD"}


RAW = '{"message": "account <b>closed</b>", "trace": "Traceback 0x7f"}'


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        ({"code": "no_answer", "message": ""}, "No answer in time."),
        ({"code": "refused_by_system", "message": RAW}, "The system said no. “account &lt;b&gt;closed&lt;/b&gt;”"),
        ({"code": "odd", "message": "x" * 400}, "The step book did not end as it should."),
    ],
)
def test_what_failed_is_a_sentence_and_its_raw_text_is_folded(error: dict[str, Any], sentence: str) -> None:
    payment = make_payment()
    raw = f"{error['message']} ({error['code']})"
    payment.item = make_escalation(
        queue=payment.queue, kind="exception", title="Failed: book", step="book", consequence=raw,
        subject={"error": error}, schema={"type": "object"},
    )  # fmt: skip
    page = page_of(payment)
    assert f'<p class="lead">{sentence}</p>' in " ".join(page.split())
    folded = page[page.index("Word for word") :]
    assert error["code"] in folded
    assert escape(error["message"]) in folded
    open_part = page[: page.index("Word for word")]
    assert error["code"] not in open_part
    assert "Traceback" not in open_part
