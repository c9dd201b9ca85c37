"""The judge and what it reads: pure, so properties rather than examples."""

import json
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps.core.expressions import ContextError, FunctionCall
from apps.core.rules import Risk
from apps.policies.rules import (
    USUAL_BULK,
    AgentFacts,
    Bulk,
    Clause,
    Comparison,
    Effect,
    Every,
    Exclusion,
    Facts,
    Known,
    Not,
    Obligations,
    Opaque,
    Outcome,
    Reason,
    Rule,
    RuleInForce,
    RunFacts,
    Some,
    Verdict,
    check_rules,
    compile_rule,
    condition_of,
    is_stricter,
    joined,
    judge,
    merge,
    read_rules,
    verdict_of,
)
from apps.policies.rules.documents import STRICTNESS

NOW = datetime(2026, 3, 1, tzinfo=UTC)
PAY = Facts(
    operation="bank.pay",
    effect="irreversible",
    connector="bank",
    parameters={"iban": "DE00", "lines": [{"qty": 1}]},
    amount_minor=50_000,
    currency="EUR",
    target="DE00",
    agent=AgentFacts(slug="payer", unit="finance", risk="medium", state="active", version=3, owner="uma"),
    units=frozenset({"finance", "company"}),
    now=NOW,
)


def rule(**document: Any) -> dict[str, Any]:
    base = {"slug": "one", "when": "true", "effect": "allow"}
    if document.get("effect") == "require_approval":
        base["queue"] = "finance"
    return {**base, **document}


def in_force(*documents: dict[str, Any], unit: str = "", author: str = "ann") -> list[RuleInForce]:
    rules, findings = read_rules([{**document, "slug": f"r{n}"} for n, document in enumerate(documents)])
    assert findings == ()
    return [compile_rule(one, policy="p", version=1, author=author, unit=unit) for one in rules]


def verdict(*documents: dict[str, Any], facts: Facts = PAY) -> Verdict:
    return judge(in_force(*documents), facts)


def program(source: str) -> Any:
    return compile_rule(Rule("one", source, Effect.ALLOW)).program


class TestEffects:
    def test_without_a_rule_that_matches_an_action_is_denied(self) -> None:
        for rules in ((), (rule(when="false"),), (rule(effect="flag"),)):
            found = verdict(*rules)
            assert (found.effect, found.reason) == (Effect.DENY, Reason.NO_MATCHING_ALLOW)

    def test_a_matching_allow_is_enough(self) -> None:
        found = verdict(rule(when="action.amount_minor <= 100000"))
        assert (found.effect, found.reason) == (Effect.ALLOW, "")
        assert [matched.rule for matched in found.rules] == ["r0"]

    @pytest.mark.parametrize(
        ("effects", "effect"),
        [
            (("allow", "deny"), "deny"),
            (("allow", "require_approval"), "require_approval"),
            (("require_approval",), "require_approval"),
            (("require_approval", "deny"), "deny"),
            (("flag", "allow"), "allow"),
            (("flag", "deny"), "deny"),
        ],
    )
    def test_the_strictest_effect_wins(self, effects: Sequence[str], effect: str) -> None:
        assert verdict(*(rule(effect=one) for one in effects)).effect == effect

    def test_a_denial_asks_nobody(self) -> None:
        assert verdict(rule(effect="require_approval"), rule(effect="deny")).groups == ()

    def test_matched_rules_are_told_strictest_first(self) -> None:
        found = verdict(rule(effect="flag"), rule(), rule(effect="deny"), rule(effect="require_approval"))
        assert [matched.effect for matched in found.rules] == ["deny", "require_approval", "allow", "flag"]


class TestTriState:
    """A condition without a value counts against the action, never for it."""

    MISSING = "action.parameters.missing > 3"

    @pytest.mark.parametrize(
        ("effect", "result"),
        [("deny", "deny"), ("require_approval", "require_approval"), ("flag", "allow")],
    )
    def test_an_error_counts_as_a_match_where_that_tightens(self, effect: str, result: str) -> None:
        found = verdict(rule(), rule(effect=effect, when=self.MISSING))
        assert found.effect == result
        assert found.trace[1].outcome is Outcome.ERROR
        assert "missing" in found.trace[1].error
        assert any(matched.error for matched in found.rules)

    def test_an_error_in_an_allow_rule_is_no_match(self) -> None:
        found = verdict(rule(when=self.MISSING))
        assert (found.effect, found.reason) == (Effect.DENY, Reason.NO_MATCHING_ALLOW)
        assert found.rules == ()

    def test_an_operation_without_an_amount_errs_where_an_amount_is_named(self) -> None:
        free = replace(PAY, amount_minor=None)
        assert verdict(rule(when="action.amount_minor <= 100000"), facts=free).effect is Effect.DENY
        found = verdict(rule(), rule(effect="require_approval", when="action.amount_minor > 100000"), facts=free)
        assert found.effect is Effect.REQUIRE_APPROVAL

    def test_a_condition_that_is_neither_true_nor_false_is_an_error(self) -> None:
        assert verdict(rule(), rule(effect="deny", when="action.parameters.iban")).effect is Effect.DENY
        assert verdict(rule(when="action.parameters.iban")).effect is Effect.DENY

    def test_has_makes_an_absent_parameter_false(self) -> None:
        condition = "has(action.parameters.note) && action.parameters.note == 'x'"
        assert verdict(rule(), rule(effect="deny", when=condition)).effect is Effect.ALLOW

    def test_every_fact_of_a_run_is_empty_outside_one(self) -> None:
        outside = "run.workflow == '' && run.step == '' && run.started_by == '' && run.key == '' && on_behalf_of == ''"
        assert verdict(rule(when=outside)).effect is Effect.ALLOW

    def test_all_named_facts_have_their_values(self) -> None:
        facts = replace(
            PAY,
            reference="inv-1",
            confidence=0.5,
            on_behalf_of="bob",
            run=RunFacts(workflow="po", step="pay", started_by="bob", key="k"),
            agent=replace(PAY.agent, capabilities=("invoice.pay",)),
        )
        condition = " && ".join(
            [
                "action.operation == 'bank.pay'",
                "action.effect == 'irreversible'",
                "action.amount_minor == 50000",
                "action.currency == 'EUR'",
                "action.target == 'DE00'",
                "action.parameters.lines.all(l, l.qty > 0)",
                "action.reference == 'inv-1'",
                "action.environment == 'live'",
                "action.confidence < 0.8",
                "agent.slug == 'payer' && agent.unit == 'finance' && agent.risk == 'medium'",
                "agent.state == 'active' && agent.version == 3 && agent.owner == 'uma'",
                "'invoice.pay' in agent.capabilities",
                "run.workflow == 'po' && run.step == 'pay' && run.started_by == 'bob' && run.key == 'k'",
                "on_behalf_of == 'bob'",
                "now > timestamp('2026-01-01T00:00:00Z')",
            ]
        )
        assert verdict(rule(when=condition), facts=facts).effect is Effect.ALLOW

    def test_facts_that_rules_may_not_see_are_refused(self) -> None:
        for parameters in ({"a": "x" * 20_000}, {"a": [0] * 1_001}, {"a": 2**63}):
            with pytest.raises(ContextError):
                verdict(rule(), facts=replace(PAY, parameters=parameters))


class TestScope:
    @pytest.mark.parametrize(
        ("scope", "applies"),
        [
            ({}, True),
            ({"operations": ["bank.pay", "bank.read"]}, True),
            ({"operations": ["bank.read"]}, False),
            ({"connectors": ["bank"]}, True),
            ({"connectors": ["erp"]}, False),
            ({"agents": ["payer"]}, True),
            ({"agents": ["other"]}, False),
            ({"versions": ["payer@3"]}, True),
            ({"versions": ["payer@2"]}, False),
            ({"workflows": ["po"]}, False),
            ({"steps": ["pay"]}, False),
            ({"units": ["company"]}, True),
            ({"units": ["procurement"]}, False),
            ({"environments": ["live"]}, True),
            ({"environments": ["test"]}, False),
            ({"operations": ["bank.pay"], "agents": ["other"]}, False),
        ],
    )
    def test_is_a_filter(self, scope: dict[str, list[str]], applies: bool) -> None:
        found = verdict(rule(effect="deny", scope=scope))
        assert bool(found.trace) is applies
        assert bool(found.rules) is applies

    def test_is_never_a_priority(self) -> None:
        narrow = rule(scope={"operations": ["bank.pay"], "agents": ["payer"], "units": ["finance"]})
        assert verdict(narrow, rule(effect="deny")).effect is Effect.DENY

    def test_a_policy_covers_its_unit_and_below(self) -> None:
        deny = rule(effect="deny")
        for unit, applies in (("finance", True), ("company", True), ("procurement", False), ("", True)):
            assert bool(judge(in_force(deny, unit=unit), PAY).rules) is applies
        assert not judge(in_force(deny, unit="finance"), replace(PAY, units=frozenset({"company"}))).rules


class TestGroups:
    def ask(self, queue: str, **obligations: Any) -> dict[str, Any]:
        return rule(effect="require_approval", queue=queue, obligations=obligations)

    def test_each_queue_is_a_group(self) -> None:
        found = verdict(self.ask("legal"), self.ask("finance", quorum=2))
        assert [(group.queue, group.needed) for group in found.groups] == [("finance", 2), ("legal", 1)]

    def test_the_same_queue_twice_is_one_group_with_the_larger_quorum(self) -> None:
        found = verdict(self.ask("finance", quorum=2), self.ask("finance"), self.ask("finance", quorum=3))
        assert [(group.queue, group.needed) for group in found.groups] == [("finance", 3)]
        assert found.groups[0].rules == ("p/r0", "p/r1", "p/r2")
        assert found.public_json()["obligations"]["quorum"] == 3

    def test_a_quorum_of_roles_is_a_group_for_each(self) -> None:
        found = verdict(self.ask("finance", quorum=[{"n": 1, "role": "legal"}, {"n": 2, "distinct_units": True}]))
        assert [(group.role, group.needed, group.distinct_units) for group in found.groups] == [
            ("", 2, True),
            ("legal", 1, False),
        ]

    def test_the_gravest_risk_of_the_matched_rules_counts(self) -> None:
        assert verdict(rule(risk="high"), rule(risk="low"), rule(risk="critical", when="false")).risk == "high"
        assert verdict(rule()).risk is None


class TestDemands:
    def test_a_limit_denies_what_exceeds_it(self) -> None:
        limited = rule(obligations={"limit": {"amount_minor": 50_000}})
        assert verdict(limited).effect is Effect.ALLOW
        tighter = rule(effect="flag", obligations={"limit": {"amount_minor": 49_999}})
        found = verdict(limited, tighter)
        assert (found.effect, found.reason) == (Effect.DENY, Reason.LIMIT_EXCEEDED)
        assert verdict(limited, facts=replace(PAY, amount_minor=None)).reason == Reason.LIMIT_EXCEEDED

    def test_what_must_be_compensable_and_is_not_is_denied(self) -> None:
        demanding = rule(obligations={"compensable": True})
        assert verdict(demanding).reason == Reason.NOT_COMPENSABLE
        assert verdict(demanding, facts=replace(PAY, is_compensable=True)).effect is Effect.ALLOW

    def test_ride_on_all_matched_rules_and_on_no_other(self) -> None:
        found = verdict(
            rule(obligations={"exclude": ["requester"], "expires_in": "2h"}),
            rule(
                effect="require_approval", obligations={"exclude": ["agent_owner"], "expires_in": "1h", "hold": "30s"}
            ),
            rule(effect="flag", obligations={"notify": ["controlling"], "step_up": True}),
            rule(when="false", obligations={"redact": ["iban"]}),
        )
        assert found.obligations == Obligations(
            exclude=frozenset({Exclusion.REQUESTER, Exclusion.AGENT_OWNER}),
            expires_in_s=3_600,
            hold_s=30,
            notify=frozenset({"controlling"}),
            step_up=True,
        )


WORDS = st.frozensets(st.sampled_from(["a", "b", "c"]), max_size=3)
SECONDS = st.none() | st.integers(1, 10_000)
OBLIGATIONS = st.builds(
    Obligations,
    exclude=st.frozensets(st.sampled_from(Exclusion)),
    expires_in_s=SECONDS,
    hold_s=SECONDS,
    limit_minor=st.none() | st.integers(0, 100_000),
    step_up=st.booleans(),
    dry_run_first=st.booleans(),
    compensable=st.booleans(),
    redact=WORDS,
    notify=WORDS,
    bulk=st.none()
    | st.builds(
        Bulk, st.sampled_from([Risk.LOW, Risk.MEDIUM]), st.integers(0, 200), st.none() | st.integers(0, 10_000)
    ),
)


@st.composite
def documents(draw: st.DrawFn, effects: Sequence[str] = tuple(Effect)) -> dict[str, Any]:
    effect = draw(st.sampled_from(effects))
    obligations: dict[str, Any] = draw(
        st.fixed_dictionaries(
            {},
            optional={
                "exclude": st.lists(st.sampled_from([*Exclusion]), max_size=2),
                "expires_in": st.sampled_from(["1m", "4h", "2d"]),
                "limit": st.sampled_from([{"amount_minor": 0}, {"amount_minor": 60_000}]),
                "step_up": st.booleans(),
                "compensable": st.booleans(),
            },
        )
    )
    if effect == "require_approval" and draw(st.booleans()):
        obligations["quorum"] = draw(st.integers(1, 3))
    if effect == "require_approval" and draw(st.booleans()):
        obligations["bulk"] = draw(st.sampled_from([False, {"risk": "medium"}, {"items": 9, "total_minor": 5}]))
    document = {
        "effect": str(effect),
        "when": draw(
            st.sampled_from(
                [
                    "true",
                    "false",
                    "action.amount_minor > 10000",
                    "action.parameters.missing > 1",
                    "agent.risk == 'high'",
                ]
            )
        ),
        "obligations": obligations,
        "scope": draw(st.sampled_from([{}, {"operations": ["bank.pay"]}, {"operations": ["other"]}])),
        "risk": draw(st.sampled_from(["low", "medium", "high", "critical"])),
    }
    if effect == "require_approval":
        document["queue"] = draw(st.sampled_from(["finance", "legal"]))
    return document


class TestLattice:
    @given(OBLIGATIONS, OBLIGATIONS, OBLIGATIONS)
    def test_demands_merge_in_any_order_and_any_number_of_times(
        self, one: Obligations, two: Obligations, three: Obligations
    ) -> None:
        assert one | two == two | one
        assert (one | two) | three == one | (two | three)
        assert one | one == one
        assert merge([one, two, three]) == merge([three, one, two, one])

    @given(st.lists(documents(), max_size=6), st.randoms())
    def test_the_order_of_rules_never_matters(self, rules: list[dict[str, Any]], random: Any) -> None:
        compiled = in_force(*rules)
        shuffled = list(compiled)
        random.shuffle(shuffled)
        one, other = judge(compiled, PAY), judge(shuffled, PAY)
        assert replace(one, trace=(), allowed_when=()) == replace(other, trace=(), allowed_when=())

    @given(st.lists(documents(), max_size=6), documents(effects=("deny", "require_approval")))
    def test_a_further_denial_or_approval_never_loosens(
        self, rules: list[dict[str, Any]], further: dict[str, Any]
    ) -> None:
        before, after = verdict(*rules), verdict(*rules, further)
        if before.reason == Reason.NO_MATCHING_ALLOW:
            # Asking a person where nothing was said is what an approval rule is for; a denial leaves it denied.
            assert after.effect in {Effect.DENY, Effect.REQUIRE_APPROVAL}
            assert further["effect"] == "require_approval" or after.effect is Effect.DENY
        else:
            assert STRICTNESS[after.effect] >= STRICTNESS[before.effect]
            assert not is_stricter(before, after)
        assert before.obligations | after.obligations == after.obligations

    @given(st.lists(documents(), max_size=6), documents(effects=("deny",)))
    def test_a_matching_denial_denies_whatever_else_matches(
        self, rules: list[dict[str, Any]], denial: dict[str, Any]
    ) -> None:
        assert verdict(*rules, {**denial, "when": "true", "scope": {}}).effect is Effect.DENY

    @given(st.lists(documents(), max_size=6))
    def test_a_verdict_survives_being_stored(self, rules: list[dict[str, Any]]) -> None:
        found = verdict(*rules)
        assert verdict_of(json.loads(json.dumps(found.as_json()))) == found

    @given(st.lists(documents(), max_size=5), st.lists(documents(), max_size=5))
    def test_of_two_verdicts_at_most_one_is_stricter_or_both_demand_something(
        self, one: list[dict[str, Any]], other: list[dict[str, Any]]
    ) -> None:
        first, second = verdict(*one), verdict(*other)
        assert not is_stricter(first, first)
        if first.effect is not second.effect:
            assert is_stricter(first, second) is not is_stricter(second, first)


class TestTrace:
    def test_tells_of_every_rule_in_scope(self) -> None:
        found = verdict(rule(), rule(when="false"), rule(when="action.parameters.x"), rule(scope={"agents": ["other"]}))
        assert [(line.rule, line.outcome) for line in found.trace] == [("r0", "true"), ("r1", "false"), ("r2", "error")]

    def test_the_hash_covers_everything_the_rules_saw(self) -> None:
        base = verdict(rule()).facts_hash
        assert verdict(rule(effect="deny")).facts_hash == base
        for other in (
            replace(PAY, amount_minor=1),
            replace(PAY, parameters={}),
            replace(PAY, agent=replace(PAY.agent, risk="high")),
            replace(PAY, units=frozenset()),
        ):
            assert verdict(rule(), facts=other).facts_hash != base

    def test_the_facts_are_kept_without_the_parameters(self) -> None:
        facts = verdict(rule()).facts
        assert facts["action.amount_minor"] == 50_000
        assert "action.parameters" not in facts

    def test_an_agent_is_told_what_would_be_allowed(self) -> None:
        found = verdict(
            rule(when="action.amount_minor <= 1000 && action.currency == 'EUR'"),
            rule(when="action.amount_minor <= 7", confidential=True),
            rule(when="action.parameters.lines.all(l, l.qty > 5)"),
        )
        assert found.public_json()["allowed_when"] == [
            {
                "policy": "p",
                "rule": "r0",
                "conditions": [
                    {"fact": "action.amount_minor", "comparison": "at_most", "value": 1_000},
                    {"fact": "action.currency", "comparison": "is", "value": "EUR"},
                ],
            }
        ]
        assert verdict(rule()).allowed_when == ()

    @given(st.lists(documents(), max_size=5), st.lists(documents(), max_size=5))
    def test_joined_is_as_strict_as_either(self, one: list[dict[str, Any]], other: list[dict[str, Any]]) -> None:
        first, second = verdict(*one), verdict(*other)
        if Effect.DENY in {first.effect, second.effect}:
            return
        both = joined(first, second)
        assert not is_stricter(first, both)
        assert not is_stricter(second, both)
        assert verdict_of(json.loads(json.dumps(both.as_json()))) == both


class TestStricter:
    def test_names_what_was_not_demanded_before(self) -> None:
        mild = verdict(rule(effect="require_approval"))
        for stricter in (
            rule(effect="deny"),
            rule(effect="require_approval", obligations={"quorum": 2}),
            rule(effect="require_approval", queue="legal"),
            rule(effect="require_approval", obligations={"exclude": ["requester"]}),
            rule(effect="require_approval", obligations={"expires_in": "1h"}),
            rule(effect="require_approval", risk="high"),
        ):
            assert is_stricter(verdict(stricter), mild)
        assert not is_stricter(verdict(rule()), mild)
        assert not is_stricter(mild, verdict(rule(effect="require_approval", obligations={"quorum": 2})))


def asking(obligations: dict[str, Any]) -> dict[str, Any]:
    return rule(effect="require_approval", obligations=obligations)


class TestTogether:
    def test_what_several_rules_let_be_approved_at_once_is_what_each_lets(self) -> None:
        wide, narrow = {"risk": "medium", "items": 120, "total_minor": 900}, {"risk": "medium", "items": 7}
        found = verdict(asking({"bulk": wide}), asking({"bulk": narrow})).obligations
        assert found.bulk == Bulk(Risk.MEDIUM, 7, 900)
        assert verdict(asking({"bulk": wide}), asking({"bulk": False})).obligations.bulk == Bulk(
            items=0, total_minor=900
        )
        assert verdict(asking({"bulk": wide}), rule()).obligations.bulk == Bulk(Risk.MEDIUM, 120, 900)

    def test_a_rule_that_says_nothing_holds_on_to_the_usual(self) -> None:
        assert verdict(asking({"bulk": {"risk": "medium", "items": 120}}), asking({})).obligations.bulk == USUAL_BULK
        assert verdict(asking({})).obligations.bulk is None

    def test_less_at_once_takes_back_nothing_that_was_approved_one_by_one(self) -> None:
        silent, never = verdict(asking({})), verdict(asking({"bulk": False}))
        wide = verdict(asking({"bulk": {"risk": "medium", "items": 200}}))
        for after, before in ((never, silent), (silent, wide), (never, wide), (wide, never)):
            assert not is_stricter(after, before)
        assert is_stricter(verdict(asking({"bulk": False, "hold": "1h"})), silent)


class TestDocuments:
    @pytest.mark.parametrize(
        ("document", "field"),
        [
            ("text", "rules.0"),
            (rule(slug="A B"), "rules.0.slug"),
            (rule(slug=1), "rules.0.slug"),
            (rule(efect="deny"), "rules.0.efect"),
            (rule(when=""), "rules.0.when"),
            ({"slug": "a", "effect": "allow"}, "rules.0.when"),
            (rule(when=1), "rules.0.when"),
            (rule(effect="permit"), "rules.0.effect"),
            (rule(effect=["allow"]), "rules.0.effect"),
            (rule(queue="finance"), "rules.0.queue"),
            ({**rule(effect="require_approval"), "queue": ""}, "rules.0.queue"),
            (rule(effect="deny", queue="finance"), "rules.0.queue"),
            (rule(message="x" * 501), "rules.0.message"),
            (rule(message=1), "rules.0.message"),
            (rule(risk="huge"), "rules.0.risk"),
            (rule(confidential="yes"), "rules.0.confidential"),
            (rule(scope=[]), "rules.0.scope"),
            (rule(scope={"operation": ["a"]}), "rules.0.scope.operation"),
            (rule(scope={"operations": []}), "rules.0.scope.operations"),
            (rule(scope={"operations": "bank.pay"}), "rules.0.scope.operations"),
            (rule(scope={"operations": [1]}), "rules.0.scope.operations"),
            (rule(obligations=[]), "rules.0.obligations"),
            (rule(obligations={"hold_s": 1}), "rules.0.obligations.hold_s"),
            (rule(obligations={"quorum": 1}), "rules.0.obligations.quorum"),
            (rule(obligations={"exclude": ["everybody"]}), "rules.0.obligations.exclude"),
            (rule(obligations={"exclude": "requester"}), "rules.0.obligations.exclude"),
            (rule(obligations={"expires_in": 3600}), "rules.0.obligations.expires_in"),
            (rule(obligations={"expires_in": "4 hours"}), "rules.0.obligations.expires_in"),
            (rule(obligations={"expires_in": "0h"}), "rules.0.obligations.expires_in"),
            (rule(obligations={"hold": "9999999w"}), "rules.0.obligations.hold"),
            (rule(obligations={"step_up": 1}), "rules.0.obligations.step_up"),
            (rule(obligations={"limit": 5}), "rules.0.obligations.limit"),
            (rule(obligations={"limit": {"amount_minor": -1}}), "rules.0.obligations.limit"),
            (rule(obligations={"limit": {"amount_minor": 1.5}}), "rules.0.obligations.limit"),
            (rule(obligations={"redact": [""]}), "rules.0.obligations.redact"),
            (rule(obligations={"bulk": {"items": 5}}), "rules.0.obligations.bulk"),
            (asking({"bulk": True}), "rules.0.obligations.bulk"),
            (asking({"bulk": {}}), "rules.0.obligations.bulk"),
            (asking({"bulk": 5}), "rules.0.obligations.bulk"),
            (asking({"bulk": {"n": 5}}), "rules.0.obligations.bulk.n"),
            (asking({"bulk": {"risk": "high"}}), "rules.0.obligations.bulk.risk"),
            (asking({"bulk": {"risk": ["low"]}}), "rules.0.obligations.bulk.risk"),
            (asking({"bulk": {"items": 0}}), "rules.0.obligations.bulk.items"),
            (asking({"bulk": {"items": True}}), "rules.0.obligations.bulk.items"),
            (asking({"bulk": {"items": 201}}), "rules.0.obligations.bulk.items"),
            (asking({"bulk": {"total_minor": 1.5}}), "rules.0.obligations.bulk.total_minor"),
            (asking({"bulk": {"total_minor": None}}), "rules.0.obligations.bulk.total_minor"),
            (rule(effect="require_approval", obligations={"quorum": 0}), "rules.0.obligations.quorum"),
            (rule(effect="require_approval", obligations={"quorum": True}), "rules.0.obligations.quorum"),
            (rule(effect="require_approval", obligations={"quorum": "2"}), "rules.0.obligations.quorum"),
            (rule(effect="require_approval", obligations={"quorum": []}), "rules.0.obligations.quorum"),
            (rule(effect="require_approval", obligations={"quorum": {"m": 1}}), "rules.0.obligations.quorum.m"),
        ],
    )
    def test_that_do_not_fit_are_refused_by_field(self, document: object, field: str) -> None:
        rules, findings = read_rules([document])
        assert rules == ()
        assert [finding.field for finding in findings] == [field]

    def test_a_slug_is_given_once(self) -> None:
        _, findings = read_rules([rule(), rule()])
        assert [finding.field for finding in findings] == ["rules.1.slug"]

    def test_rules_are_a_list_of_bounded_length(self) -> None:
        assert read_rules({"a": 1})[1][0].field == "rules"
        assert read_rules([rule()] * 201)[1][0].field == "rules"

    @given(st.recursive(st.none() | st.booleans() | st.integers() | st.text(max_size=5), lambda below: st.lists(below, max_size=3) | st.dictionaries(st.sampled_from(["slug", "when", "effect", "queue", "scope", "obligations", "risk", "quorum", "operations"]), below, max_size=5)))  # fmt: skip # noqa: E501
    def test_anything_else_is_a_finding_and_no_surprise(self, raw: object) -> None:
        rules, findings = read_rules([raw])
        assert len(rules) + len(findings) == 1


class TestChecks:
    SCHEMA = {
        "type": "object",
        "additionalProperties": False,
        "required": ["amount_minor", "iban"],
        "properties": {
            "amount_minor": {"type": "integer"},
            "iban": {"type": "string"},
            "note": {"type": "string"},
            "lines": {"type": "array"},
        },
    }
    KNOWN = Known(
        queues={"finance"}, roles={"approver"}, agents={"payer"}, units={"finance"}, operations={"bank.pay": SCHEMA}
    )
    PAY = {"operations": ["bank.pay"]}

    def findings(self, **document: Any) -> list[tuple[str, str, int | None, int | None]]:
        rules, findings = read_rules([rule(**document)])
        assert findings == ()
        return [
            ("warning" if one.is_warning else one.field, one.message, one.line, one.column)
            for one in check_rules(rules, self.KNOWN)
        ]

    def test_a_mistake_in_a_condition_has_its_position(self) -> None:
        found = self.findings(when="action.amount_minor > 1 &&\n  agent.rsk == 'low'")
        assert [(field, line, column) for field, _, line, column in found] == [("rules.0.when", 2, 8)]
        assert "agent.rsk" in found[0][1]

    @pytest.mark.parametrize(
        ("document", "field"),
        [
            ({"effect": "require_approval", "queue": "nobody"}, "rules.0.queue"),
            (
                {"effect": "require_approval", "obligations": {"quorum": {"n": 1, "role": "x"}}},
                "rules.0.obligations.quorum",
            ),
            ({"scope": {"operations": ["bank.pray"]}}, "rules.0.scope.operations"),
            ({"scope": {"agents": ["nobody"]}}, "rules.0.scope.agents"),
            ({"scope": {"units": ["nowhere"]}}, "rules.0.scope.units"),
        ],
    )
    def test_what_a_rule_names_must_exist(self, document: dict[str, Any], field: str) -> None:
        assert [found[0] for found in self.findings(**document)] == [field]

    def test_what_is_not_known_is_not_checked(self) -> None:
        rules, _ = read_rules([rule(effect="require_approval", queue="x", scope={"operations": ["y"]})])
        assert check_rules(rules, Known()) == ()

    def test_a_parameter_that_no_operation_has_is_an_error_with_its_position(self) -> None:
        found = self.findings(when="action.parameters.ibn == 'DE'", scope=self.PAY)
        assert [(field, line, column) for field, _, line, column in found] == [("rules.0.when", 1, 18)]

    def test_a_parameter_of_another_type_is_an_error(self) -> None:
        found = self.findings(
            when="has(action.parameters.note) && action.parameters.amount_minor > 'a'", scope=self.PAY
        )
        assert [(field, line, column) for field, _, line, column in found] == [("rules.0.when", 1, 63)]

    def test_an_optional_parameter_without_has_is_a_warning(self) -> None:
        found = self.findings(when="action.parameters.note == 'x'", scope=self.PAY)
        assert [field for field, *_ in found] == ["warning"]
        assert self.findings(when="has(action.parameters.note) && action.parameters.note == 'x'", scope=self.PAY) == []

    def test_an_allow_rule_does_not_read_the_agents_confidence(self) -> None:
        assert [one[0] for one in self.findings(when="action.confidence > 0.9")] == ["rules.0.when"]
        assert self.findings(when="action.confidence < 0.9", effect="deny") == []

    @pytest.mark.parametrize("obligations", [{"hold": "1h"}])
    def test_demands_that_nothing_carries_out_are_warned_of(self, obligations: dict[str, Any]) -> None:
        assert [field for field, *_ in self.findings(obligations=obligations)] == ["warning"]

    def test_a_good_rule_has_no_finding(self) -> None:
        assert self.findings(when="action.parameters.lines.all(l, l.qty > 0)", scope={"connectors": ["bank"]}) == []


class TestHistory:
    CALL = FunctionCall("history.count", ("bank.pay", "30d", "agent"))
    RULE = rule(effect="deny", when="history.count('bank.pay', '30d', 'agent') >= 3")

    @pytest.mark.parametrize(("value", "effect"), [(2, Effect.ALLOW), (3, Effect.DENY)])
    def test_is_bound_before_rules_are_judged(self, value: int, effect: Effect) -> None:
        found = verdict(rule(), self.RULE, facts=replace(PAY, history={self.CALL: value}))
        assert found.effect is effect
        assert found.facts["history"] == {"history.count('bank.pay', '30d', 'agent')": value}

    def test_that_nobody_looked_up_counts_against_the_action(self) -> None:
        assert verdict(rule(), self.RULE).effect is Effect.DENY

    def test_is_part_of_what_is_hashed(self) -> None:
        hashes = {verdict(rule(), facts=replace(PAY, history={self.CALL: n})).facts_hash for n in (1, 2)}
        assert len(hashes) == 2

    @pytest.mark.parametrize(
        ("call", "word"),
        [
            ("history.count('bank.pay', '30 days', 'agent')", "duration"),
            ("history.count('bank.pay', '30d', 'planet')", "scope"),
            ("history.sum_minor('bank.pray', '30d', 'agent')", "bank.pray"),
            ("history.count(action.operation, '30d', 'agent')", "literals"),
        ],
    )
    def test_asks_only_what_can_be_answered(self, call: str, word: str) -> None:
        rules, _ = read_rules([rule(when=f"{call} > 1")])
        found = check_rules(rules, Known(operations={"bank.pay": {}}))
        assert len(found) == 1
        assert word in found[0].message


class TestClauses:
    @pytest.mark.parametrize(
        ("source", "condition"),
        [
            ("true", Every()),
            ("false", Some()),
            ("action.amount_minor > 5", Clause("action.amount_minor", Comparison.OVER, 5)),
            ("5 > action.amount_minor", Clause("action.amount_minor", Comparison.UNDER, 5)),
            ("5 == action.amount_minor", Clause("action.amount_minor", Comparison.IS, 5)),
            ("agent.risk != 'low'", Clause("agent.risk", Comparison.IS_NOT, "low")),
            ("agent.risk in ['low', 'high']", Clause("agent.risk", Comparison.ONE_OF, ["low", "high"])),
            ("'pay' in agent.capabilities", Clause("agent.capabilities", Comparison.HAS, "pay")),
            ("has(action.parameters.a)", Clause("action.parameters.a", Comparison.GIVEN)),
            ("!has(action.parameters.a)", Clause("action.parameters.a", Comparison.NOT_GIVEN)),
            ("action.parameters.urgent", Clause("action.parameters.urgent", Comparison.IS, True)),
            ("!action.parameters.urgent", Clause("action.parameters.urgent", Comparison.IS_NOT, True)),
            ("action.target.startsWith('DE')", Clause("action.target", Comparison.STARTS_WITH, "DE")),
            ("!(action.amount_minor > 5)", Not(Clause("action.amount_minor", Comparison.OVER, 5))),
            (
                "action.amount_minor > 5 && agent.risk == 'low' && on_behalf_of == ''",
                Every(
                    (
                        Clause("action.amount_minor", Comparison.OVER, 5),
                        Clause("agent.risk", Comparison.IS, "low"),
                        Clause("on_behalf_of", Comparison.IS, ""),
                    )
                ),
            ),
            (
                "agent.risk == 'low' || action.amount_minor < 5",
                Some((Clause("agent.risk", Comparison.IS, "low"), Clause("action.amount_minor", Comparison.UNDER, 5))),
            ),
            ("action.parameters.lines.all(l, l.qty > 0)", Opaque()),
            ("action.amount_minor > 5 && size(action.target) > 3", Opaque()),
            ("action.amount_minor / 2 > 5", Opaque()),
            ("agent.owner == run.started_by", Opaque()),
        ],
    )
    def test_common_shapes_are_taken_apart_and_others_kept_whole(self, source: str, condition: object) -> None:
        assert condition_of(program(source).tree) == condition
