"""A new rule on the page: somebody who knows no CEL chooses a fact, a comparison and a value."""

from typing import Any

import pytest

from tests.console.rule_desk import Desk


@pytest.fixture
def desk(db: None) -> Desk:
    found = Desk()
    found.look()
    found.press("add")
    return found


def row(desk: Desk, place: int = 0) -> list[Any]:
    fields = desk.fields()
    return [fields.get(f"rule-{name}_{place}") for name in ("fact", "comparison", "value")]


def test_a_new_rule_opens_as_an_empty_comparison_and_not_as_text(desk: Desk) -> None:
    assert row(desk) == ["", "is", ""]
    assert "rule-when" not in desk.fields()
    assert "says more than the form can" not in desk.page
    desk.press(
        "done", slug="little", effect="allow", fact_0="action.amount_minor", comparison_0="at_most", value_0="300.00"
    )
    assert (desk.status, desk.rules()[-1]) == (
        200,
        {"slug": "little", "when": "action.amount_minor <= 30000", "effect": "allow"},
    )


def test_an_empty_comparison_is_none_and_the_rule_holds_in_every_case(desk: Desk) -> None:
    desk.press("done", slug="each", effect="allow")
    assert desk.rules()[-1] == {"slug": "each", "when": "true", "effect": "allow"}
    desk.press("open:2")
    assert row(desk) == ["", "is", ""]


@pytest.mark.parametrize("typed", [{"value_0": "300"}, {"comparison_0": "given"}])
def test_a_comparison_without_its_fact_is_not_passed_over(desk: Desk, typed: dict[str, str]) -> None:
    page = desk.press("done", slug="little", effect="allow", **typed)
    assert (desk.status, "Choose what is compared." in page) == (422, True)


def test_what_is_wrong_behind_an_empty_comparison_is_said_at_its_own_field(desk: Desk) -> None:
    desk.press("row")
    page = desk.press("done", slug="little", fact_1="action.amount_minor", comparison_1="over", value_1="much")
    assert desk.status == 422
    assert 'id="id_rule-value_1_error"' in page
    assert 'id="id_rule-value_0_error"' not in page


def test_a_rule_without_a_name_yet_is_turned_to_text_and_back(desk: Desk) -> None:
    desk.press("text", message="So far", fact_0="action.amount_minor", comparison_0="at_most", value_0="300.00")
    fields = desk.fields()
    assert (desk.status, fields["rule-when"], fields["rule-message"]) == (
        200,
        "action.amount_minor <= 30000",
        "So far",
    )
    assert "Show it as a form" in desk.page
    desk.press("rows", when="action.amount_minor > 5000")
    assert row(desk) == ["action.amount_minor", "over", "50.00"]
    desk.press("text", fact_0="action.amount_minor", value_0="much")
    assert desk.status == 422  # a comparison that is none has no text
