"""Counting votes: groups, one seat per person, thresholds."""

from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from apps.core.rules import Risk
from apps.oversight.rules.states import CRITICAL_QUORUM, OUTCOME, EscalationState, Kind, VoteVerdict


@dataclass(frozen=True, slots=True)
class Group:
    """``needed`` people of one group (a queue, perhaps narrowed to a role) must approve; ``key`` names it.

    They are asked once the groups of every lower ``stage`` are complete.
    """

    key: str
    needed: int = 1
    distinct_units: bool = False
    stage: int = 1


@dataclass(frozen=True, slots=True)
class Ballot:
    """One person's live vote. ``serves``: the item's groups this person belongs to now; none: the vote counts nowhere.

    ``units``: the units in which they hold the role, for groups whose people must come from different ones.
    ``acts_for``: the people who handed the item to them; all of them together are one vote.
    """

    voter: str
    verdict: VoteVerdict
    serves: frozenset[str]
    units: frozenset[str] = frozenset({""})
    acts_for: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Tally:
    """The count: ``outcome`` None while more votes are needed, who counts in which group, how many are missing."""

    outcome: EscalationState | None
    counted: Mapping[str, tuple[str, ...]]
    missing: Mapping[str, int]


def tally(groups: Sequence[Group], ballots: Iterable[Ballot], *, deny_needed: int = 1) -> Tally:
    """Count. Every group must be met, a person counts in one group only, a rejection never counts for approval."""
    said = _said(ballots)
    counted = seated(groups, _approving(said))
    missing = {group.key: group.needed - len(counted[group.key]) for group in groups}
    heard = [ballot.verdict for ballot in said]
    return Tally(_outcome(heard, missing, deny_needed), counted, missing)


def _said(ballots: Iterable[Ballot]) -> list[Ballot]:
    """The ballots that count somewhere, the first of each person and of everybody whom it stands for."""
    said: dict[str, Ballot] = {}
    heard_of: set[str] = set()
    for ballot in ballots:
        people = {ballot.voter, *ballot.acts_for}
        if ballot.serves and not people & heard_of:
            said[ballot.voter] = ballot
            heard_of |= people
    return list(said.values())


def _approving(said: Iterable[Ballot]) -> list[Ballot]:
    return [ballot for ballot in said if ballot.verdict == VoteVerdict.APPROVE]


def stage_of(groups: Sequence[Group], ballots: Iterable[Ballot]) -> int:
    """Whose turn it is: the lowest stage that the approvals do not complete; the last one where they complete all."""
    people, stages = _approving(_said(ballots)), sorted({group.stage for group in groups})
    for stage in stages:
        if not can_reach([group for group in groups if group.stage <= stage], people):
            return stage
    return stages[-1]


def wanting(groups: Sequence[Group], ballots: Iterable[Ballot]) -> frozenset[str]:
    """The groups in which one more person, who is in no other, would bring the approval further.

    Not the same as the groups with an empty seat: who fills one of two seats may be moved to the other.
    """
    people = _approving(_said(ballots))
    filled = _filled(groups, people)
    return frozenset(
        group.key
        for group in groups
        if _filled(groups, [*people, replace(_ANYBODY, serves=frozenset({group.key}))]) > filled
    )


_ANYBODY = Ballot("", VoteVerdict.APPROVE, frozenset(), units=frozenset({"any other"}))


def _filled(groups: Sequence[Group], people: Sequence[Ballot]) -> int:
    return sum(map(len, seated(groups, people).values()))


def _outcome(heard: list[VoteVerdict], missing: Mapping[str, int], deny_needed: int) -> EscalationState | None:
    for verdict in (VoteVerdict.REJECT, VoteVerdict.REQUEST_CHANGES):
        if heard.count(verdict) >= deny_needed:
            return OUTCOME[verdict]
    if VoteVerdict.ANSWER in heard:
        return EscalationState.ANSWERED
    met = bool(missing) and not any(missing.values())
    return EscalationState.APPROVED if met else None


def can_reach(groups: Sequence[Group], people: Sequence[Ballot]) -> bool:
    """Whether these people, if all approved, would suffice for all groups at once."""
    counted = seated(groups, people)
    return all(len(counted[group.key]) == group.needed for group in groups)


def seated(groups: Sequence[Group], people: Sequence[Ballot]) -> dict[str, tuple[str, ...]]:
    """As many people as possible, each in one group at most, ``needed`` per group at most: a maximum flow.

    start -> person -> group -> end; where units must differ, person -> (group, unit) -> group, one person per unit.
    """
    room: dict[Node, dict[Node, int]] = {}
    for group in groups:
        seat_of_all: Node = ("group", group.key, "")
        room.setdefault(seat_of_all, {})[END] = group.needed
        for person in people:
            if group.key not in person.serves:
                continue
            me: Node = ("person", person.voter, "")
            room.setdefault(START, {})[me] = 1
            for unit in person.units if group.distinct_units else ():
                seat: Node = ("seat", group.key, unit)
                room.setdefault(me, {})[seat] = 1
                room.setdefault(seat, {})[seat_of_all] = 1
            if not group.distinct_units:
                room.setdefault(me, {})[seat_of_all] = 1
    flow = _flow(room)
    placed: dict[str, list[str]] = {group.key: [] for group in groups}
    for (kind, name, _), to in flow:
        if kind == "person":
            placed[to[1]].append(name)
    return {key: tuple(sorted(names)) for key, names in placed.items()}


type Node = tuple[str, str, str]
"""(``person`` | ``seat`` | ``group``, name or key, unit)."""
START: Node = ("start", "", "")
END: Node = ("end", "", "")


def _flow(room: dict[Node, dict[Node, int]]) -> list[tuple[Node, Node]]:
    """The edges that a maximum flow from START to END uses, by shortest augmenting paths (Edmonds-Karp)."""
    left: dict[Node, dict[Node, int]] = {}
    for at in sorted(room):
        for to in sorted(room[at]):
            left.setdefault(at, {})[to] = room[at][to]
            left.setdefault(to, {}).setdefault(at, 0)
    while path := _path(left):
        for at, to in path:
            left[at][to] -= 1
            left[to][at] += 1
    return [(at, to) for at, edges in room.items() for to, size in edges.items() if left[at][to] < size]


def _path(left: Mapping[Node, Mapping[Node, int]]) -> list[tuple[Node, Node]]:
    came: dict[Node, Node] = {START: START}
    waiting = deque([START])
    while waiting and END not in came:
        at = waiting.popleft()
        for to, size in left.get(at, {}).items():
            if size > 0 and to not in came:
                came[to] = at
                waiting.append(to)
    if END not in came:
        return []
    steps, at = [], END
    while at != START:
        steps.append((came[at], at))
        at = came[at]
    return steps


def quorum_floor(kind: Kind, risk: Risk, groups: Sequence[Group]) -> tuple[Group, ...]:
    """The groups, the first one raised to two people where the tier is critical and one person would do."""
    total = sum(group.needed for group in groups)
    if kind not in (Kind.ACTION, Kind.APPROVAL) or risk != Risk.CRITICAL or total >= CRITICAL_QUORUM or not groups:
        return tuple(groups)
    first, *rest = groups
    return (replace(first, needed=CRITICAL_QUORUM), *rest)
