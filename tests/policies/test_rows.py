"""Conditions as rows of a form: what a form can show says the same as its text; the rest stays text."""

from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from apps.policies.rules import Comparison, compile_rule, condition_of, read_rule, read_rules
from apps.policies.rules.checks import Known, check_rules
from apps.policies.rules.facts import VARIABLES
from apps.policies.rules.rows import BARE, Joined, Row, RowError, Rows, kind_of, rows_of, text_of
from apps.policies.rules.sheets import document_of, filled
from tests.factories.policies import make_rule

WORDS = st.text(st.characters(blacklist_categories=["Cs", "Cc"]), max_size=20)
FACTS = st.sampled_from(
    [name for name in VARIABLES if kind_of(name)] + ["action.parameters.iban", "action.parameters.a.b"]
)


def rows_in(text: str, digits: int = 2) -> Rows | None:
    return rows_of(text, digits=digits)


def said(text: str) -> Any:
    return condition_of(compile_rule(read_rule(make_rule(when=text))).program.tree)


class TestReading:
    @pytest.mark.parametrize(
        ("text", "rows"),
        [
            ("true", Rows()),
            ("action.amount_minor > 100000", Rows((Row("action.amount_minor", Comparison.OVER, "1000.00"),))),
            ("100 <= action.amount_minor", Rows((Row("action.amount_minor", Comparison.AT_LEAST, "1.00"),))),
            (
                'has(action.parameters.iban) && action.parameters.iban == "DE 1"',
                Rows(
                    (
                        Row("action.parameters.iban", Comparison.GIVEN),
                        Row("action.parameters.iban", Comparison.IS, "DE 1"),
                    )
                ),
            ),
            (
                'action.target in ["a", "b, c"] || agent.risk != "low"',
                Rows(
                    (Row("action.target", Comparison.ONE_OF, 'a, "b, c"'), Row("agent.risk", Comparison.IS_NOT, "low")),
                    Joined.ANY,
                ),
            ),
            ('action.parameters.code == "12"', Rows((Row("action.parameters.code", Comparison.IS, '"12"'),))),
            ("action.parameters.n == 12", Rows((Row("action.parameters.n", Comparison.IS, "12"),))),
            ('"pay" in agent.capabilities', Rows((Row("agent.capabilities", Comparison.HAS, "pay"),))),
        ],
    )
    def test_plain_conditions_are_rows(self, text: str, rows: Rows) -> None:
        assert rows_in(text) == rows
        assert said(text_of(rows, digits=2)) == said(text)

    @pytest.mark.parametrize(
        "text",
        [
            "false",
            "!(action.amount_minor > 5)",
            'action.amount_minor > 5 && (agent.risk == "low" || agent.risk == "medium")',
            'history.count("bank.pay", "1d", "agent") > 3',
            "action.parameters.lines.all(l, l.qty > 0)",
            'now > timestamp("2027-01-01T00:00:00Z")',
            "action.amount_minor > action.parameters.limit_minor",
            "action.amount_minor >",
        ],
    )
    def test_what_says_more_stays_text(self, text: str) -> None:
        assert rows_in(text) is None

    def test_amounts_have_the_digits_of_their_currency(self) -> None:
        for digits, shown in ((0, "100000"), (2, "1000.00"), (3, "100.000")):
            rows = rows_in("action.amount_minor > 100000", digits)
            assert rows is not None
            assert rows.rows[0].value == shown
            assert text_of(rows, digits=digits) == "action.amount_minor > 100000"


class TestWriting:
    @pytest.mark.parametrize(
        ("row", "field"),
        [
            (Row("action.amount_minor", Comparison.OVER, "1.005"), "value"),
            (Row("action.amount_minor", Comparison.OVER, "NaN"), "value"),
            (Row("action.amount_minor", Comparison.OVER, "1e400"), "value"),
            (Row("action.amount_minor", Comparison.OVER, "a lot"), "value"),
            (Row("action.amount_minor", Comparison.OVER, ""), "value"),
            (Row("agent.version", Comparison.IS, "1.5"), "value"),
            (Row("action.confidence", Comparison.OVER, "high"), "value"),
            (Row("action.target", Comparison.OVER, "x"), "comparison"),
            (Row("agent.capabilities", Comparison.IS, "x"), "comparison"),
            (Row("action.target", Comparison.GIVEN), "comparison"),
            (Row("action.target", Comparison.ONE_OF, "a,,b"), "value"),
            (Row("agent.risc", Comparison.IS, "low"), "fact"),
            (Row("now", Comparison.IS, "low"), "fact"),
            (Row("action.parameters.", Comparison.IS, "low"), "fact"),
            (Row("action.parameters.a-b", Comparison.GIVEN), "comparison"),
        ],
    )
    def test_what_is_no_comparison_says_where(self, row: Row, field: str) -> None:
        with pytest.raises(RowError) as caught:
            text_of(Rows((Row("action.target", Comparison.IS, "x"), row)), digits=2)
        assert (caught.value.place, caught.value.field) == (1, field)

    @given(FACTS, st.sampled_from(list(Comparison)), WORDS, st.sampled_from([0, 2, 3]))
    def test_what_can_be_written_compiles_and_reads_back(
        self, fact: str, comparison: Comparison, value: str, digits: int
    ) -> None:
        row = Row(fact, comparison, "" if comparison in BARE else value)
        try:
            text = text_of(Rows((row,)), digits=digits)
        except RowError:
            return
        again = rows_in(text, digits)
        assert again is not None
        assert said(text_of(again, digits=digits)) == said(text)

    @given(WORDS)
    def test_whatever_a_value_says_is_only_compared_with(self, value: str) -> None:
        assume(value)
        condition = said(text_of(Rows((Row("action.target", Comparison.IS, value),)), digits=2))
        assert (condition.fact, condition.value) == ("action.target", value)


FULL = {
    "slug": "large", "when": "action.amount_minor>5", "effect": "require_approval", "queue": "finance",
    "scope": {"operations": ["bank.pay", "bank.refund"], "environments": ["live"]}, "message": "Ask.", "risk": "high",
    "confidential": False, "mode": "enforced", "currency": "EUR",
    "obligations": {
        "quorum": {"n": 2, "role": "cfo"}, "exclude": ["run_starter", "requester"], "expires_in": "4h",
        "step_up": False, "limit": {"amount_minor": 500}, "bulk": {"risk": "medium"},
    },
}  # fmt: skip


class TestSheets:
    @pytest.mark.parametrize(
        "rule",
        [
            FULL,
            make_rule(),
            make_rule(scope={}, obligations={}),
            make_rule(effect="require_approval", queue="q", obligations={"quorum": 2}),
            make_rule(effect="require_approval", queue="q", obligations={"quorum": {"n": 2}}),
            make_rule(effect="require_approval", queue="q", obligations={"quorum": [{"n": 1}, {"queue": "legal"}]}),
            make_rule(effect="deny", mode="shadow", confidential=True, obligations={"exclude": ["requester"]}),
            make_rule(obligations={"limit": {"amount_minor": 0}, "sample": "2%", "hold": "5m", "step_up": True}),
        ],
    )
    def test_what_nobody_touched_comes_back_as_it_was_written(self, rule: dict[str, Any]) -> None:
        assert document_of(filled(rule, digits=2), digits=2, before=rule) == rule

    def test_what_was_changed_is_changed_and_nothing_else(self) -> None:
        fields = {**filled(FULL, digits=2), "people": 3, "is_shadow": True, "agents": "payer,  biller"}
        found = document_of(fields, digits=2, before=FULL)
        assert found["mode"] == "shadow"
        assert found["scope"]["agents"] == ["payer", "biller"]
        assert found["obligations"]["quorum"] == {"n": 3, "role": "cfo"}
        assert found["obligations"]["bulk"] == FULL["obligations"]["bulk"]
        unchanged = set(FULL) - {"mode", "scope", "obligations"}
        assert {name: found[name] for name in unchanged} == {name: FULL[name] for name in unchanged}
        assert not read_rules([found])[1]


@pytest.mark.parametrize(
    ("rule", "hint"),
    [
        (make_rule(when='agent.risc == "low"'), "1:6 Did you mean agent.risk?"),
        (make_rule(when="true &&\naction.amount > 5"), "2:7 Did you mean action.amount_minor?"),
        (make_rule(when='history.counts("a", "1d", "agent") > 1'), "1:1 Did you mean history.count?"),
        (make_rule(effect="require_approval", queue="finanse"), " Did you mean finance?"),
        (make_rule(scope={"operations": ["bank.pai"]}), " Did you mean bank.pay?"),
        (make_rule(scope={"operations": ["bank.pay"]}, when='action.parameters.ibann == "x"'), " Did you mean iban?"),
    ],
)
def test_a_name_that_there_is_not_gets_a_suggestion_at_its_place(rule: dict[str, Any], hint: str) -> None:
    schema = {"properties": {"iban": {"type": "string"}}, "additionalProperties": False}
    findings = check_rules([read_rule(rule)], Known(queues={"finance"}, operations={"bank.pay": schema}))
    place, _space, words = hint.partition(" ")
    found = [f"{each.line}:{each.column}" if place else "" for each in findings if words in each.message]
    assert found[:1] == [place]


def test_nothing_is_suggested_for_what_is_like_nothing() -> None:
    (finding,) = check_rules([read_rule(make_rule(when="zzz == 1"))], Known())
    assert "Did you mean" not in finding.message
