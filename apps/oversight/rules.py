"""The life of an escalation, who may decide it, how votes are counted, what friction applies, what changed."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from enum import StrEnum
from typing import Any

from apps.core.rules import Moves, Risk, canonical_json, digest_of

CLAIM_S = 300
GRANT_TTL_S = 3600
REMEMBER_REJECTION_S = 86_400
COUNT_CAP = 10_000
CRITICAL_QUORUM = 2
MAX_REASON = 2_000
MAX_COMMENT = 4_000


class Kind(StrEnum):
    """What waits."""

    ACTION = "action"
    APPROVAL = "approval"
    FORM = "form"
    QUESTION = "question"
    EXCEPTION = "exception"
    UNKNOWN = "unknown"
    REVIEW = "review"


class EscalationState(StrEnum):
    """Where an escalation is. From everything but ``pending`` and ``held`` there is no way on."""

    PENDING = "pending"
    HELD = "held"
    APPROVED = "approved"
    REJECTED = "rejected"
    CHANGES_REQUESTED = "changes_requested"
    ANSWERED = "answered"
    EXPIRED = "expired"
    CANCELLED = "cancelled"
    SUPERSEDED = "superseded"
    INVALIDATED = "invalidated"


class VoteVerdict(StrEnum):
    """What one person says."""

    APPROVE = "approve"
    REJECT = "reject"
    REQUEST_CHANGES = "request_changes"
    ANSWER = "answer"


class GrantState(StrEnum):
    """Where the single-use permission of an approval is."""

    LIVE = "live"
    CONSUMED = "consumed"
    EXPIRED = "expired"
    REVOKED = "revoked"


DECIDED = frozenset(
    {
        EscalationState.APPROVED,
        EscalationState.REJECTED,
        EscalationState.CHANGES_REQUESTED,
        EscalationState.ANSWERED,
    }
)
"""Ends that only a person brings about."""

ENDED_BY_NOBODY = frozenset(
    {
        EscalationState.EXPIRED,
        EscalationState.CANCELLED,
        EscalationState.SUPERSEDED,
        EscalationState.INVALIDATED,
    }
)
"""Ends that are nobody's decision: ``decided_by`` stays empty."""

FINAL = DECIDED | ENDED_BY_NOBODY

ESCALATION_MOVES: Moves = {
    EscalationState.PENDING: frozenset({EscalationState.HELD}) | FINAL,
    EscalationState.HELD: frozenset({EscalationState.PENDING}) | FINAL,
    **{state: frozenset() for state in FINAL},
}

GRANT_MOVES: Moves = {
    GrantState.LIVE: frozenset({GrantState.CONSUMED, GrantState.EXPIRED, GrantState.REVOKED}),
    GrantState.CONSUMED: frozenset(),
    GrantState.EXPIRED: frozenset(),
    GrantState.REVOKED: frozenset(),
}

OUTCOME: Mapping[VoteVerdict, EscalationState] = {
    VoteVerdict.APPROVE: EscalationState.APPROVED,
    VoteVerdict.REJECT: EscalationState.REJECTED,
    VoteVerdict.REQUEST_CHANGES: EscalationState.CHANGES_REQUESTED,
    VoteVerdict.ANSWER: EscalationState.ANSWERED,
}
"""Where an item goes when a verdict has won."""

VERDICTS: Mapping[Kind, tuple[VoteVerdict, ...]] = {
    Kind.ACTION: (VoteVerdict.APPROVE, VoteVerdict.REJECT, VoteVerdict.REQUEST_CHANGES),
    Kind.APPROVAL: (VoteVerdict.APPROVE, VoteVerdict.REJECT),
    Kind.FORM: (VoteVerdict.ANSWER,),
    Kind.QUESTION: (VoteVerdict.ANSWER,),
    Kind.EXCEPTION: (VoteVerdict.ANSWER,),
    Kind.UNKNOWN: (VoteVerdict.ANSWER,),
    Kind.REVIEW: (VoteVerdict.ANSWER,),
}
"""What people can say to each kind."""

REASON_NEEDED = frozenset({VoteVerdict.REJECT, VoteVerdict.REQUEST_CHANGES})


# --- counting votes -------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Group:
    """``needed`` people of one queue must approve."""

    queue: str
    needed: int = 1


@dataclass(frozen=True, slots=True)
class Ballot:
    """One person's live vote, with the item's queues that this person serves now (none: the vote counts nowhere)."""

    voter: str
    verdict: VoteVerdict
    queues: frozenset[str]


@dataclass(frozen=True, slots=True)
class Tally:
    """The count: ``outcome`` None while more votes are needed, who counts in which queue, how many are missing."""

    outcome: EscalationState | None
    counted: Mapping[str, tuple[str, ...]]
    missing: Mapping[str, int]


def tally(groups: Sequence[Group], ballots: Iterable[Ballot], *, deny_needed: int = 1) -> Tally:
    """Count. Every group must be met, a person counts in one group only, a rejection never counts for approval."""
    said: dict[str, Ballot] = {}
    for ballot in ballots:
        if ballot.queues:
            said.setdefault(ballot.voter, ballot)
    counted = _assign(groups, {b.voter: b.queues for b in said.values() if b.verdict == VoteVerdict.APPROVE})
    missing = {group.queue: group.needed - len(counted[group.queue]) for group in groups}
    heard = [ballot.verdict for ballot in said.values()]
    return Tally(_outcome(heard, missing, deny_needed), counted, missing)


def _outcome(heard: list[VoteVerdict], missing: Mapping[str, int], deny_needed: int) -> EscalationState | None:
    for verdict in (VoteVerdict.REJECT, VoteVerdict.REQUEST_CHANGES):
        if heard.count(verdict) >= deny_needed:
            return OUTCOME[verdict]
    if VoteVerdict.ANSWER in heard:
        return EscalationState.ANSWERED
    met = bool(missing) and not any(missing.values())
    return EscalationState.APPROVED if met else None


def can_reach(groups: Sequence[Group], people: Mapping[str, frozenset[str]]) -> bool:
    """Whether these people (name to queues served) suffice for all groups at once, each counting in one only."""
    counted = _assign(groups, people)
    return all(len(counted[group.queue]) == group.needed for group in groups)


def _assign(groups: Sequence[Group], people: Mapping[str, frozenset[str]]) -> dict[str, tuple[str, ...]]:
    """Place as many people as possible, at most ``needed`` per queue: a bipartite matching by augmenting paths."""
    seats = [(group.queue, seat) for group in groups for seat in range(group.needed)]
    taken: dict[tuple[str, int], str] = {}

    def place(person: str, tried: set[tuple[str, int]]) -> bool:
        for seat in seats:
            if seat[0] not in people[person] or seat in tried:
                continue
            tried.add(seat)
            if seat not in taken or place(taken[seat], tried):
                taken[seat] = person
                return True
        return False

    for person in sorted(people):
        place(person, set())
    return {
        group.queue: tuple(sorted(person for (queue, _), person in taken.items() if queue == group.queue))
        for group in groups
    }


# --- who may decide -------------------------------------------------------------------------------------------------

EXCLUDE_WORDS = ("requester", "agent_owner", "run_starter", "policy_author")


@dataclass(frozen=True, slots=True)
class Person:
    """What is known of someone who wants to decide: read at the vote, and again at the count."""

    username: str
    is_human: bool
    is_active: bool
    has_permission: bool
    queues: frozenset[str]


@dataclass(frozen=True, slots=True)
class Separation:
    """Who may not decide an item: ``exclude`` as the rule or step says it, and who the four words mean here."""

    exclude: frozenset[str] = frozenset()
    people: Mapping[str, frozenset[str]] = field(default_factory=dict)
    editors: frozenset[str] = frozenset()

    def bars(self, username: str) -> str | None:
        """The reason why ``username`` is excluded: a word, ``excluded`` for a name, ``editor``; None if not."""
        if username in self.editors:
            return "editor"
        for word in EXCLUDE_WORDS:
            if word in self.exclude and username in self.people.get(word, frozenset()):
                return word
        named = self.exclude - set(EXCLUDE_WORDS)
        return "excluded" if username in named else None


def why_not_eligible(person: Person, separation: Separation) -> str | None:
    """Why this person may not decide the item, as a stable word; None if they may."""
    if not person.is_human:
        return "not_human"
    if not person.is_active:
        return "inactive"
    if not person.has_permission:
        return "no_permission"
    if not person.queues:
        return "not_in_queue"
    return separation.bars(person.username)


# --- friction -------------------------------------------------------------------------------------------------------

GRAVE = frozenset({Risk.HIGH, Risk.CRITICAL})


def allowed_verdicts(
    kind: Kind, risk: Risk, *, restate: str | None, step_up: bool = False
) -> dict[str, dict[str, Any]]:
    """What may be said and what it takes: ``{approve: {restate: field | null, step_up: bool}, ...}``.

    ``restate`` is the field the plane chose; only grave tiers ask for it. ``step_up`` is a rule's own obligation.
    """
    found: dict[str, dict[str, Any]] = {}
    for verdict in VERDICTS[kind]:
        match verdict:
            case VoteVerdict.APPROVE:
                found[verdict] = {
                    "restate": restate if risk in GRAVE else None,
                    "step_up": step_up or risk == Risk.CRITICAL,
                    "edit": kind == Kind.ACTION,
                }
            case VoteVerdict.ANSWER:
                found[verdict] = {"restate": None, "step_up": step_up or risk == Risk.CRITICAL}
            case _:
                found[verdict] = {"restate": None, "step_up": False, "reason": True}
    return found


def quorum_floor(kind: Kind, risk: Risk, groups: Sequence[Group]) -> tuple[Group, ...]:
    """The groups, the first one raised to two people where the tier is critical and one person would do."""
    total = sum(group.needed for group in groups)
    if kind not in (Kind.ACTION, Kind.APPROVAL) or risk != Risk.CRITICAL or total >= CRITICAL_QUORUM or not groups:
        return tuple(groups)
    first, *rest = groups
    return (Group(first.queue, CRITICAL_QUORUM), *rest)


def restate_field(values: Mapping[str, Any], *, preferred: Sequence[str] = ()) -> str | None:
    """The path whose value has to be retyped: the first preferred one that holds a value, else the first scalar."""
    for path in (*preferred, *sorted(values)):
        found = value_at(values, path)
        if isinstance(found, str | int | float | Decimal) and not isinstance(found, bool) and str(found):
            return path
    return None


def value_at(values: Any, path: str) -> Any:
    """What stands at a dotted path; None if nothing does."""
    for step in path.split("."):
        if isinstance(values, Mapping):
            values = values.get(step)
        elif isinstance(values, list) and step.isdigit() and int(step) < len(values):
            values = values[int(step)]
        else:
            return None
    return values


def is_restated(expected: Any, given: Any, *, exponent: int | None = None) -> bool:
    """Whether ``given`` says ``expected``. Money (``exponent`` decimals) may be said in minor or in whole units."""
    if given is None or isinstance(given, bool | dict | list):
        return False
    said = str(given).strip()
    if isinstance(expected, str):
        return said.casefold() == expected.strip().casefold()
    number = _number(said)
    if number is None:
        return False
    wanted = Decimal(str(expected))
    return number == wanted or (exponent is not None and number.scaleb(exponent) == wanted)


def _number(text: str) -> Decimal | None:
    try:
        found = Decimal(text.replace(",", "").replace("_", "").replace(" ", ""))
    except InvalidOperation:
        return None
    return found if found.is_finite() else None


# --- what changed ---------------------------------------------------------------------------------------------------


def same_json(left: Any, right: Any) -> bool:
    """Equal as canonical JSON says: key order is nothing, 1.0 is 1, True is not 1."""
    return canonical_json(left) == canonical_json(right)


def patch_between(before: Any, after: Any, path: str = "") -> list[dict[str, Any]]:
    """The JSON Patch (RFC 6902) that makes ``after`` of ``before``; empty when they are the same. Types are kept."""
    if same_json(before, after):
        return []
    if isinstance(before, dict) and isinstance(after, dict):
        operations: list[dict[str, Any]] = []
        for key in sorted({*before, *after}):
            here = f"{path}/{_escaped(key)}"
            if key not in after:
                operations.append({"op": "remove", "path": here})
            elif key not in before:
                operations.append({"op": "add", "path": here, "value": after[key]})
            else:
                operations.extend(patch_between(before[key], after[key], here))
        return operations
    if isinstance(before, list) and isinstance(after, list) and len(before) == len(after):
        pairs = enumerate(zip(before, after, strict=True))
        return [step for index, (left, right) in pairs for step in patch_between(left, right, f"{path}/{index}")]
    return [{"op": "replace", "path": path, "value": after}]


def _escaped(key: str) -> str:
    return key.replace("~", "~0").replace("/", "~1")


def action_digest(operation: str, parameters: Mapping[str, Any]) -> str:
    """What an approval is bound to: the operation and its parameters in canonical form."""
    return digest_of({"operation": operation, "parameters": parameters})


def view_hash(shown: Mapping[str, Any]) -> str:
    """The digest of what the page showed; a decision carries it and the record keeps it."""
    return digest_of(shown)


# --- clocks ---------------------------------------------------------------------------------------------------------


def clocks(*, sla_s: Sequence[int], expires_s: Sequence[int], expires_in_s: int | None = None) -> tuple[int, int]:
    """Seconds to (due, expiry): the strictest of the queues; a rule's ``expires_in`` wins if shorter."""
    expiry = min([*expires_s, *([expires_in_s] if expires_in_s else [])])
    return min([*sla_s, expiry]), expiry
