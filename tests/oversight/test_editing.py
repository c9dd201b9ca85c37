"""Editing on the page: money as people write it, and nothing approved before its sentence was shown."""

import html
import re

import pytest

from apps.oversight.forms import Priced, parameters_form
from tests.factories.connectors import make_operation
from tests.factories.oversight import Payment, escalate, make_payment, nothing_happens, propose
from tests.factories.policies import make_policy, make_rule
from tests.oversight.test_views import FRAGMENT, decide, signed_in

pytestmark = pytest.mark.django_db
TYPED = {"edit": "1", "p-currency": "EUR", "p-iban": "DE0017"}


def shown(payment: Payment, **typed: str) -> str:
    """What the page answers to an edit that nobody confirmed."""
    with nothing_happens():
        answer = decide(payment.ada, payment.now(), **{**TYPED, **typed})
    assert answer.status_code == 200
    return html.unescape(answer.content.decode())


def confirmed(page: str) -> str:
    found = re.search(r'name="confirmed" value="([^"]+)"', page)
    assert found
    return found[1]


def test_the_amount_is_typed_as_people_write_it() -> None:
    payment = make_payment()
    page = signed_in(payment.ada).get(f"/inbox/{payment.item.pk}/?decide=edit", headers=FRAGMENT).content.decode()
    assert 'name="p-amount_minor" value="2500.00"' in page
    assert "It is 2,500.00 EUR now. 450 means 450.00 EUR." in page
    assert "smallest unit" not in page
    assert "See what it would do" in page
    assert "Approve as edited" not in page


@pytest.mark.parametrize("typed", ["1800", "1800.00", "1,800.00"])
def test_an_edit_is_shown_before_it_is_approved_and_approved_as_it_was_shown(typed: str) -> None:
    payment = make_payment()
    page = shown(payment, **{"p-amount_minor": typed})
    assert "Will pay 1,800.00 EUR to DE0017." in page
    assert "<del>2,500.00 EUR</del>" in page
    assert "<ins>1,800.00 EUR</ins>" in page
    assert "Approve as edited" in page
    answer = decide(payment.ada, payment.item, **TYPED, **{"p-amount_minor": typed, "confirmed": confirmed(page)})
    assert answer.status_code == 200
    assert payment.now().edited
    assert payment.action_now().parameters == {"amount_minor": 180_000, "currency": "EUR", "iban": "DE0017"}


def test_what_was_changed_since_it_was_shown_is_shown_again() -> None:
    payment = make_payment()
    seen = confirmed(shown(payment, **{"p-amount_minor": "1800"}))
    page = shown(payment, **{"p-amount_minor": "18", "confirmed": seen})
    assert "Will pay 18.00 EUR to DE0017." in page
    assert confirmed(page) != seen


def test_an_edit_that_changes_nothing_says_so() -> None:
    payment = make_payment()
    page = shown(payment, **{"p-amount_minor": "2500.00"})
    assert "Nothing differs. If you approve" in page
    assert "Will pay 2,500.00 EUR to DE0017." in page
    decide(payment.ada, payment.item, **TYPED, **{"p-amount_minor": "2500.00", "confirmed": confirmed(page)})
    now = payment.now()
    assert (now.state, now.edited) == ("approved", False)


def test_a_stricter_edit_says_that_others_decide_it() -> None:
    board = {"when": "action.amount_minor > 1000000", "effect": "require_approval", "slug": "board"}
    payment = make_payment({**board, "obligations": {"quorum": 2}})
    page = shown(payment, **{"p-amount_minor": "20000"})
    assert "It is not approved by you: it waits for others" in page
    assert "Ask others for it as edited" in page
    assert "Approve as edited" not in page


def test_a_value_said_again_is_asked_for_where_the_edit_is_shown() -> None:
    payment = make_payment(risk="high")
    page = signed_in(payment.ada).get(f"/inbox/{payment.item.pk}/?decide=edit", headers=FRAGMENT).content.decode()
    assert 'id="restated-edit"' not in page
    edited = {**TYPED, "p-amount_minor": "1800"}
    page = shown(payment, **edited)
    assert 'id="restated-edit"' in page
    edited |= {"confirmed": confirmed(page)}
    with nothing_happens():
        answer = decide(payment.ada, payment.item, **edited, restated="2500.00")
    assert answer.status_code == 422
    assert 'id="restated-edit_error"' in answer.content.decode()
    assert "Will pay 1,800.00 EUR" in answer.content.decode()
    assert decide(payment.ada, payment.item, **edited, restated="1800.00").status_code == 200
    assert payment.action_now().amount_minor == 180_000


def test_the_schema_speaks_of_amounts_as_the_field_does() -> None:
    payment = make_payment()
    with nothing_happens():
        page = decide(payment.ada, payment.item, **TYPED, **{"p-amount_minor": "0"}).content.decode()
    assert "0.00 EUR is less than the minimum of 0.01 EUR" in page


@pytest.mark.parametrize(
    ("currency", "amount", "minor"),
    [("JPY", "2500", 2_500), ("JPY", "2500.00", None), ("BHD", "2500.000", 2_500_000), ("EURO", "2500.00", 250_000)],
)
def test_the_currency_that_is_sent_says_how_many_digits_an_amount_has(
    currency: str, amount: str, minor: int | None
) -> None:
    asked = {"amount_minor": 250_000, "currency": "EUR"}
    sent = {"p-amount_minor": amount, "p-currency": currency}
    form = parameters_form(None, asked, sent, priced=Priced("amount_minor", "currency", "EUR"))
    assert form.is_valid() is (minor is not None)
    assert form.value["amount_minor"] == minor if minor else "like 45000." in form.errors["amount_minor"][0]


def test_an_amount_of_one_currency_needs_no_name_for_its_units() -> None:
    payment = make_payment()
    refund = make_operation(
        parameters={"type": "object", "properties": {"sum": {"type": "integer"}, "fee_minor": {"type": "integer"}}},
        amount={"path": "sum", "currency": "EUR"},
        target="",
        consequence="Will refund {amount}.",
    )
    rule = make_rule(effect="require_approval", queue=payment.queue.slug, scope={"operations": [refund.slug]})
    make_policy(rule, unit=payment.unit)
    item = escalate(propose(payment.agent, refund, {"sum": 4_200, "fee_minor": 150}), refund)
    page = signed_in(payment.ada).get(f"/inbox/{item.pk}/?decide=edit", headers=FRAGMENT).content.decode()
    assert 'name="p-sum" value="42.00"' in page
    assert 'name="p-fee_minor" value="1.50"' in page


def test_what_is_no_amount_stays_what_it_was() -> None:
    form = parameters_form(
        {"properties": {"late_minor": {"type": "integer"}}},
        {"sum": "hidden", "fee_minor": -5, "tax_minor": 1.5, "rate_minor": True, "days": 450},
        priced=Priced(path="sum", currency="EUR"),
    )
    assert form.amounts == ["late_minor"]
    assert parameters_form(None, {"fee_minor": 5}).amounts == []
