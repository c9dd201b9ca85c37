"""Who must agree: how it is written, what is refused and where, and how the quorums of several rules become one."""

from functools import reduce

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps.policies.rules import DocumentError, Effect, Group, Quorum, compile_rule, judge, read_rules
from apps.policies.rules.quorums import group_of, joined_groups, read_quorums
from apps.policies.rules.verdicts import is_stricter
from tests.factories.policies import make_facts, make_rule

group_lists = st.lists(
    st.builds(
        Group,
        queue=st.sampled_from(["finance", "legal"]),
        needed=st.integers(1, 3),
        role=st.sampled_from(["", "cfo"]),
        distinct_units=st.booleans(),
        stage=st.integers(1, 3),
    ),
    max_size=5,
)


def asking(quorum, *, queue="finance", slug="asks"):
    return make_rule(slug=slug, effect="require_approval", queue=queue, obligations={"quorum": quorum})


def verdict_on(amount_minor, *documents):
    rules, findings = read_rules(list(documents))
    assert not findings
    return judge([compile_rule(rule) for rule in rules], make_facts(amount_minor=amount_minor))


@pytest.mark.parametrize(
    ("raw", "read"),
    [
        (2, (Quorum(2),)),
        ({"n": 2, "role": "legal", "distinct_units": True}, (Quorum(2, "legal", True),)),
        ([{"queue": "legal"}, {"queue": "finance"}], (Quorum(queue="legal"), Quorum(queue="finance"))),
        ([1, {"role": "cfo", "stage": 2, "over_minor": 0}], (Quorum(), Quorum(role="cfo", stage=2, over_minor=0))),
    ],
)
def test_it_is_a_number_an_object_or_a_list(raw, read):
    assert read_quorums(raw) == read


@pytest.mark.parametrize(
    ("raw", "field", "said"),
    [
        (0, "", "from 1 to 20"),
        (21, "", "from 1 to 20"),
        (True, "", "from 1 to 20"),
        ([], "", "From 1 to 10 groups"),
        ([{"queue": f"q{n}"} for n in range(11)], "", "From 1 to 10 groups"),
        ({"people": 2}, ".people", "n, over_minor, queue, role, stage are known"),
        ({"role": ""}, ".role", "slug of a role"),
        ({"role": 3}, ".role", "slug of a role"),
        ({"queue": None}, ".queue", "slug of a queue"),
        ({"distinct_units": 1}, ".distinct_units", "true or false"),
        ({"stage": 0}, ".stage", "from 1 to 9"),
        ({"stage": 10}, ".stage", "from 1 to 9"),
        ({"stage": "2"}, ".stage", "from 1 to 9"),
        ([1, {"stage": 2, "over_minor": -1}], ".over_minor", "from 0 on"),
        ([1, {"stage": 2, "over_minor": 1.5}], ".over_minor", "from 0 on"),
        ([1, 1], "", "the rule's queue stands in two groups"),
        ([{"role": "cfo"}, {"role": "cfo", "stage": 2}], "", "cfo stands in two groups"),
        ({"over_minor": 100}, "", "whatever the amount"),
    ],
)
def test_what_does_not_fit_is_refused_where_it_stands(raw, field, said):
    with pytest.raises(DocumentError) as caught:
        read_quorums(raw)
    assert caught.value.field == f"obligations.quorum{field}"
    assert said in caught.value.message


def test_one_rule_asks_legal_and_finance_side_by_side():
    found = verdict_on(50_000, asking([1, {"queue": "legal", "n": 2}]))
    assert [(group.queue, group.needed, group.stage) for group in found.groups] == [("finance", 1, 1), ("legal", 2, 1)]


@pytest.mark.parametrize(
    ("amount", "asked"),
    [
        (500_000, [("", 1)]),
        (500_001, [("", 1), ("cfo", 2)]),
        (None, [("", 1), ("cfo", 2)]),  # what has no amount is asked for everything
    ],
)
def test_later_stages_are_asked_by_amount(amount, asked):
    found = verdict_on(amount, asking([1, {"role": "cfo", "stage": 2, "over_minor": 500_000}]))
    assert [(group.role, group.stage) for group in found.groups] == asked


def test_a_larger_number_over_an_amount_raises_the_same_group():
    quorum = [1, {"n": 3, "over_minor": 1_000}]
    assert [group.needed for group in verdict_on(1_000, asking(quorum)).groups] == [1]
    assert [group.needed for group in verdict_on(1_001, asking(quorum)).groups] == [3]


@given(group_lists, st.randoms(use_true_random=False))
def test_joining_is_a_lattice_whatever_the_order(groups, chance):
    joined, mixed = joined_groups(groups), list(groups)
    chance.shuffle(mixed)
    assert joined_groups(mixed) == joined
    assert joined_groups([*groups, *joined]) == joined
    parts = [joined_groups([group]) for group in groups]
    assert reduce(lambda one, other: joined_groups((*one, *other)), parts, ()) == joined
    assert len({(group.queue, group.role) for group in joined}) == len(joined)


@given(group_lists, group_lists)
def test_what_both_demand_suffices_for_each(one, other):
    joined = joined_groups((*one, *other))
    assert all(any(group.suffices_for(each) for group in joined) for each in (*one, *other))


@given(group_lists)
def test_a_group_outlives_being_written_down(groups):
    assert [group_of(group.as_json()) for group in groups] == groups


def test_what_was_stored_before_there_were_stages_is_read():
    stored = {"queue": "finance", "needed": 1, "role": "", "distinct_units": False, "rules": ["p/r"]}
    assert group_of(stored) == Group("finance", 1, rules=("p/r",))


@pytest.mark.parametrize(
    "more",
    [[2], [1, {"queue": "legal"}], [{"stage": 2}], [{"distinct_units": True}], [1, {"role": "cfo", "stage": 2}]],
)
def test_a_further_demand_is_stricter_and_one_less_is_not(more):
    usual, strict = verdict_on(50_000, asking(1)), verdict_on(50_000, asking(more))
    assert usual.effect is strict.effect is Effect.REQUIRE_APPROVAL
    assert is_stricter(strict, usual)
    assert not is_stricter(usual, strict)
