"""What would have to change: told to agents as conditions and to people in words, and never of a confidential rule."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps.core.formats import money
from apps.policies.rules import Clause, Comparison, Verdict, clause_of, compile_rule, judge, read_rules
from apps.policies.rules.clauses import opposite_of
from apps.policies.rules.verdicts import verdict_of
from tests.factories.access import make_holder
from tests.factories.policies import make_facts, make_rule
from tests.workflows.actions import make_desk, rules_of, the_item

OVER = "action.amount_minor > 1000"


def verdict_on(*documents: dict[str, Any], **facts: Any) -> Verdict:
    read, findings = read_rules(list(documents))
    assert not findings
    return judge([compile_rule(rule, policy="p") for rule in read], make_facts(**facts))


def said(fact: str, comparison: str, value: Any) -> dict[str, Any]:
    return {"fact": fact, "comparison": comparison, "value": value}


def test_of_a_denial_and_of_a_question_any_one_condition_that_would_have_to_be_otherwise() -> None:
    found = verdict_on(
        make_rule(slug="no", effect="deny", when=f"{OVER} && action.currency == 'EUR'"),
        make_rule(slug="ask", effect="require_approval", queue="finance", when="action.amount_minor >= 500"),
    )
    assert found.public_json()["avoided_when"] == [
        {
            "policy": "p",
            "rule": "ask",
            "effect": "require_approval",
            "any_of": [said("action.amount_minor", "under", 500)],
        },
        {
            "policy": "p",
            "rule": "no",
            "effect": "deny",
            "any_of": [said("action.amount_minor", "at_most", 1000), said("action.currency", "is_not", "EUR")],
        },
    ]


@pytest.mark.parametrize(
    "document",
    [
        {"when": OVER, "confidential": True},
        {"when": "true"},
        {"when": f"{OVER} || action.currency == 'EUR'"},
        {"when": "action.target in ['', 'DE00']"},
        {"when": "action.parameters.gone > 5"},
        {"when": OVER, "effect": "flag"},
        {"when": "action.amount_minor > 90000"},
    ],
)
def test_nothing_is_told_where_it_is_hidden_or_takes_more_than_one_comparison_or_did_not_decide(
    document: dict[str, Any],
) -> None:
    assert verdict_on(make_rule(**{"effect": "deny", **document})).avoided_when == ()


def test_an_amount_in_another_currency_is_beyond_every_threshold_so_none_is_told() -> None:
    assert verdict_on(make_rule(effect="deny", when=OVER, currency="USD")).avoided_when == ()


@given(st.sampled_from([">", ">=", "<", "<=", "==", "!="]), st.integers(1, 5), st.integers(0, 6))
def test_what_is_told_holds_just_where_the_rule_does_not(comparison: str, value: int, amount: int) -> None:
    deny = make_rule(effect="deny", when=f"action.amount_minor {comparison} {value}")
    told = [verdict_on(deny, amount_minor=each).avoided_when for each in range(7)]
    (wanted,) = {str(lines[0]["any_of"]): lines[0]["any_of"] for lines in told if lines}.values()
    holds = {
        Comparison.OVER: amount > value,
        Comparison.AT_LEAST: amount >= value,
        Comparison.UNDER: amount < value,
        Comparison.AT_MOST: amount <= value,
        Comparison.IS: amount == value,
        Comparison.IS_NOT: amount != value,
    }
    assert holds[clause_of(wanted[0]).comparison] is not bool(told[amount])


def test_the_opposite_of_the_opposite_is_the_clause() -> None:
    for comparison in Comparison:
        clause = Clause("action.target", comparison, "x")
        if other := opposite_of(clause):
            assert opposite_of(other) == clause


def test_it_outlives_being_written_down_and_older_verdicts_are_read_without_it() -> None:
    stored = verdict_on(make_rule(effect="deny", when=OVER)).as_json()
    assert verdict_of(stored).avoided_when == tuple(stored["avoided_when"]) != ()
    del stored["avoided_when"]
    assert verdict_of(stored).avoided_when == ()


@pytest.mark.django_db
class TestShowing:
    def test_the_agent_reads_the_threshold_and_people_the_sentence(self, client: Any) -> None:
        desk = make_desk()
        made = desk.ask(20_000_000).json()
        slug = desk.policy.slug
        lines = {line["rule"]: line["any_of"] for line in made["verdict"]["avoided_when"]}
        assert lines == {
            "huge": [said("action.amount_minor", "at_most", 10_000_000)],
            "large": [said("action.amount_minor", "at_most", 100_000)],
        }
        assert desk.get(f"actions/{made['id']}/").json()["verdict"]["avoided_when"] == made["verdict"]["avoided_when"]
        client.force_login(make_holder("agents.view_agent"))
        page = client.get(f"/actions/{made['id']}/").content.decode()
        for words in (
            "What would have to change",
            f"{slug}/huge does not deny it when the amount is at most {money(10_000_000, 'EUR')}.",
            f"{slug}/large asks nobody when the amount is at most {money(100_000, 'EUR')}.",
            f"{slug}/small allows it when the amount is at most {money(100_000, 'EUR')}.",
        ):
            assert words in page

    def test_what_is_allowed_or_confidential_says_nothing(self, client: Any) -> None:
        desk = make_desk()
        allowed = desk.ask(500).json()
        rules_of(desk, make_rule(slug="secret", effect="deny", when="action.amount_minor > 43217", confidential=True))
        denied = desk.ask(50_000)
        assert denied.json()["state"] == "denied"
        assert "43217" not in denied.content.decode()
        client.force_login(make_holder("agents.view_agent"))
        for made in (allowed, denied.json()):
            page = client.get(f"/actions/{made['id']}/").content.decode()
            assert "What would have to change" not in page

    def test_whoever_decides_reads_it_on_the_item(self, client: Any) -> None:
        desk = make_desk()
        desk.ask(200_000)
        item = the_item()
        client.force_login(desk.approver)
        page = client.get(f"/inbox/{item.pk}/").content.decode()
        assert f"{desk.policy.slug}/large asks nobody when the amount is at most {money(100_000, 'EUR')}." in page
        told = client.get(f"/api/v1/escalations/{item.pk}/").json()["verdict"]
        assert [line["rule"] for line in told["avoided_when"]] == ["large"]

    def test_a_confidential_rule_stays_silent_on_the_item(self, client: Any) -> None:
        desk = make_desk()
        asks = {"effect": "require_approval", "queue": desk.queue.slug, "confidential": True}
        rules_of(desk, make_rule(slug="secret", when="action.amount_minor > 777", **asks))
        desk.ask(50_000)
        client.force_login(desk.approver)
        assert "What would have to change" not in client.get(f"/inbox/{the_item().pk}/").content.decode()
