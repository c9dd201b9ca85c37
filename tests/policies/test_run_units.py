"""Rules of the unit where a run was started: they make what is done for it stricter, and let nothing through."""

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from apps.policies.rules import Effect, compile_rule, judge, read_rules
from apps.policies.rules.documents import STRICTNESS
from apps.policies.rules.replay import Kept, facts_kept, replay
from apps.policies.rules.verdicts import is_stricter
from apps.policies.rules.weighing import Outcome, Reason, RuleInForce
from tests.factories.policies import make_facts, make_rule

OWN, BEGAN = frozenset({"sales", "top"}), frozenset({"emea"})
documents = st.fixed_dictionaries(
    {"effect": st.sampled_from(Effect), "when": st.sampled_from(["true", "false", "action.parameters.gone == 1"])},
    optional={
        "obligations": st.sampled_from([{"hold": "5m"}, {"limit": {"amount_minor": 10_000}}, {"step_up": True}]),
        "scope": st.sampled_from([{"units": ["emea"]}, {"units": ["sales"]}, {"units": ["far"]}]),
        "currency": st.sampled_from(["EUR", "USD"]),
    },
)


def rule_of(document: dict[str, Any], unit: str = "", policy: str = "p") -> RuleInForce:
    asks = {"queue": "q"} if document.get("effect") == Effect.REQUIRE_APPROVAL else {}
    (rule,), findings = read_rules([make_rule(**asks, **document)])
    assert not findings, findings
    return compile_rule(rule, policy=policy, version=1, unit=unit)


def facts_of(**fields: Any) -> Any:
    return make_facts(units=OWN, currencies={"": "EUR", "sales": "EUR", "emea": "EUR", "top": "EUR"}, **fields)


@given(st.lists(st.tuples(documents, st.sampled_from(["", "sales", "top", "emea", "far"])), max_size=6))
def test_where_a_run_was_started_makes_nothing_milder(found: list[tuple[dict[str, Any], str]]) -> None:
    rules = [rule_of(document, unit) for document, unit in found]
    alone, with_run = judge(rules, facts_of()), judge(rules, facts_of(run_units=BEGAN))
    assert STRICTNESS[with_run.effect] >= STRICTNESS[alone.effect]
    assert alone == with_run or not is_stricter(alone, with_run)
    kept = Kept(json.loads(json.dumps(facts_of(run_units=BEGAN).as_json())), "bank", {"iban": "DE00"})
    (told,) = replay(kept, [lambda _operation: rules])
    assert told.effect is with_run.effect


def test_a_denial_there_denies_and_is_named() -> None:
    rules = [rule_of({"slug": "all"}, "sales"), rule_of({"slug": "no", "effect": "deny"}, "emea", "theirs")]
    assert judge(rules, facts_of()).effect is Effect.ALLOW
    verdict = judge(rules, facts_of(run_units=BEGAN))
    assert (verdict.effect, verdict.rules[0].policy, verdict.rules[0].rule) == (Effect.DENY, "theirs", "no")
    assert [(line.rule, line.outcome) for line in verdict.trace] == [("all", Outcome.TRUE), ("no", Outcome.TRUE)]
    assert verdict.facts["run_units"] == ["emea"]


def test_neither_what_allows_there_nor_what_asks_there_lets_anything_through() -> None:
    for effect in ("allow", "require_approval"):
        verdict = judge([rule_of({"effect": effect}, "emea")], facts_of(run_units=BEGAN))
        assert (verdict.effect, verdict.reason) == (Effect.DENY, Reason.NO_MATCHING_ALLOW)


def test_what_asks_there_asks_besides_and_what_it_demands_is_demanded() -> None:
    asks = {"effect": "require_approval", "obligations": {"hold": "5m"}}
    verdict = judge([rule_of({}, "sales"), rule_of(asks, "emea")], facts_of(run_units=BEGAN))
    assert (verdict.effect, [group.queue for group in verdict.groups]) == (Effect.REQUIRE_APPROVAL, ["q"])
    assert verdict.obligations.hold_s == 300


def test_a_rule_above_that_names_the_unit_has_its_say_likewise() -> None:
    rules = [rule_of({}, "sales"), rule_of({"effect": "deny", "scope": {"units": ["emea"]}})]
    assert judge(rules, facts_of()).effect is Effect.ALLOW
    assert judge(rules, facts_of(run_units=BEGAN)).effect is Effect.DENY


def test_outside_such_a_run_the_facts_are_what_they_were() -> None:
    assert "run_units" not in facts_of().as_json()
    kept = Kept(json.loads(json.dumps(facts_of().as_json())), "bank", {"iban": "DE00"})
    assert facts_kept(kept, set()).run_units == frozenset()
