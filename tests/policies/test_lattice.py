"""Demands of several rules become one by a lattice: in whatever order rules stand, the strictest of each holds."""

from functools import reduce

from hypothesis import given
from hypothesis import strategies as st

from apps.core.rules import Risk
from apps.policies.rules import (
    Bulk,
    Effect,
    Exclusion,
    Obligations,
    StandingLimit,
    compile_rule,
    judge,
    merge,
    read_rules,
)
from apps.policies.rules.obligations import obligations_of
from tests.factories.policies import make_facts, make_rule

few = st.none() | st.integers(1, 5)
words = st.frozensets(st.sampled_from(["iban", "vendor", "note"]))
demands = st.builds(
    Obligations,
    exclude=st.frozensets(st.sampled_from(Exclusion)),
    expires_in_s=few,
    hold_s=few,
    sample=few,
    limit_minor=st.none() | st.integers(0, 5),
    step_up=st.booleans(),
    dry_run_first=st.booleans(),
    compensable=st.booleans(),
    redact=words,
    notify=words,
    bulk=st.none()
    | st.builds(Bulk, st.sampled_from([Risk.LOW, Risk.MEDIUM]), st.integers(0, 5), st.none() | st.integers(0, 5)),
    standing=st.none()
    | st.builds(StandingLimit, st.integers(0, 5), st.integers(0, 5), st.none() | st.integers(1, 5), words),
)
documents = st.fixed_dictionaries(
    {"effect": st.sampled_from(Effect), "when": st.sampled_from(["true", "false", "action.parameters.gone == 1"])},
    optional={
        "obligations": st.fixed_dictionaries(
            {},
            optional={
                "exclude": st.lists(st.sampled_from(Exclusion), unique=True),
                "expires_in": st.sampled_from(["1h", "2h", "1d"]),
                "hold": st.sampled_from(["1m", "5m"]),
                "sample": st.sampled_from(["1%", "5%"]),
                "limit": st.builds(lambda amount: {"amount_minor": amount}, st.sampled_from([10_000, 50_000, 90_000])),
                "step_up": st.booleans(),
                "notify": st.lists(st.sampled_from(["audit", "cfo"]), unique=True),
            },
        ),
        "risk": st.sampled_from(Risk),
    },
)
asked = st.fixed_dictionaries({"queue": st.sampled_from(["finance", "legal"]), "n": st.integers(1, 3)})


def smallest(values):
    return min((value for value in values if value is not None), default=None)


def largest(values):
    return max((value for value in values if value is not None), default=None)


@given(st.lists(demands, max_size=6))
def test_of_each_demand_the_strictest_holds(found):
    merged = merge(found)
    assert merged.limit_minor == smallest(each.limit_minor for each in found)
    assert merged.expires_in_s == smallest(each.expires_in_s for each in found)
    assert merged.hold_s == largest(each.hold_s for each in found)
    assert merged.sample == largest(each.sample for each in found)
    for name in ("step_up", "dry_run_first", "compensable"):
        assert getattr(merged, name) == any(getattr(each, name) for each in found)
    for name in ("exclude", "notify", "redact"):
        assert getattr(merged, name) == frozenset().union(*(getattr(each, name) for each in found))


@given(st.lists(demands, max_size=6), st.randoms(use_true_random=False))
def test_merging_is_a_lattice_whatever_the_order(found, chance):
    merged, mixed = merge(found), list(found)
    chance.shuffle(mixed)
    assert merge(mixed) == merged
    assert merge([*found, merged]) == merged
    assert merge([merge(found[:2]), merge(found[2:])]) == merged
    assert reduce(lambda one, other: other | one, found, Obligations()) == merged


@given(demands)
def test_demands_outlive_being_written_down(found):
    assert obligations_of(found.as_json()) == found


def rule_of(place, document, asked):
    rule = make_rule(slug=f"r{place}", **document)
    if rule["effect"] != "require_approval":
        return rule
    quorum = {"n": asked["n"]}
    return {**rule, "queue": asked["queue"], "obligations": {**rule.get("obligations", {}), "quorum": quorum}}


@given(st.lists(st.tuples(documents, asked), max_size=6), st.randoms(use_true_random=False))
def test_a_verdict_is_the_same_in_whatever_order_rules_stand(written, chance):
    read, findings = read_rules([rule_of(place, *each) for place, each in enumerate(written)])
    assert not findings
    rules = [compile_rule(rule) for rule in read]
    mixed = list(rules)
    chance.shuffle(mixed)
    one, other = judge(rules, make_facts()).as_json(), judge(mixed, make_facts()).as_json()
    for verdict in (one, other):
        for name in ("trace", "allowed_when"):
            verdict[name].sort(key=lambda line: line["rule"])
    assert one == other
