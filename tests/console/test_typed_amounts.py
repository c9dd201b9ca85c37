"""Amounts where people type them: not below zero, no larger than can be kept, and said so at the field."""

from decimal import Decimal

import pytest

from apps.access.models import Queue
from apps.connectors.models import Operation
from apps.console.forms import BudgetForm
from apps.console.forms.agents import PermissionForm
from apps.core.values import AmountField, amount_problem
from apps.policies.rules import DocumentError, read_rule
from tests.console.rule_desk import Desk
from tests.factories.policies import make_rule

BELOW, LARGE = "An amount is not below zero.", "This amount is too large."
WRONG = [("-5.00", BELOW), ("99999999999999999999.00", LARGE), ("99999999999999.00", LARGE)]


@pytest.mark.parametrize(("amount", "said"), WRONG)
def test_in_the_condition_and_in_the_limit_of_a_rule(db: None, amount: str, said: str) -> None:
    desk = Desk()
    desk.look("?rule=small")
    for name in ("value_0", "limit"):
        page = desk.press("done", **{name: amount})
        assert desk.status == 422
        assert f'id="id_rule-{name}_error">{said}' in page
        desk.look("?rule=small")


@pytest.mark.parametrize(("amount", "said"), WRONG)
def test_in_a_budget(db: None, amount: str, said: str) -> None:
    form = BudgetForm({"amount": amount, "measure": "money", "currency": "EUR"}, queues=Queue.objects.none())
    assert form.errors["amount"] == [said]


def test_in_what_one_use_of_a_permission_may_move(db: None) -> None:
    for amount, said in (("99999999999999999999.00", LARGE), ("-5.00", "An amount such as 800.00 is wanted")):
        form = PermissionForm({"amount": amount, "currency": "EUR"}, operations=Operation.objects.none())
        assert form.errors["amount"][0].startswith(said)


def test_what_is_whole_and_not_too_large_is_taken() -> None:
    assert AmountField().clean("90071992547409.91") == Decimal("90071992547409.91")
    assert [amount_problem(Decimal(text), 2) for text in ("90071992547409.91", "90071992547409.92", "0.001")] == [
        "",
        LARGE,
        "It has more digits than the currency.",
    ]


@pytest.mark.parametrize("minor", [-1, 2**53])
def test_in_the_document_of_a_rule(minor: int) -> None:
    with pytest.raises(DocumentError):
        read_rule(make_rule(obligations={"limit": {"amount_minor": minor}}))
