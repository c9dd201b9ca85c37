"""What a rule lets be approved in advance: how it is written, and how several rules' limits become one."""

from itertools import permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps.policies.rules import DocumentError, Known, StandingLimit, check_rules, compile_rule, judge, read_rules
from apps.policies.rules.obligations import obligations_of, read_obligations
from apps.policies.rules.verdicts import is_stricter, joined, verdict_of
from tests.factories.policies import make_facts, make_rule

limits = st.builds(
    StandingLimit,
    times=st.integers(0, 5),
    days=st.integers(0, 5),
    up_to_minor=st.none() | st.integers(1, 5),
    same=st.frozensets(st.sampled_from(["iban", "vendor"])),
)


def verdict(*standing):
    documents = [
        make_rule(
            slug=f"r{place}",
            effect="require_approval",
            queue=f"q{place}",
            obligations={} if raw is None else {"standing": raw},
        )
        for place, raw in enumerate(standing)
    ]
    rules, findings = read_rules(documents)
    assert not findings
    return judge([compile_rule(rule) for rule in rules], make_facts())


@pytest.mark.parametrize(
    ("raw", "field"),
    [
        (True, ""),
        ({}, ".times"),
        ({"times": 1}, ".days"),
        ({"times": 0, "days": 1}, ".times"),
        ({"times": 1_001, "days": 1}, ".times"),
        ({"times": True, "days": 1}, ".times"),
        ({"times": 1, "days": 91}, ".days"),
        ({"times": 1, "days": "7d"}, ".days"),
        ({"times": 1, "days": 1, "up_to_minor": 0}, ".up_to_minor"),
        ({"times": 1, "days": 1, "up_to_minor": None}, ".up_to_minor"),
        ({"times": 1, "days": 1, "amount": 5}, ".amount"),
        ({"times": 1, "days": 1, "same": "iban"}, ".same"),
        ({"times": 1, "days": 1, "same": [""]}, ".same"),
    ],
)
def test_what_does_not_fit_is_refused_where_it_stands(raw, field):
    with pytest.raises(DocumentError) as caught:
        read_obligations({"standing": raw})
    assert caught.value.field == f"obligations.standing{field}"


@pytest.mark.parametrize("effect", ["allow", "deny", "flag"])
def test_only_a_rule_that_asks_says_it(effect):
    _, findings = read_rules([make_rule(effect=effect, obligations={"standing": {"times": 1, "days": 1}})])
    assert [finding.field for finding in findings] == ["rules.0.obligations.standing"]


@given(st.lists(limits, min_size=1, max_size=3))
def test_several_let_only_what_each_lets(found):
    merged = {_joined(order) for order in permutations(found)}
    assert len(merged) == 1
    least = _joined(found)
    assert all(least.times <= one.times and least.days <= one.days for one in found)
    assert least | least == least
    assert all(one.same <= least.same for one in found)
    assert (least.up_to_minor is None) == any(one.up_to_minor is None for one in found)


def _joined(found):
    least = found[0]
    for one in found[1:]:
        least |= one
    return least


def test_a_silent_rule_that_asks_lets_nothing():
    lets = {"times": 5, "days": 5, "up_to_minor": 500}
    assert verdict(lets).obligations.standing == StandingLimit(5, 5, 500)
    assert verdict(lets, None).obligations.standing == StandingLimit()
    assert verdict(None).obligations.standing is None
    assert joined(verdict(lets), verdict(None)).obligations.standing == StandingLimit()


def test_same_names_only_parameters_that_the_operations_have():
    raw = {"times": 1, "days": 1, "same": ["iban", "acount"]}
    document = make_rule(
        effect="require_approval", queue="q", obligations={"standing": raw}, scope={"operations": ["bank.pay"]}
    )
    known = Known(operations={"bank.pay": {"properties": {"iban": {"type": "string"}}}})
    found = check_rules(read_rules([document])[0], known)
    assert [(one.field, one.message) for one in found] == [
        ("rules.0.obligations.standing.same", "bank.pay has no parameter 'acount'.")
    ]


def test_it_outlives_being_written_down_and_is_no_demand_on_what_was_approved():
    lets = verdict({"times": 5, "days": 5, "same": ["iban"]})
    assert verdict_of(lets.as_json()).obligations == lets.obligations
    assert obligations_of({}).standing is None
    assert not is_stricter(verdict(None), lets)
    assert not is_stricter(lets, verdict(None))
