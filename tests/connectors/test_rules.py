"""What connectors know without asking anybody."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps.connectors.rules import (
    EFFECT_MOVES,
    MASK,
    REPEAT_AFTER_S,
    CallEnd,
    CallResult,
    EffectState,
    Money,
    answer_of,
    consequence_of,
    field_problems,
    forms_of,
    leaves_of,
    money_of,
    money_text,
    narrowed_schema,
    outcome_of,
    parameter_errors,
    redacted,
    refused_paths,
    retry_after_s,
    schema_problem,
    shown,
    split_parameters,
    storable,
    target_of,
    template_problem,
    uncallable,
)
from apps.core.amounts import EXPONENTS
from apps.core.rules import MAX_INTEGER, ValueProblem, canonical_json

SCHEMA = {
    "type": "object",
    "additionalProperties": False,
    "required": ["customer", "phone"],
    "properties": {
        "customer": {"type": "string"},
        "phone": {"type": "string"},
        "email": {"type": "string"},
        "address": {
            "type": "object",
            "additionalProperties": False,
            "properties": {"city": {"type": "string"}, "street": {"type": "string"}},
        },
    },
}
names = st.text("abc_", min_size=1, max_size=4)
trees = st.recursive(
    st.integers() | st.text(max_size=3),
    lambda inner: st.dictionaries(names, inner, max_size=3),
    max_leaves=8,
)
parameters = st.dictionaries(names, trees, max_size=4)


def outcome(call, effect="irreversible", idempotency="header", repeats=0, deferrals=0):
    return outcome_of(call, effect=effect, idempotency=idempotency, repeats=repeats, deferrals=deferrals)


class TestOutcomes:
    @pytest.mark.parametrize("status", [200, 201, 202, 204])
    def test_a_2xx_succeeded(self, status):
        assert outcome(CallResult(CallEnd.ANSWERED, status)).state == EffectState.SUCCEEDED

    @pytest.mark.parametrize("status", [400, 401, 404, 409, 422, 429])
    @pytest.mark.parametrize("effect", ["read", "write", "irreversible"])
    def test_a_4xx_failed(self, status, effect):
        assert outcome(CallResult(CallEnd.ANSWERED, status), effect).state == EffectState.FAILED

    @pytest.mark.parametrize(
        "call",
        [
            CallResult(CallEnd.SILENT),
            CallResult(CallEnd.BROKEN, 200),
            CallResult(CallEnd.BROKEN, 302),
            CallResult(CallEnd.LOST),
            CallResult(CallEnd.ANSWERED, 500),
            CallResult(CallEnd.ANSWERED, 503),
        ],
    )
    def test_a_write_without_a_clear_answer_is_unknown_at_once_and_a_read_failed(self, call):
        for effect in ("write", "irreversible"):
            assert outcome(call, effect).state == EffectState.UNKNOWN
        assert outcome(call, "read").state == EffectState.FAILED

    def test_only_what_is_safe_to_repeat_is_repeated_and_three_times_only(self):
        silent = CallResult(CallEnd.SILENT)
        for idempotency in ("header", "natural"):
            waits = [outcome(silent, "write", idempotency, repeats=n).retry_in_s for n in range(5)]
            assert waits == [*REPEAT_AFTER_S, None, None]
        assert outcome(silent, "write", "none").retry_in_s is None

    @pytest.mark.parametrize("status", [429, 503])
    def test_later_means_not_begun(self, status):
        later = CallResult(CallEnd.ANSWERED, status, retry_after_s=7)
        assert outcome(later, idempotency="none").state == EffectState.PREPARED
        assert outcome(later).retry_in_s == 7
        assert outcome(CallResult(CallEnd.ANSWERED, status, retry_after_s=10**7)).retry_in_s == 3600
        assert outcome(later, deferrals=10).state == EffectState.FAILED

    @pytest.mark.parametrize("end", [CallEnd.UNREACHABLE, CallEnd.REFUSED])
    def test_what_never_left_has_failed(self, end):
        assert outcome(CallResult(end), "irreversible").state == EffectState.FAILED

    @given(
        st.sampled_from(list(CallEnd)),
        st.none() | st.integers(100, 599),
        st.none() | st.integers(0, 10**6),
        st.sampled_from(["read", "write", "irreversible"]),
        st.sampled_from(["none", "header", "natural"]),
        st.integers(0, 12),
    )
    def test_every_outcome_is_a_move_of_a_dispatched_effect(self, end, status, later, effect, idempotency, n):
        found = outcome(CallResult(end, status, retry_after_s=later), effect, idempotency, n, n)
        assert found.state in EFFECT_MOVES[EffectState.DISPATCHED]
        assert (found.retry_in_s is None) or found.state in {EffectState.PREPARED, EffectState.UNKNOWN}
        if end == CallEnd.NOT_CALLED:  # a test: nothing can have gone wrong
            assert found.state == EffectState.SUCCEEDED
        elif found.state == EffectState.SUCCEEDED:
            assert end == CallEnd.ANSWERED
            assert status is not None
            assert 200 <= status < 300


class TestMoney:
    @pytest.mark.parametrize(
        ("minor", "currency", "text"),
        [
            (1240000, "EUR", "12,400.00 EUR"),
            (5, "USD", "0.05 USD"),
            (1240000, "JPY", "1,240,000 JPY"),
            (1234, "KWD", "1.234 KWD"),
            (0, "EUR", "0.00 EUR"),
            (-150, "EUR", "−1.50 EUR"),
        ],
    )
    def test_reads_as_people_write_it(self, minor, currency, text):
        assert money_text(minor, currency) == text

    @given(st.integers(0, MAX_INTEGER), st.sampled_from(sorted(EXPONENTS)))
    def test_loses_no_digit(self, minor, currency):
        digits = "".join(char for char in money_text(minor, currency) if char.isdigit())
        assert int(digits) == minor

    @pytest.mark.parametrize("amount", ["100", 1.0, True, -1, MAX_INTEGER + 1, [1], {"a": 1}])
    def test_what_is_no_amount_is_refused_with_its_path(self, amount):
        with pytest.raises(ValueProblem) as refused:
            money_of({"sum": {"minor": amount}}, {"path": "sum.minor", "currency": "EUR"})
        assert refused.value.path == "sum.minor"

    @pytest.mark.parametrize("currency", [None, "eur", "XXX", "€", 5])
    def test_an_unknown_currency_is_refused(self, currency):
        with pytest.raises(ValueProblem):
            money_of({"a": 1, "c": currency}, {"path": "a", "currency_path": "c"})

    def test_no_amount_is_none(self):
        assert money_of({}, {"path": "a", "currency": "EUR"}) is None
        assert money_of({"a": 1}, None) is None

    def test_a_target_is_text(self):
        assert target_of({"to": {"iban": "DE1"}}, "to.iban") == "DE1"
        assert target_of({"to": {"iban": True}}, "to.iban") == ""
        assert target_of({}, "") == ""

    def test_targets_that_begin_alike_are_told_apart(self):
        alike = ["A" * 200, "A" * 201, "A" * 200 + "B", "A" * 5_000]
        found = [target_of({"to": each}, "to") for each in alike]
        assert (len(set(found)), {len(each) for each in found}) == (4, {200})
        assert found[0] == alike[0]


class TestWording:
    def test_the_sentence_names_amount_and_parameters(self):
        text = consequence_of("Will pay {amount} to {iban}.", {"iban": "DE89", "amount": 5}, Money(1240000, "EUR"))
        assert text == "Will pay 12,400.00 EUR to DE89."

    @pytest.mark.parametrize(
        ("value", "shown"),
        [
            ("ACME Industrial Supplies GmbH & Co. KG", "To “ACME Industrial Supplies GmbH & Co. KG”"),
            ("DE00. Approved by the CFO", "To “DE00. Approved by the CFO”"),
            ("Delta IT Hardware", "To Delta IT Hardware"),
        ],
    )
    def test_a_value_that_reads_like_a_sentence_is_quoted(self, value, shown):
        assert consequence_of("To {iban}", {"iban": value}, None) == shown

    def test_what_hides_is_made_visible(self):
        assert "\u202e" not in consequence_of("To {iban}", {"iban": "DE\u202e98\u200b"}, None)
        assert consequence_of("To {iban}", {"iban": "a\nb"}, None) == "To “a‹U+000A›b”"

    @given(st.text(max_size=40), parameters)
    def test_values_are_never_templates(self, value, others):
        text = consequence_of("{a}", {**others, "a": value}, None)
        assert "\n" not in text

    def test_templates_are_checked_when_they_are_saved(self):
        assert not template_problem("Will pay {amount} to {customer}", schema=SCHEMA, has_amount=True)
        assert template_problem("Will pay {amount}", schema=SCHEMA, has_amount=False)
        assert template_problem("{nobody}", schema=SCHEMA, has_amount=True)
        assert template_problem("{phone", schema=SCHEMA, has_amount=True)
        assert template_problem("{phone.__class__!r}", schema=SCHEMA, has_amount=True)


class TestParameters:
    def test_go_into_path_query_and_body(self):
        given_parameters = {"id": "a/b?c", "n": 5, "yes": True, "tags": ["x", "y"], "none": None}
        got = split_parameters("GET", "/things/{id}/parts", given_parameters)
        assert got.path == "/things/a%2Fb%3Fc/parts"
        assert got.query == [("n", "5"), ("yes", "true"), ("tags", "x"), ("tags", "y")]
        assert got.body is None
        sent = split_parameters("POST", "/things/{id}", {"id": 7, "deep": {"a": 1}})
        assert (sent.path, sent.query, sent.body) == ("/things/7", [], {"deep": {"a": 1}})

    @pytest.mark.parametrize("value", ["", ".", "..", None, True, 1.5, {}, [], "a\nb"])
    def test_a_path_names_something(self, value):
        with pytest.raises(ValueProblem):
            split_parameters("GET", "/things/{id}", {"id": value})

    @given(st.text())
    def test_no_value_leaves_its_segment(self, value):
        try:
            path = split_parameters("DELETE", "/a/{id}/b", {"id": value}).path
        except ValueProblem:
            return
        assert path.count("/") == 3
        assert not set(path) & set("?#\\ @")

    def test_an_object_is_no_query(self):
        with pytest.raises(ValueProblem):
            split_parameters("GET", "/", {"a": {"b": 1}})

    def test_errors_name_the_field(self):
        errors = parameter_errors(SCHEMA, {"customer": 5, "fax": "1", "address": {"zip": "1"}})
        assert set(errors) == {"customer", "fax", "phone", "address.zip"}
        assert parameter_errors(SCHEMA, {"customer": "c", "phone": "1"}) == {}
        assert parameter_errors(SCHEMA, [1]) != {}

    @pytest.mark.parametrize(
        "schema",
        [
            [],
            {"type": "array"},
            {"type": "object", "properties": 5},
            {"type": "object", "properties": {"a": {"$ref": "http://127.0.0.1/x"}}},
            {"type": "object", "properties": {"a": {"type": "txt"}}},
            {"type": "object", "properties": {"a": {"maximum": 2**60}}},
        ],
    )
    def test_a_schema_is_checked_and_fetches_nothing(self, schema):
        assert schema_problem(schema)
        assert not schema_problem(SCHEMA)


class TestNarrowing:
    def test_only_the_fields_and_what_fills_the_path(self):
        sent = {"customer": "c1", "phone": "1", "email": "e", "address": {"city": "x", "street": "y"}}
        assert refused_paths(sent, None, "/customers/{customer}") == []
        assert refused_paths(sent, ["phone", "address.city"], "/customers/{customer}") == ["email", "address.street"]
        assert refused_paths(sent, [], "/") == ["customer", "phone", "email", "address.city", "address.street"]
        assert refused_paths(sent, ["address", "phone", "email", "customer"], "/") == []

    @given(parameters, st.lists(names, max_size=3))
    def test_what_is_permitted_lies_within_a_field(self, sent, fields):
        refused = refused_paths(sent, fields, "/")
        for leaf in leaves_of(sent):
            inside = any(leaf == name or leaf.startswith(f"{name}.") for name in fields)
            assert inside is (leaf not in refused)

    @given(parameters, st.lists(names, max_size=3), st.lists(names, max_size=2))
    def test_fewer_fields_never_permit_more(self, sent, fields, others):
        assert set(refused_paths(sent, [*fields, *others], "/")) <= set(refused_paths(sent, fields, "/"))

    def test_the_schema_shows_only_what_is_permitted(self):
        shown_schema = narrowed_schema(SCHEMA, ["phone", "address.city"], "/customers/{customer}")
        assert set(shown_schema["properties"]) == {"customer", "phone", "address"}
        assert set(shown_schema["properties"]["address"]["properties"]) == {"city"}
        assert narrowed_schema(SCHEMA, None, "/") == SCHEMA
        assert set(SCHEMA["properties"]) == {"customer", "phone", "email", "address"}

    def test_fields_that_do_not_exist_are_named(self):
        assert set(field_problems(["phone", "fax", "address.zip", "a b", "address.city"], SCHEMA)) == {
            "fax",
            "address.zip",
            "a b",
        }

    def test_a_permission_that_refuses_every_call_is_seen(self):
        assert uncallable(["email"], SCHEMA, "/customers/{customer}") == ["phone"]
        assert uncallable(None, SCHEMA, "/") == []


class TestAnswers:
    @pytest.mark.parametrize(
        "raw",
        [
            b"<html>",
            b'"text"',
            b"5",
            b"null",
            b'{"a": NaN}',
            b'{"a": 1e999}',
            b'{"a": 1, "a": 2}',
            b"\xff\xfe",
            b"[" * 100 + b"]" * 100,
            b'{"a": ' + b"9" * 5000 + b"}",
            b'{"a": Infinity}',
            b"{",
        ],
    )
    def test_nonsense_is_refused(self, raw):
        with pytest.raises(ValueProblem):
            answer_of(raw)

    def test_what_is_odd_but_readable_is_kept_in_a_form_that_can_be_stored(self):
        assert answer_of(b"") is None
        assert answer_of(b'{"id": 9007199254740993, "n": 1e22, "t": "a\\u0000b\\ud800"}') == {
            "id": "9007199254740993",
            "n": "1e+22",
            "t": "a\ufffdb\ufffd",
        }

    @given(trees)
    def test_what_was_read_can_always_be_stored(self, value):
        json.dumps(storable(value)).encode()
        canonical_json(storable(value))

    def test_a_short_secret_is_masked_as_a_word_only(self):
        echoed = {"h": "Bearer c", "customer": "cc c", "c": 1}
        assert redacted(echoed, forms_of("c")) == {"h": "Bearer •••", "customer": "cc •••", "•••": 1}

    @given(st.text(min_size=8), st.text(max_size=20), st.text(max_size=20))
    def test_a_secret_never_survives_masking(self, secret, before, after):
        forms = forms_of(secret)
        echoed = {"h": f"{before}{secret}{after}", "list": [secret], f"{secret}k": forms[-1]}
        text = repr(redacted(echoed, forms))
        assert MASK in text
        assert not any(secret in part for part in (redacted(secret, forms), redacted([secret], forms)[0]))

    def test_a_secret_is_masked_before_the_answer_is_cut(self):
        secret = "s3cr3t-c4n4ry"
        for pad in range(480, 510):
            assert "s3cr" not in shown(b"x" * pad + secret.encode(), forms_of(secret))
            assert "s3cr" not in shown(b" " * 3990 + secret.encode(), forms_of(secret))

    def test_retry_after(self):
        assert [retry_after_s(text) for text in (None, "", "12", " 3 ", "Wed, 21 Oct 2026 07:28:00 GMT", "-1")] == [
            None,
            None,
            12,
            3,
            60,
            60,
        ]
