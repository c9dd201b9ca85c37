"""Forms made from JSON: what was not touched comes back as it was, what was typed gets its type or is refused."""

from typing import Any

from django.http import QueryDict
from hypothesis import given
from hypothesis import strategies as st

from apps.core.differences import masked
from apps.oversight.forms import DecisionForm, InboxFilter, ValueForm, answer_form, parameters_form

plain = st.text(st.characters(codec="utf-8", exclude_categories=["Cs", "Cc"]), max_size=20)
leaf = st.none() | st.booleans() | st.integers(-(2**53) + 1, 2**53 - 1) | st.floats(-(2**53) + 1, 2**53 - 1) | plain
value = st.recursive(
    leaf, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(plain, inner, max_size=3), max_leaves=6
)
names = st.from_regex(r"[a-z]{1,8}", fullmatch=True).filter(lambda name: name != "pin")


def sent_back(form: ValueForm) -> QueryDict:
    """What a browser sends of a form that nobody touched."""
    data = QueryDict(mutable=True)
    for bound in form:
        data[bound.html_name] = "" if bound.value() is None else str(bound.value())
    return data


@given(st.dictionaries(names, value, min_size=1, max_size=5))
def test_a_form_that_nobody_touched_gives_back_the_very_values(parameters: dict[str, Any]) -> None:
    form = parameters_form(None, parameters, sent_back(parameters_form(None, parameters)))
    assert form.is_valid(), form.errors
    expected = masked(parameters)
    assert form.value == expected
    assert [type(item) for item in form.value.values()] == [type(item) for item in expected.values()]


SCHEMA = {
    "type": "object",
    "required": ["amount_minor", "terms"],
    "properties": {
        "amount_minor": {"type": "integer"},
        "rate": {"type": "number"},
        "terms": {"enum": ["NET30", "NET60"]},
        "urgent": {"type": "boolean"},
        "note": {"type": "string"},
        "lines": {"type": "array"},
    },
}


def edited(**typed: str) -> ValueForm:
    parameters = {"amount_minor": 5, "rate": 1.0, "terms": "NET30"}
    data = sent_back(parameters_form(SCHEMA, parameters))
    for name, text in typed.items():
        data[f"p-{name}"] = text
    form = parameters_form(SCHEMA, parameters, data)
    form.is_valid()
    return form


def test_what_is_typed_gets_the_type_of_its_schema() -> None:
    form = edited(amount_minor="7", rate="2.5", terms="1", urgent="0", note="x", lines='[{"qty": 2}]')
    assert form.value == {
        "amount_minor": 7, "rate": 2.5, "terms": "NET60", "urgent": True, "note": "x", "lines": [{"qty": 2}],
    }  # fmt: skip


def test_optional_fields_left_empty_stay_absent() -> None:
    assert edited().value == {"amount_minor": 5, "rate": 1.0, "terms": "NET30"}


def test_what_does_not_fit_is_told_at_its_field() -> None:
    form = edited(amount_minor="7.0", rate="NaN", lines='{"a": 1, "a": 2}', terms="9")
    assert set(form.errors) == {"amount_minor", "rate", "lines", "terms"}
    assert set(edited(amount_minor="9" * 20, note="a\x00b").errors) == {"amount_minor", "note"}


def test_a_secret_stands_masked_in_the_form() -> None:
    form = parameters_form(None, {"api_key": "s3cret", "login": {"password": "hunter2"}})
    assert "s3cret" not in str(form)
    assert "hunter2" not in str(form)


def test_findings_of_a_service_stand_at_the_field_they_are_about() -> None:
    form = edited()
    form.add_problems({"parameters.amount_minor": ["Too much."], "parameters": ["Not so."]})
    assert form.errors["amount_minor"] == ["Too much."]
    assert form.non_field_errors() == ["parameters: Not so."]


def test_answers_are_choices_values_objects_or_text() -> None:
    assert list(answer_form(None, ["a", {"value": 2, "label": "Two"}]).fields) == ["value"]
    chosen = answer_form(None, ["a", {"value": 2, "label": "Two"}], QueryDict("a-value=1"))
    assert chosen.is_valid()
    assert chosen.value == 2
    number = answer_form({"type": "integer"}, [], QueryDict("a-value=12"))
    assert number.is_valid()
    assert number.value == 12
    whole = answer_form(SCHEMA, [], QueryDict("a-amount_minor=3&a-terms=0"))
    assert whole.is_valid(), whole.errors
    assert whole.value == {"amount_minor": 3, "terms": "NET30"}
    text = answer_form(None, [], QueryDict("a-value=Two+words"))
    assert text.is_valid()
    assert text.value == "Two words"


def test_no_choice_is_made_beforehand_for_an_answer() -> None:
    assert not answer_form(SCHEMA, [], QueryDict("a-amount_minor=3&a-terms=")).is_valid()


def test_a_rejection_needs_a_preset_or_words() -> None:
    base = {"verdict": "reject", "version": "1"}
    assert not DecisionForm(base).is_valid()
    assert not DecisionForm({**base, "reason_code": "other"}).is_valid()
    assert DecisionForm({**base, "reason_code": "wrong_amount"}).is_valid()
    assert DecisionForm({**base, "reason": "No."}).is_valid()


def test_a_filter_that_does_not_fit_is_ignored() -> None:
    assert InboxFilter(QueryDict("view=everything&risk=purple&q=a")).wanted == {"view": "mine", "q": "a"}
