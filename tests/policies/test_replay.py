"""Judging the past once more: the same evaluator, from what was kept; what was not kept is said, never guessed."""

import json
from dataclasses import replace
from datetime import UTC, datetime
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps.core.expressions import FunctionCall
from apps.policies.rules import Effect, RunFacts, compile_rule, judge, read_rules
from apps.policies.rules.levers import Place, levers_of, turned
from apps.policies.rules.replay import Gap, Kept, Replayed, facts_kept, replay
from apps.policies.rules.tallies import Case, Decided, Later, Tally, agreement_of, loads_of, tally_of
from tests.factories.policies import make_facts, make_rule

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
BIG = "action.amount_minor > 10000"


def rules_of(*documents, unit="", policy="p"):
    rules, findings = read_rules(list(documents))
    assert not findings, findings
    return [compile_rule(rule, policy=policy, version=1, unit=unit) for rule in rules]


def sets_of(*sets):
    return [lambda _operation, rules=rules: rules for rules in sets]


def kept_of(facts, **fields):
    """As the database gives it back: through JSON."""
    told = json.loads(json.dumps(facts.as_json()))
    return Kept(told, facts.connector, facts.parameters, **fields)


def facts_of(**fields):
    return make_facts(units=frozenset({"top", "finance"}), currencies={"": "EUR"}, now=NOW, **fields)


class TestReplay:
    @given(
        amount=st.one_of(st.none(), st.integers(0, 30_000)),
        currency=st.sampled_from(["EUR", "USD"]),
        compensable=st.booleans(),
        confidence=st.one_of(st.none(), st.floats(0, 1)),
        count=st.integers(0, 5),
    )
    def test_comes_to_what_was_judged_whatever_the_facts(self, amount, currency, compensable, confidence, count):
        rules = rules_of(
            make_rule(obligations={"compensable": True}, when="action.amount_minor < 25000"),
            make_rule(effect="require_approval", queue="finance", when=BIG, currency="EUR"),
            make_rule(effect="deny", when="action.confidence < 0.2"),
            make_rule(effect="deny", when="history.count('bank.pay', '1d', 'agent') > 3"),
            make_rule(effect="deny", when="action.parameters.iban == 'DE01'", scope={"units": ["finance"]}),
            make_rule(effect="deny", scope={"connectors": ["other"]}),
        )
        call = FunctionCall("history.count", ("bank.pay", "1d", "agent"))
        facts = facts_of(
            amount_minor=amount,
            currency=currency,
            is_compensable=compensable,
            confidence=confidence,
            history={call: count},
            run=RunFacts(workflow="w", step="s", started_by="uma", key="k"),
        )
        verdict = judge(rules, facts)
        (told,) = replay(kept_of(facts), sets_of(rules))
        assert told.effect is verdict.effect
        assert told.asked == {group.queue: group.needed for group in verdict.groups}
        again = facts_kept(kept_of(facts), {call})
        assert replace(again, parameters_digest="") == facts

    @pytest.mark.parametrize(
        ("fields", "gap"),
        [({"is_erased": True}, Gap.ERASED), ({"is_edited": True}, Gap.EDITED)],
    )
    def test_what_was_erased_or_edited_is_not_replayed(self, fields, gap):
        assert replay(kept_of(facts_of(), **fields), sets_of(rules_of(make_rule()))) is gap

    def test_an_action_without_facts_is_not_replayed(self):
        assert replay(Kept(None), sets_of(rules_of(make_rule()))) is Gap.FACTS

    @pytest.mark.parametrize("facts", [{"action.operation": "bank.pay"}, {"action.operation": []}, {"now": "never"}])
    def test_facts_of_another_shape_are_not_replayed(self, facts):
        assert replay(Kept(facts), sets_of(rules_of(make_rule()))) is Gap.UNFIT

    def test_history_that_was_not_asked_for_then_is_not_invented(self):
        asks = "history.sum_minor('bank.pay', '7d', 'target') > 100"
        draft = rules_of(make_rule(), make_rule(effect="deny", when=asks))
        assert replay(kept_of(facts_of()), sets_of(rules_of(make_rule()), draft)) is Gap.HISTORY

    def test_history_that_no_rule_in_scope_asks_for_is_not_missed(self):
        asks = make_rule(
            effect="deny", when="history.count('bank.pay', '7d', 'target') > 1", scope={"operations": ["other"]}
        )
        (told,) = replay(kept_of(facts_of()), sets_of(rules_of(make_rule(), asks)))
        assert told == Replayed(Effect.ALLOW)

    def test_whether_it_could_be_undone_matters_only_where_a_rule_asks(self):
        kept = kept_of(facts_of())
        del kept.facts["compensable"]
        strict = rules_of(make_rule(obligations={"compensable": True}))
        denied = rules_of(make_rule(obligations={"compensable": True}), make_rule(effect="deny"))
        assert replay(kept, sets_of(strict)) is Gap.COMPENSATION
        assert replay(kept, sets_of(denied)) == (Replayed(Effect.DENY),)
        assert replay(kept, sets_of(rules_of(make_rule()))) == (Replayed(Effect.ALLOW),)

    def test_tells_how_many_people_of_each_queue_are_asked(self):
        one = make_rule(effect="require_approval", queue="finance", obligations={"quorum": {"n": 2}})
        other = make_rule(effect="require_approval", queue="legal")
        (told,) = replay(kept_of(facts_of()), sets_of(rules_of(one, other)))
        assert told.asked == {"finance": 2, "legal": 1}


def case(n, amount=100, **fields):
    return Case(UUID(int=n), "finance", "payer", amount, "EUR", **fields)


ASKED, RUNS, DENIED = Replayed(Effect.REQUIRE_APPROVAL, {"finance": 2}), Replayed(Effect.ALLOW), Replayed(Effect.DENY)


class TestTally:
    def test_counts_cells_money_and_queues_and_comes_back_from_json(self):
        tally = Tally()
        tally.add(case(1), ASKED, RUNS)
        tally.add(case(2, 50), ASKED, RUNS)
        tally.add(case(3, None), ASKED, ASKED)
        again = tally_of(json.loads(json.dumps(tally.as_json())))
        assert again == tally
        assert again.count([Effect.REQUIRE_APPROVAL], [Effect.ALLOW]) == 2
        assert again.money([Effect.REQUIRE_APPROVAL], [Effect.ALLOW]) == {"EUR": 150}
        assert again.named("agents") == {"payer": 2}
        (load,) = loads_of(again, days=3, paces={"finance": 60})
        assert (load.before, load.after) == (1, 1 / 3)
        assert (round(load.hours_before * 60, 6), round(load.hours_after * 60, 6)) == (2, round(2 / 3, 6))

    def test_samples_are_the_same_whatever_the_order_and_bounded(self):
        forth, back = Tally(), Tally()
        for n in range(100):
            forth.add(case(n), ASKED, RUNS)
            back.add(case(99 - n), ASKED, RUNS)
        assert forth.as_json() == back.as_json()
        (cell,) = forth.cells.values()
        assert len(cell.samples) == 8

    def test_agreement_is_with_what_people_decided_and_what_came_of_it(self):
        tally = Tally()
        for n in range(9):
            tally.add(case(n, decided=Decided.APPROVED, later=Later.WELL), ASKED, RUNS)
        tally.add(case(10, decided=Decided.REJECTED), ASKED, RUNS)
        tally.add(case(11, decided=Decided.REJECTED), ASKED, DENIED)
        tally.add(case(12, later=Later.OVERTURNED), ASKED, RUNS)
        tally.add(case(13, later=Later.WELL), RUNS, DENIED)
        told = agreement_of(tally)
        assert (told.allowed.part, told.allowed.whole) == (9, 10)
        low, high = told.allowed.interval
        assert (round(low, 3), round(high, 3)) == (0.596, 0.982)
        assert (told.denied.part, told.denied.whole) == (1, 1)
        assert (told.went_wrong.part, told.went_wrong.whole) == (1, 10)
        assert (told.lost.part, told.lost.whole) == (1, 1)

    def test_nothing_over_nothing(self):
        told = agreement_of(Tally()).allowed.as_json()
        assert told == {"part": 0, "n": 0, "share": None, "low": None, "high": None}


class TestLever:
    UP_TO = {"slug": "small", "when": "action.amount_minor <= 10000", "effect": "allow"}
    BEYOND = {"slug": "large", "when": BIG, "effect": "require_approval", "queue": "finance"}

    def test_both_sides_of_an_amount_are_turned_together(self):
        rules = [self.UP_TO, self.BEYOND, make_rule(slug="other")]
        (lever,) = levers_of(rules)
        assert (lever.rules, lever.amount_minor, lever.place) == (("large", "small"), 10_000, Place.CONDITION)
        assert 10_000 in lever.steps
        after = turned(rules, lever, 20_000)
        assert [rule["when"] for rule in after] == [
            "action.amount_minor <= 20000",
            "action.amount_minor > 20000",
            "true",
        ]
        assert rules[0]["when"] == "action.amount_minor <= 10000"

    def test_another_scope_or_another_condition_makes_another_lever(self):
        elsewhere = {**self.UP_TO, "scope": {"agents": ["payer"]}}
        narrower = {**self.UP_TO, "slug": "eur", "when": "action.amount_minor <= 10000 && agent.risk == 'low'"}
        assert len(levers_of([self.BEYOND, elsewhere, narrower])) == 3

    def test_a_demanded_limit_is_turned(self):
        rules = [make_rule(slug="capped", obligations={"limit": {"amount_minor": 700}})]
        (lever,) = levers_of(rules)
        assert turned(rules, lever, 900)[0]["obligations"] == {"limit": {"amount_minor": 900}}

    @pytest.mark.parametrize(
        "when",
        [
            "action.amount_minor > 100 && action.parameters.n == 100",
            "action.amount_minor > 50 + 50",
            "action.amount_minor > 100 || agent.risk == 'high'",
            "action.amount_minor > 100 && action.amount_minor < 200",
            "true",
        ],
    )
    def test_what_does_not_state_one_plain_amount_is_no_lever(self, when):
        assert levers_of([make_rule(when=when)]) == ()
