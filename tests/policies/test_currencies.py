"""An amount of a rule is one of a currency: what is asked in another one is beyond it, whatever its number."""

import pytest

from apps.policies.rules import Effect, compile_rule, judge, read_rules
from apps.policies.selectors.sentences import demands_of, sentence_of
from apps.policies.services import evaluate_action
from tests.factories.access import make_queue, make_unit, make_user
from tests.factories.policies import make_facts, make_policy, make_rule

ASKS = make_rule(slug="asks", effect="require_approval", queue="finance")
QUORUM = [1, {"role": "cfo", "stage": 2, "over_minor": 500_000}]
UNITS = {"finance": "EUR", "": "EUR"}


def verdict_on(currency, *documents, unit="", amount_minor=50, currencies=UNITS):
    rules, findings = read_rules(list(documents))
    assert not findings
    units = frozenset({"finance"})
    facts = make_facts(currency=currency, amount_minor=amount_minor, units=units, currencies=currencies)
    return judge([compile_rule(rule, unit=unit) for rule in rules], facts)


def demanding(**obligations):
    return {**ASKS, "obligations": obligations}


class TestConditions:
    @pytest.mark.parametrize(
        ("currency", "effect"), [("EUR", Effect.ALLOW), ("USD", Effect.DENY), ("JPY", Effect.DENY)]
    )
    def test_a_small_amount_of_another_currency_is_not_small(self, currency, effect):
        small = make_rule(when="action.amount_minor <= 100000")
        assert verdict_on(currency, small).effect is effect

    @pytest.mark.parametrize("effect", ["require_approval", "deny"])
    def test_it_is_over_what_asks_and_what_denies(self, effect):
        queue = {"queue": "finance"} if effect == "require_approval" else {}
        over = make_rule(when="action.amount_minor > 100000", effect=effect, **queue)
        assert verdict_on("EUR", make_rule(), over).effect is Effect.ALLOW
        assert verdict_on("USD", make_rule(), over).effect == effect

    def test_that_it_could_not_be_compared_is_said_in_words(self):
        over = {**ASKS, "when": "action.amount_minor > 100000"}
        dollars = make_rule(slug="dollars", when="action.amount_minor > 100000", effect="flag", currency="CHF")
        verdict = verdict_on("USD", over, dollars)
        assert {rule["rule"]: rule["error"] for rule in verdict.public_json()["rules"]} == {
            "asks": "It is about EUR and this is USD, so it could not be compared.",
            "dollars": "It is about CHF and this is USD, so it could not be compared.",
        }
        missing = {**ASKS, "when": "action.parameters.nothing > 1"}
        assert "compared" not in verdict_on("USD", missing).public_json()["rules"][0]["error"]
        assert "error" not in verdict_on("EUR", over, make_rule()).trace[0].as_json()

    def test_a_rule_names_its_own_currency(self):
        small = make_rule(when="action.amount_minor <= 100000", currency="USD")
        assert verdict_on("USD", small).effect is Effect.ALLOW
        assert verdict_on("EUR", small).effect is Effect.DENY

    def test_what_reads_no_amount_holds_in_any_currency(self):
        assert verdict_on("USD", make_rule(when="action.operation == 'bank.pay'")).effect is Effect.ALLOW

    def test_without_one_it_means_that_of_its_unit_and_of_the_topmost_where_it_covers_all(self):
        small, world = make_rule(when="action.amount_minor <= 100000"), {"finance": "JPY", "": "EUR"}
        for unit, currency, effect in (
            ("finance", "JPY", Effect.ALLOW),
            ("finance", "EUR", Effect.DENY),
            ("", "EUR", Effect.ALLOW),
            ("", "JPY", Effect.DENY),
        ):
            assert verdict_on(currency, small, unit=unit, currencies=world).effect is effect, (unit, currency)

    def test_an_agent_is_told_in_which_currency_it_would_be_allowed(self):
        (told,) = verdict_on("USD", make_rule(when="action.amount_minor <= 100000")).allowed_when
        assert told["currency"] == "EUR"

    @pytest.mark.parametrize("currency", ["eur", "EURO", "", 5, None, "E1R"])
    def test_what_is_no_currency_is_refused(self, currency):
        (finding,) = read_rules([make_rule(currency=currency)])[1]
        assert finding.field == "rules.0.currency"


class TestDemands:
    def test_a_limit_in_another_currency_is_exceeded(self):
        limited = make_rule(obligations={"limit": {"amount_minor": 100_000}})
        assert verdict_on("EUR", limited).effect is Effect.ALLOW
        found = verdict_on("USD", limited)
        assert (found.effect, found.reason) == (Effect.DENY, "limit_exceeded")
        assert verdict_on("USD", limited, amount_minor=-5).reason == "limit_exceeded"

    def test_a_later_stage_is_asked_for_another_currency(self):
        assert [group.role for group in verdict_on("EUR", demanding(quorum=QUORUM)).groups] == [""]
        assert [group.role for group in verdict_on("USD", demanding(quorum=QUORUM)).groups] == ["", "cfo"]

    def test_nothing_of_another_currency_is_approved_in_advance(self):
        lets = {"times": 5, "days": 5, "up_to_minor": 500}
        assert verdict_on("EUR", demanding(standing=lets)).obligations.standing.times == 5
        assert verdict_on("USD", demanding(standing=lets)).obligations.standing.times == 0

    def test_what_is_bounded_in_sum_is_not_approved_together_in_another_currency(self):
        assert verdict_on("EUR", demanding(bulk={"total_minor": 900})).obligations.bulk.items == 50
        assert verdict_on("USD", demanding(bulk={"total_minor": 900})).obligations.bulk.items == 0
        assert verdict_on("USD", demanding(bulk={"items": 9})).obligations.bulk.items == 9

    def test_what_is_held_by_a_rule_in_its_own_currency_is_as_it_says(self):
        assert len(verdict_on("USD", {**demanding(quorum=QUORUM), "currency": "USD"}).groups) == 1


def test_words_name_the_currency():
    rules, _ = read_rules([{**demanding(quorum=QUORUM), "when": "action.amount_minor > 1000", "currency": "JPY"}])
    rule = compile_rule(rules[0])
    assert "over 1,000 JPY" in sentence_of(rule)
    assert any("over 500,000 JPY" in words for words in demands_of(rules[0].obligations, rules[0].quorums, "JPY"))


@pytest.mark.django_db
def test_units_say_what_their_rules_mean():
    top = make_unit()
    below = make_unit(parent=top, currency="CHF")
    make_queue(slug="finance", unit=top)
    small = make_rule(when="action.amount_minor <= 100000")
    for unit, currency in ((top, "EUR"), (below, "CHF"), (None, "EUR")):
        policy = make_policy(small, unit=unit)
        for asked, effect in ((currency, Effect.ALLOW), ("USD", Effect.DENY)):
            facts = make_facts(unit_id=below.pk, currency=asked)
            assert evaluate_action(make_user(), facts=facts).effect is effect, (unit, asked)
        make_policy(make_rule(when="false"), unit=unit, slug=policy.slug)
