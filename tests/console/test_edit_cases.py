"""The tests of a policy edited as rows: typed fields, run at each look, part of the same proposal."""

from html import unescape
from typing import Any

import pytest

from apps.audit.models import Entry
from apps.policies.models import PolicyVersion, Proposal
from apps.policies.services import publish_policy
from tests.console.rule_desk import ODD, SMALL, Desk
from tests.factories.connectors import make_operation
from tests.factories.policies import make_policy, make_rule

SCHEMA = {
    "type": "object",
    "required": ["iban", "lines"],
    "properties": {
        "iban": {"type": "string"},
        "count": {"type": "integer"},
        "rate": {"type": "number"},
        "urgent": {"type": "boolean"},
        "speed": {"enum": ["slow", "fast", 3]},
        "lines": {"type": "array"},
    },
}
FULL = {
    "name": "everything",
    "action": {
        "operation": "crm.update", "effect": "write", "connector": "crm", "amount_minor": 5, "currency": "EUR",
        "parameters": {"iban": "DE00", "count": 3, "rate": 0.5, "urgent": False, "speed": 3, "lines": [{"qty": 1}],
                       "odd": None, "text": "5", "empty": ""},
        "target": "DE00", "reference": "r-1", "environment": "test", "confidence": 1, "is_compensable": False,
        "data_classes": ["personal"],
    },
    "agent": {"slug": "a", "risk": "high", "state": "active", "version": 2, "owner": "ada", "capabilities": ["pay"]},
    "run": {"workflow": "w", "step": "s", "started_by": "ben", "key": "k"},
    "on_behalf_of": "cleo", "now": "2027-01-31T04:00:00Z",
    "history": {'history.count( "bank.pay", "1d", "agent")': 20},
    "expect": "allow", "rule": "all",
}  # fmt: skip


@pytest.fixture
def desk(db: None) -> Desk:
    return Desk()


def test_from_a_new_test_to_the_release_by_somebody_else(desk: Desk) -> None:
    versions = PolicyVersion.objects.count()
    page = desk.look()
    assert "Passed" in page
    desk.press("case-add", **{"new-operation": "bank.pay"})
    assert "A new test" in desk.page
    assert desk.fields()["case-currency"] == "EUR"
    page = desk.fill("case-run", name="large", amount="1,000.01".replace(",", ""), expect="deny")
    assert "came: denied, no rule allows it" in page.replace("Came", "came")
    assert "small</code>: its condition does not hold" in page
    desk.fill("case-done")
    assert [test["name"] for test in desk.tests()] == ["small", "large"]
    assert desk.tests()[1]["action"]["amount_minor"] == 100_001
    page = desk.press("check")
    assert page.count(">Passed<") == 2
    assert "its tests change" in page
    assert PolicyVersion.objects.count() == versions  # nothing is written before it is proposed
    desk.press("propose", reason="Pin the limit.")
    proposal = Proposal.objects.get()
    assert (proposal.kind, proposal.state) == ("rules", "open")
    assert proposal.version.tests == [*desk.policy.in_force.tests, proposal.version.tests[1]]
    assert Entry.objects.filter(name="proposal.open", actor=desk.ada).exists()
    publish_policy(desk.ben, policy=desk.policy, version=2)
    desk.policy.refresh_from_db()
    assert desk.policy.in_force == proposal.version


def test_each_parameter_has_the_input_of_its_type_and_the_test_its_value(desk: Desk) -> None:
    make_operation(slug="crm.update", parameters=SCHEMA, amount=None, target="")
    desk.look()
    desk.press("case-add", **{"new-operation": "crm.update"})
    assert "case-p-iban" in desk.fields()
    desk.fill(
        "case-done", name="typed", p_iban="DE00", p_count="3", p_rate="0.5", p_urgent="1", p_speed="2",
        p_lines='[{"qty": 1}]', more='{"extra": {"deep": true}}', target=" DE00 ", expect="deny",
    )  # fmt: skip
    assert desk.status == 200, desk.page
    assert desk.tests()[1]["action"]["parameters"] == {
        "iban": "DE00",
        "count": 3,
        "rate": 0.5,
        "urgent": False,
        "speed": 3,
        "lines": [{"qty": 1}],
        "extra": {"deep": True},
    }
    assert desk.tests()[1]["action"]["target"] == "DE00"
    desk.press("case:1")
    desk.fill("case-done", p_count="", p_urgent="", p_iban="FR00")
    assert desk.tests()[1]["action"]["parameters"] == {
        "iban": "FR00",
        "rate": 0.5,
        "speed": 3,
        "lines": [{"qty": 1}],
        "extra": {"deep": True},
    }


def test_a_test_that_nobody_touched_comes_back_as_it_was_written(desk: Desk) -> None:
    make_operation(slug="crm.update", parameters=SCHEMA)
    make_policy(make_rule(slug="all"), unit=desk.unit, slug="payments", name="Payments", tests=[FULL])
    desk.look()
    desk.press("case:0")
    desk.fill("case-done")
    assert desk.tests() == [FULL]
    desk.press("tests-text")
    desk.press("tests-rows")
    assert desk.tests() == [FULL]


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        ({"name": ""}, "This field is required."),
        ({"name": "small"}, "There is a test of this name already."),
        ({"amount": "0.001"}, "It has more digits than it may have."),
        ({"amount": "lots"}, "Enter a number."),
        ({"operation": ""}, "This field is required."),
        ({"operation": "bank.gone"}, "There is no operation of this name."),
        ({"more": "[1"}, "Other parameters"),
        ({"more": "[1]"}, "An object is wanted"),
        ({"now": "tomorrow"}, "A time with its zone is wanted"),
        ({"confidence": "2"}, "A number from 0 to 1 is wanted."),
        ({"agent_version": "1.5"}, "Enter a whole number."),
        ({"target": "x" * 301}, "at most 300 characters"),
        ({"past-0": "1.5"}, "It has more digits than it may have."),
    ],
)
def test_what_does_not_fit_stays_typed_and_is_said_at_its_field(desk: Desk, typed: dict[str, Any], said: str) -> None:
    desk.look()
    desk.press("case-add", **{"new-operation": "bank.pay"})
    page = desk.fill("case-done", **{"name": "new", **typed})
    assert (desk.status, 'role="alert"' in page) == (422, True)
    assert said in unescape(page)
    for name, value in typed.items():
        assert desk.fields()[f"case-{name}"] == value
    assert len(desk.tests()) == 2


@pytest.mark.parametrize(("name", "value"), [("rule", "gone"), ("agent_unit", "gone"), ("expect", "flag")])
def test_what_is_not_on_offer_is_refused(desk: Desk, name: str, value: str) -> None:
    desk.look()
    desk.press("case:0")
    desk.fill("case-done", **{name: value})
    assert desk.status == 422
    assert desk.tests()[0]["expect"] == "allow"


def test_the_past_is_asked_as_the_rules_ask_it(desk: Desk) -> None:
    asks = 'history.sum_minor("bank.pay", "1d", "target") > 500'
    make_policy(SMALL, ODD, make_rule(slug="sum", when=asks, effect="deny"), unit=desk.unit, slug="payments", name="P")
    desk.look()
    desk.press("case-add", **{"new-operation": "bank.pay"})
    assert 'history.count("bank.pay", "1d", "agent")' in unescape(desk.page)
    page = desk.fill("case-run", name="often", amount="5", expect="deny", **{"past-0": "4", "past-1": "5.01"})
    assert desk.tests()[0]["history"] == {
        'history.count("bank.pay", "1d", "agent")': 4,
        'history.sum_minor("bank.pay", "1d", "target")': 501,
    }
    assert "denied by odd, sum" in page


def test_tests_come_go_and_are_copied(desk: Desk) -> None:
    desk.look()
    page = desk.press("case-add", **{"new-operation": " "})
    assert "Name the operation that the test is about." in page
    desk.press("case-add", **{"new-operation": "bank.pay"})
    desk.fill("case-drop")
    assert [test["name"] for test in desk.tests()] == ["small"]
    desk.press("case-copy:0")
    desk.fill("case-done", name="smaller", amount="0.01")
    assert [test["action"]["amount_minor"] for test in desk.tests()] == [5, 1]
    desk.press("case-remove:0")
    assert [test["name"] for test in desk.tests()] == ["smaller"]
    desk.press("case:0")
    desk.fill("case-drop", name="other")
    assert [test["name"] for test in desk.tests()] == ["smaller"]


def test_what_was_only_run_is_gone_when_somebody_leaves(desk: Desk) -> None:
    desk.look()
    was = desk.tests()
    desk.press("case:0")
    desk.fill("case-run", name="other", amount="7")
    assert desk.tests()[0]["name"] == "other"
    desk.fill("case-run", name="another", amount="8")
    desk.fill("case-drop")
    assert desk.tests() == was
    desk.press("case-add", **{"new-operation": "bank.pay"})
    desk.fill("case-run", name="new", amount="7")
    desk.fill("case-drop")
    assert desk.tests() == was
    desk.press("case:0")
    desk.fill("case-run", amount="7")
    desk.fill("case-done")
    assert desk.tests()[0]["action"]["amount_minor"] == 700


@pytest.mark.parametrize("was", ["", "5", "{", "[]", '{"name": 5}', "{}, {}"])
def test_no_earlier_test_that_a_page_carries_breaks_it(desk: Desk, was: str) -> None:
    sent = {"rules": "[]", "cases": '[{"name": "n"}]', "open-case": "0", "was": was}
    answer = desk.client.post("/policies/payments/edit/", {**sent, "do": "case-drop"})
    assert answer.status_code in {200, 422}


def test_a_test_of_an_operation_that_is_not_there_is_not_begun(desk: Desk) -> None:
    desk.look()
    page = desk.press("case-add", **{"new-operation": "bank.gone"})
    assert "There is no operation bank.gone." in page
    assert (len(desk.tests()), desk.fields()["new-operation"]) == (1, "bank.gone")
    gone = {"name": "gone", "action": {"operation": "bank.gone"}, "expect": "deny"}
    make_policy(SMALL, unit=desk.unit, slug="payments", name="P", tests=[gone])
    desk.look()
    desk.press("case:0")  # what is gone since can be looked at
    desk.fill("case-done", amount="5")
    assert (desk.status, desk.tests()[0]["action"]["amount_minor"]) == (200, 500)


def test_the_amount_is_asked_for_once(desk: Desk) -> None:
    desk.look()
    desk.press("case-add", **{"new-operation": "bank.pay"})
    assert {"case-amount", "case-currency", "case-p-iban"} <= desk.fields().keys()
    assert not {"case-p-amount_minor", "case-p-currency"} & desk.fields().keys()
    desk.fill("case-run", name="both", amount="5", more='{"amount_minor": 500}')
    assert desk.fields()["case-p-amount_minor"] == "500"
    assert "What rules say of the amount is about the field above." in desk.page


def test_a_test_that_fails_or_does_not_fit_says_so_in_its_row_and_is_in_the_way(desk: Desk) -> None:
    desk.look()
    desk.press("case:0")
    desk.fill("case-done", expect="deny")
    assert "Failed" in desk.page
    assert "allowed by small" in desk.page
    page = desk.press("check")
    assert "One test fails: change it or the rules" in page
    assert "Propose this" not in page
    desk.press("propose", reason="Still.")
    assert (desk.status, Proposal.objects.exists()) == (422, False)
    assert desk.tests()[0]["expect"] == "deny"
    desk.press("tests-text")
    desk.press("check", tests="- {name: [1], action: {operation: bank.pay}, expect: allow}\n- 5")
    assert "Does not fit" in desk.page
    assert "they stay text" in desk.press("tests-rows")


def test_rules_that_do_not_fit_run_nothing(desk: Desk) -> None:
    desk.look()
    page = desk.press("case:0", rules='[{"slug": "a", "when": "nonsense(", "effect": "allow"}]')
    assert "The test small" in page
    desk.press("case-drop")
    assert "The rules do not fit yet." in desk.page


@pytest.mark.parametrize("cases", ["", "{}", "[1]", "nonsense", "[" + ", ".join(["{}"] * 52) + "]"])
def test_what_the_page_carries_is_checked(desk: Desk, cases: str) -> None:
    answer = desk.client.post("/policies/payments/edit/", {"do": "check", "rules": "[]", "cases": cases})
    assert answer.status_code == 422


@pytest.mark.parametrize(
    "case",
    [
        "{}",
        '{"name": 5, "action": 5, "agent": [], "history": 5, "expect": [], "rule": {}}',
        '{"name": "x", "action": {"operation": 5, "parameters": [], "amount_minor": "a", "currency": 5}, "x": 1}',
        '{"name": "n", "action": {"operation": "bank.pay", "amount_minor": NaN}, "history": {"nonsense(": 1}}',
        '{"name": "n", "action": {"operation": "\\u0000"}, "expect": "deny"}',
    ],
)
@pytest.mark.parametrize("do", ["case:0", "case-copy:0", "check", "tests-text", "case-remove:7", "case:x"])
def test_no_test_that_a_page_carries_breaks_it(desk: Desk, case: str, do: str) -> None:
    answer = desk.client.post("/policies/payments/edit/", {"do": do, "rules": "[]", "cases": f"[{case}]"})
    assert answer.status_code in {200, 422}
    sent = {"do": "case-done", "rules": "[]", "cases": f"[{case}]", "open-case": "0", "case-name": "n"}
    assert desk.client.post("/policies/payments/edit/", sent).status_code in {200, 422}


def test_hostile_text_is_text(desk: Desk) -> None:
    desk.look()
    page = desk.press("case-add", **{"new-operation": '"><script>alert(1)</script>'})
    assert "<script>alert" not in page
    desk.press("case-add", **{"new-operation": "bank.pay"})
    page = desk.fill("case-done", name="<img src=x>", target='"><script>alert(2)</script>')
    assert "<script>alert" not in page
    assert "<img src=x>" not in page
