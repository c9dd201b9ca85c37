"""What must hold for every count of votes, every difference and every restated value."""

from collections import Counter
from copy import deepcopy
from dataclasses import replace
from decimal import Decimal
from itertools import permutations, product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps.core.rules import Risk
from apps.oversight.rules import (
    DECIDED,
    ESCALATION_MOVES,
    FINAL,
    VERDICTS,
    Ballot,
    EscalationState,
    Group,
    Kind,
    Person,
    Separation,
    VoteVerdict,
    action_digest,
    allowed_verdicts,
    can_reach,
    is_restated,
    is_retry,
    patch_between,
    quorum_floor,
    restate_field,
    same_json,
    tally,
    why_not_eligible,
)

QUEUES = ("finance", "legal", "board")
queues = st.sampled_from(QUEUES)
groups = st.dictionaries(queues, st.integers(1, 3), min_size=1).map(
    lambda found: [Group(queue, needed) for queue, needed in found.items()]
)
ballots = st.lists(
    st.builds(
        Ballot,
        st.sampled_from("abcdefgh"),
        st.sampled_from([VoteVerdict.APPROVE, VoteVerdict.REJECT]),
        st.frozensets(queues),
    ),
    max_size=8,
    unique_by=lambda ballot: ballot.voter,
)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-1000, 1000) | st.floats(-1e6, 1e6, allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=10,
)


def approvals(found):
    return {ballot.voter: ballot.serves for ballot in found if ballot.verdict == VoteVerdict.APPROVE}


def patched(document, operations):
    """RFC 6902 as its text says it, written apart from the code under test."""
    document = deepcopy(document)
    for step in operations:
        keys = [key.replace("~1", "/").replace("~0", "~") for key in step["path"].split("/")[1:]]
        if not keys:
            document = step["value"]
            continue
        at = document
        for key in keys[:-1]:
            at = at[int(key)] if isinstance(at, list) else at[key]
        last = int(keys[-1]) if isinstance(at, list) else keys[-1]
        if step["op"] == "remove":
            del at[last]
        else:
            at[last] = step["value"]
    return document


@given(groups, ballots)
def test_nobody_counts_twice_nor_in_a_queue_they_do_not_serve(wanted, found):
    counted = tally(wanted, found).counted
    people = Counter(person for names in counted.values() for person in names)
    assert all(times == 1 for times in people.values())
    served = approvals(found)
    assert all(queue in served[person] for queue, names in counted.items() for person in names)


@given(groups, ballots)
def test_approved_means_every_group_is_met_and_nobody_refused(wanted, found):
    outcome = tally(wanted, found).outcome
    heard = [ballot.verdict for ballot in found if ballot.serves]
    if outcome == EscalationState.APPROVED:
        assert VoteVerdict.REJECT not in heard
        assert len(approvals(found)) >= sum(group.needed for group in wanted)
    if VoteVerdict.REJECT in heard:
        assert outcome == EscalationState.REJECTED


@given(groups, ballots, st.randoms(use_true_random=False))
def test_the_order_of_votes_changes_nothing(wanted, found, chance):
    mixed = list(found)
    chance.shuffle(mixed)
    assert tally(wanted, mixed).outcome == tally(wanted, found).outcome
    assert tally(wanted, mixed).missing == tally(wanted, found).missing


@given(groups, ballots, st.frozensets(queues))
def test_one_more_approval_never_takes_an_approval_away(wanted, found, serves):
    before = tally(wanted, found).outcome
    after = tally(wanted, [*found, Ballot("z", VoteVerdict.APPROVE, serves)]).outcome
    if before == EscalationState.APPROVED:
        assert after == EscalationState.APPROVED


@given(groups, ballots)
def test_saying_it_twice_counts_once(wanted, found):
    assert tally(wanted, [*found, *found]) == tally(wanted, found)


@given(groups, ballots)
def test_a_vote_of_somebody_who_serves_no_queue_counts_nowhere(wanted, found):
    lost = [Ballot(ballot.voter, ballot.verdict, frozenset()) for ballot in found]
    assert tally(wanted, lost).outcome is None


@given(
    st.lists(
        st.builds(Group, queues, st.integers(1, 2), st.booleans()), min_size=1, max_size=2, unique_by=lambda g: g.key
    ),
    st.lists(
        st.builds(
            Ballot,
            st.sampled_from("abcde"),
            st.just(VoteVerdict.APPROVE),
            st.frozensets(queues, min_size=1),
            st.frozensets(st.sampled_from(["north", "south"]), min_size=1),
        ),
        max_size=5,
        unique_by=lambda ballot: ballot.voter,
    ),
)
def test_the_count_finds_a_seat_for_everybody_if_there_is_one(wanted, people):
    """Against brute force: some order of people, each from some unit of theirs, fills all seats."""
    seats = [group for group in wanted for _ in range(group.needed)]
    brute = any(
        all(group.key in person.serves for group, person in zip(seats, order, strict=True))
        and any(_units_fit(seats, units) for units in product(*(person.units for person in order)))
        for order in permutations(people, len(seats))
    )
    assert can_reach(wanted, people) == brute
    assert (tally(wanted, people).outcome == EscalationState.APPROVED) == brute


def _units_fit(seats, units):
    taken = [(group.key, unit) for group, unit in zip(seats, units, strict=True) if group.distinct_units]
    return len(taken) == len(set(taken))


@given(groups, st.integers(0, 3), st.integers(2, 3))
def test_the_threshold_of_rejections_decides(wanted, said, needed):
    found = [Ballot(str(n), VoteVerdict.REJECT, frozenset(QUEUES)) for n in range(said)]
    outcome = tally(wanted, found, deny_needed=needed).outcome
    assert outcome == (EscalationState.REJECTED if said >= needed else None)


def test_no_groups_approve_nothing():
    assert tally([], [Ballot("a", VoteVerdict.APPROVE, frozenset({"finance"}))]).outcome is None


def test_an_answer_and_a_request_for_changes_decide_at_once():
    one = [Group("finance", 2)]
    served = frozenset({"finance"})
    assert tally(one, [Ballot("a", VoteVerdict.ANSWER, served)]).outcome == EscalationState.ANSWERED
    assert tally(one, [Ballot("a", VoteVerdict.REQUEST_CHANGES, served)]).outcome == EscalationState.CHANGES_REQUESTED


def test_a_decided_item_never_moves():
    assert all(not ESCALATION_MOVES[state] for state in FINAL)
    assert set(ESCALATION_MOVES) == set(EscalationState)
    assert EscalationState.EXPIRED not in DECIDED


def person(**fields):
    fine = Person("ada", is_human=True, is_active=True, has_permission=True, serves=frozenset({"finance"}))
    return replace(fine, **fields)


@pytest.mark.parametrize(
    ("fields", "why"),
    [
        ({"is_human": False}, "not_human"),
        ({"is_active": False}, "inactive"),
        ({"has_permission": False}, "no_permission"),
        ({"serves": frozenset()}, "not_in_queue"),
        ({}, None),
    ],
)
def test_each_lack_has_its_word(fields, why):
    assert why_not_eligible(person(**fields), Separation()) == why


@pytest.mark.parametrize("word", ["requester", "agent_owner", "run_starter", "policy_author"])
def test_a_word_bars_only_whom_it_means_and_only_where_it_is_said(word):
    means = {word: frozenset({"ada"})}
    assert why_not_eligible(person(), Separation(frozenset({word}), means)) == word
    assert why_not_eligible(person(), Separation(frozenset(), means)) is None
    assert why_not_eligible(person(username="ben"), Separation(frozenset({word}), means)) is None


def test_names_and_editors_are_barred():
    assert why_not_eligible(person(), Separation(frozenset({"ada"}))) == "excluded"
    assert why_not_eligible(person(), Separation(editors=frozenset({"ada"}))) == "editor"


@given(json_values, json_values)
def test_a_patch_makes_the_one_of_the_other_and_keeps_types(before, after):
    assert same_json(patched(before, patch_between(before, after)), after)


@given(json_values)
def test_nothing_changed_is_an_empty_patch(value):
    assert patch_between(value, deepcopy(value)) == []


def test_types_are_told_apart_and_numbers_are_not():
    assert patch_between({"n": 1}, {"n": True}) == [{"op": "replace", "path": "/n", "value": True}]
    assert patch_between({"n": 1}, {"n": "1"}) == [{"op": "replace", "path": "/n", "value": "1"}]
    assert patch_between({"n": 1}, {"n": 1.0}) == []


@given(st.dictionaries(st.text(max_size=5), json_values, max_size=4))
def test_a_digest_does_not_see_the_order_of_keys(parameters):
    turned = dict(reversed(list(parameters.items())))
    assert action_digest("bank.pay", parameters) == action_digest("bank.pay", turned)
    assert action_digest("bank.pay", parameters) != action_digest("bank.refund", parameters)


@pytest.mark.parametrize("kind", list(Kind))
@pytest.mark.parametrize("risk", list(Risk))
def test_friction_follows_the_tier_alone(kind, risk):
    found = allowed_verdicts(kind, risk, restate="amount_minor")
    assert set(found) == set(VERDICTS[kind])
    if "approve" in found:
        assert (found["approve"]["restate"] is not None) == (risk in {Risk.HIGH, Risk.CRITICAL})
        assert found["approve"]["step_up"] == (risk == Risk.CRITICAL)


def test_what_the_asker_cannot_take_is_not_offered():
    free = allowed_verdicts(Kind.ACTION, Risk.LOW, restate=None)
    bound = allowed_verdicts(Kind.ACTION, Risk.LOW, restate=None, cannot_take=["edit", "request_changes"])
    assert (free["approve"]["edit"], bound["approve"]["edit"]) == (True, False)
    assert set(free) - set(bound) == {"request_changes"}


def test_critical_takes_two():
    one = [Group("finance"), Group("legal")]
    assert quorum_floor(Kind.ACTION, Risk.CRITICAL, one[:1]) == (Group("finance", 2),)
    assert quorum_floor(Kind.ACTION, Risk.CRITICAL, one) == tuple(one)
    assert quorum_floor(Kind.ACTION, Risk.HIGH, one[:1]) == (Group("finance"),)
    assert quorum_floor(Kind.QUESTION, Risk.CRITICAL, one[:1]) == (Group("finance"),)


def test_the_plane_chooses_what_to_restate():
    values = {"iban": "DE1", "amount_minor": 5, "lines": [{"n": 1}], "urgent": True}
    assert restate_field(values, preferred=["amount_minor", "iban"]) == "amount_minor"
    assert restate_field(values, preferred=["missing", "iban"]) == "iban"
    assert restate_field(values) == "amount_minor"
    assert restate_field({"urgent": True, "note": ""}) is None


@given(st.integers(1, 10**12))
def test_an_amount_may_be_restated_in_either_unit_and_never_smaller(minor):
    assert is_restated(minor, minor, exponent=2)
    assert is_restated(minor, str(minor), exponent=2)
    assert is_restated(minor, f"{Decimal(minor) / 100:,.2f}", exponent=2)
    assert not is_restated(minor, minor + 1, exponent=2)
    assert not is_restated(minor, str(Decimal(minor) / 1000), exponent=2)


@pytest.mark.parametrize("said", [None, True, "", "abc", "NaN", "Infinity", [], {}])
def test_nonsense_restates_nothing(said):
    assert not is_restated(5, said, exponent=2)


def test_text_is_restated_letter_by_letter_but_for_case():
    assert is_restated("DE44 17", " de44 17 ")
    assert not is_restated("DE44 17", "DE4417")


@pytest.mark.parametrize("hint", ["never", "after_change", "after:2026-01-01T12:00:00Z"])
def test_hints_that_an_agent_can_follow(hint):
    assert is_retry(hint)


@pytest.mark.parametrize("hint", ["", "later", "after:", "after:tomorrow", "after:2026-01-01T12:00:00"])
def test_hints_that_nobody_can_follow(hint):
    assert not is_retry(hint)
