"""What must hold for every seating of people in groups, and for whose turn it is."""

from itertools import permutations

from hypothesis import given
from hypothesis import strategies as st

from apps.oversight.rules import Ballot, Group, VoteVerdict, can_reach, seated, stage_of, wanting

QUEUES = ("finance", "legal", "board")
queues = st.sampled_from(QUEUES)
groups = st.dictionaries(queues, st.tuples(st.integers(1, 2), st.integers(1, 3)), min_size=1).map(
    lambda found: [Group(queue, needed, stage=stage) for queue, (needed, stage) in found.items()]
)
people = st.lists(st.frozensets(queues), max_size=6).map(
    lambda found: [Ballot(f"p{n}", VoteVerdict.APPROVE, serves) for n, serves in enumerate(found)]
)


def best_by_trying(wanted, found):
    """How many seats can be filled, by trying every order in which people could be seated."""
    seats = [group.key for group in wanted for _ in range(group.needed)]
    best = 0
    for order in permutations(found):
        free, filled = list(seats), 0
        for ballot in order:
            if seat := next((seat for seat in free if seat in ballot.serves), None):
                free.remove(seat)
                filled += 1
        best = max(best, filled)
    return best


@given(groups, st.lists(st.frozensets(queues), max_size=5))
def test_no_other_assignment_fills_more_seats(wanted, serves):
    found = [Ballot(f"p{n}", VoteVerdict.APPROVE, served) for n, served in enumerate(serves)]
    assert sum(map(len, seated(wanted, found).values())) == best_by_trying(wanted, found)


@given(groups, people)
def test_the_turn_is_the_lowest_stage_that_is_not_complete(wanted, found):
    stage = stage_of(wanted, found)
    below = [group for group in wanted if group.stage < stage]
    here = [group for group in wanted if group.stage <= stage]
    assert can_reach(below, found)
    assert stage in {group.stage for group in wanted}
    assert not can_reach(here, found) or stage == max(group.stage for group in wanted)


@given(groups, people, st.data())
def test_wanting_are_exactly_the_groups_in_which_one_more_person_counts(wanted, found, data):
    key = data.draw(st.sampled_from([group.key for group in wanted]))
    more = [*found, Ballot("zoe", VoteVerdict.APPROVE, frozenset({key}))]
    gained = best_by_trying(wanted, more) > best_by_trying(wanted, found)
    assert (key in wanting(wanted, found)) == gained


def test_whoever_fills_one_seat_may_be_moved_to_the_other():
    wanted = [Group("finance"), Group("legal")]
    both = Ballot("ann", VoteVerdict.APPROVE, frozenset({"finance", "legal"}))
    assert wanting(wanted, [both]) == {"finance", "legal"}
    assert wanting(wanted, [Ballot("ben", VoteVerdict.APPROVE, frozenset({"legal"}))]) == {"finance"}
    assert wanting(wanted, [Ballot("ben", VoteVerdict.REJECT, frozenset({"legal"}))]) == {"finance", "legal"}
