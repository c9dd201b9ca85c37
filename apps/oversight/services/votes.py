"""The vote: one person's say, checked at the vote and at the count."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypedDict, Unpack
from uuid import UUID

from django.db import transaction
from django.utils.translation import gettext as _

from apps.access.services import keep_people
from apps.audit.services import record, recorded_together
from apps.core.errors import ConflictError, InvalidError, NotAllowedError, NotFoundError
from apps.core.gate import ask_anew, recall, require_carried, require_human
from apps.core.models import ClockTimestamp, User
from apps.core.services import system_user
from apps.halts.selectors import take_fence
from apps.oversight.models import Escalation, Vote
from apps.oversight.rules import (
    MAX_HOLD_S,
    MAX_REASON,
    OUTCOME,
    REASON_NEEDED,
    Ballot,
    EscalationState,
    Kind,
    Tally,
    VoteVerdict,
    answer_errors,
    is_restated,
    is_retry,
    tally,
)
from apps.oversight.selectors import (
    NO_CHANGES,
    Standing,
    opened_for,
    operation_named,
    own_hold_for,
    read_parts,
    require_visible,
    scopes_of_item,
    standing_for,
)
from apps.oversight.selectors.eligibility import DECIDE
from apps.oversight.services.decisions import (
    Decision,
    decide,
    lock_item,
    lock_items,
    refuse_changed,
    refuse_ended,
    refuse_late,
    require_item_running,
)
from apps.oversight.services.drills import answer_drill
from apps.oversight.services.edits import Edit, apply_edit, weigh_edit
from apps.oversight.services.handing import take_back
from apps.oversight.services.ladders import escalate_unreachable
from apps.oversight.services.seen import keep_view, read_looks
from apps.oversight.services.stages import follow_stages

REASON_CODE_MAX = 40
UNSAID: Any = object()
"""No answer was given; null would be one."""


class Words(TypedDict, total=False):
    """What a decision may say besides its verdict."""

    reason: str
    reason_code: str
    retry: str
    parameters: dict[str, Any] | None
    answer: Any
    view_hash: str
    restated: Any
    stepped_up: bool
    hold_s: int | None
    together: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """The same, complete."""

    verdict: VoteVerdict
    reason: str = ""
    reason_code: str = ""
    retry: str = ""
    parameters: dict[str, Any] | None = None
    answer: Any = UNSAID
    view_hash: str = ""
    restated: Any = None
    stepped_up: bool = False
    hold_s: int | None = None
    together: int = 1


@transaction.atomic
def cast_vote(actor: User, *, escalation_id: UUID, verdict: str, version: int, **words: Unpack[Words]) -> Escalation:
    """Take one person's say; the item as it is then: decided, held, or pending with the vote counted.

    ``version``: what the person saw. ``parameters``: edit and approve. ``stepped_up``: they signed in again just now.
    ``hold_s`` None: as long as they always hold. ``together``: so many items they decide with this act.
    Raises NotFoundError, NotAllowedError (``not_eligible`` with ``why``), HaltedError, InvalidError, or ConflictError:
    ``already_decided`` with ``winner``, ``already_voted``, ``expired``, ``superseded``, ``cancelled``,
    ``invalidated``, ``stale`` with ``version``. Nothing is changed by what is refused.
    """
    require_human(actor)
    items = lock_for_votes(actor, [escalation_id])
    if not items:
        raise NotFoundError
    return _vote_on(actor, items[0], verdict, version, words)


def lock_for_votes(actor: User, ids: Sequence[UUID]) -> Sequence[Escalation]:
    """Those of them that ``actor`` may open, locked, with what a vote reads of them; as many queries as for one.

    Nobody takes a role from ``actor`` or from those who have voted meanwhile: who lost one before does not count.
    """
    opened = opened_for(actor, ids)
    take_fence()
    items = lock_items([pk for pk in ids if pk in opened])
    read_parts(items)
    read_looks(actor, items)
    keep_people({actor.pk, *(vote.voter_id for item in items for vote in item.live_votes())})
    ask_anew(actor)
    return items


@transaction.atomic
def vote_on(actor: User, item: Escalation, *, verdict: str, version: int, **words: Unpack[Words]) -> Escalation:
    """``cast_vote`` on one of several from ``lock_for_votes``; what is refused leaves nothing in their transaction."""
    require_human(actor)
    return _vote_on(actor, item, verdict, version, words)


@recorded_together()
def _vote_on(actor: User, item: Escalation, verdict: str, version: int, words: Words) -> Escalation:
    refuse_ended(actor, item)
    _require_running(actor, item)
    refuse_late(item)
    refuse_changed(item, lambda slug: recall(actor, f"operation.{slug}", lambda: operation_named(slug)))
    standing = standing_for(actor)
    _require_eligible(standing, item)
    earlier = item.live_votes()
    vars(item).pop("prefetched_votes")  # whoever counts from here on counts this vote too
    _refuse_second(actor, standing.acts_for(item), earlier)
    said = _said(item, verdict, words)
    _refuse_stale(item, version, said)
    edit = weigh_edit(actor, item, said.parameters) if said.parameters is not None else None
    _require_friction(item, said, edit)
    if item.is_drill:  # nothing follows: no vote, no count, no hold, no release
        return answer_drill(actor, item, verdict=said.verdict, edited=edit.parameters if edit else None)
    if said.view_hash and not (edit and edit.is_stricter):
        keep_view(item)  # with the vote that is cast on it; a stricter edit casts none
    if edit is not None:
        apply_edit(actor, item, edit)
        if edit.is_stricter:
            return item
        earlier = []
    take_back(actor, item)
    vote = _write_vote(actor, item, said, standing.acts_for(item))
    _count(actor, standing, item, said, [*earlier, vote])
    return item


def _require_running(actor: User, item: Escalation) -> None:
    """Asked once for all items that a transaction decides for ``actor``: under its fence no halt begins."""
    recall(actor, f"halts.{sorted(scopes_of_item(item).items(), key=str)}", lambda: require_item_running(item))


def _require_eligible(standing: Standing, item: Escalation) -> None:
    if why := standing.why_not(item):
        raise NotAllowedError(_("You may not decide this item."), code="not_eligible", why=why)


def _refuse_second(actor: User, acts_for: frozenset[str], earlier: list[Vote]) -> None:
    """One vote each: their own, the one that a delegate cast for them, or one of those for whom they act."""
    people = {actor.username, *acts_for}
    if any(people & {vote.voter.username, *vote.acts_for} for vote in earlier):
        raise ConflictError(_("You have voted; the item waits for others."), code="already_voted")


def _said(item: Escalation, verdict: str, words: Words) -> Said:
    """The words checked against what can be said to this kind of item. Raises InvalidError."""
    errors: dict[str, list[str]] = {}
    allowed = item.sayable()
    if verdict == VoteVerdict.REQUEST_CHANGES and verdict not in allowed:
        raise InvalidError(errors={"verdict": [str(NO_CHANGES[Kind(item.kind)])]})
    if verdict not in allowed:
        raise InvalidError(errors={"verdict": [_("One of: %s.") % ", ".join(allowed)]})
    said = Said(verdict=VoteVerdict(verdict), **words)
    errors |= _reason_errors(said)
    if said.parameters is not None and said.verdict != VoteVerdict.APPROVE:
        errors["parameters"] = [_("Edited parameters come with an approval.")]
    if said.hold_s is not None and not 0 <= said.hold_s <= MAX_HOLD_S:
        errors["hold_s"] = [_("From 0 to %d seconds.") % MAX_HOLD_S]
    errors |= _answer_errors(item, said)
    if errors:
        raise InvalidError(errors=errors)
    return said


def _reason_errors(said: Said) -> dict[str, list[str]]:
    errors: dict[str, list[str]] = {}
    if said.verdict in REASON_NEEDED and not (said.reason.strip() or said.reason_code):
        errors["reason"] = [_("Say why.")]
    if len(said.reason) > MAX_REASON:
        errors["reason"] = [_("At most %d characters.") % MAX_REASON]
    if len(said.reason_code) > REASON_CODE_MAX:
        errors["reason_code"] = [_("At most %d characters.") % REASON_CODE_MAX]
    if said.retry and (said.verdict != VoteVerdict.REJECT or not is_retry(said.retry)):
        errors["retry"] = [_("With a rejection: never, after_change or after:<time with offset>.")]
    return errors


def _answer_errors(item: Escalation, said: Said) -> dict[str, list[str]]:
    if said.verdict != VoteVerdict.ANSWER:
        return {} if said.answer is UNSAID or said.answer is None else {"answer": [_("Only a question takes one.")]}
    if said.answer is UNSAID:
        return {"answer": [_("Give an answer.")]}
    try:
        return answer_errors(item.schema or {}, said.answer)
    except RecursionError:
        return {"answer": [_("This answer cannot be checked.")]}


def _refuse_stale(item: Escalation, version: int, said: Said) -> None:
    """What the person saw must be what is decided: the version, and the page's hash where one is sent."""
    if version != item.version or (said.view_hash and said.view_hash != item.view_hash()):
        raise ConflictError(_("It has changed since you read it."), code="stale", version=item.version)


def _require_friction(item: Escalation, said: Said, edit: Edit | None) -> None:
    """What the tier asks for: a value said again, a fresh sign-in. The same table as ``allowed`` on the page."""
    asks = item.sayable()[said.verdict]
    if asks["step_up"] and not said.stepped_up:
        raise NotAllowedError(_("Confirm that it is you first."), code="not_eligible", why="step_up")
    if asks["restate"]:
        expected, exponent = item.restated(edit.parameters if edit else None)
        if not is_restated(expected, said.restated, exponent=exponent):
            raise InvalidError(errors={"restated": [_("This is not the value of %s.") % asks["restate"]]})


def _write_vote(actor: User, item: Escalation, said: Said, acts_for: frozenset[str]) -> Vote:
    asks = item.sayable()[said.verdict]
    vote = Vote.objects.create(
        escalation=item,
        voter=actor,
        verdict=said.verdict,
        version=item.version,
        digest=item.digest,
        view_hash=said.view_hash,
        reason=said.reason.strip(),
        reason_code=said.reason_code,
        restated=bool(asks["restate"]),
        acts_for=sorted(acts_for),
        stage=max(group.stage for group in item.asked_groups()),
        looked_ms=vars(item)["prefetched_looked_ms"],
        together=said.together,
    )
    record(
        actor,
        item,
        "vote.cast",
        payload={
            "vote": vote.pk,
            "verdict": said.verdict,
            "version": item.version,
            "digest": item.digest,
            "view_hash": said.view_hash,
            "reason": vote.reason,
            "reason_code": said.reason_code,
            "restated": vote.restated,
            "stepped_up": said.stepped_up,
            "acts_for": vote.acts_for,
        },
    )
    return vote


def _count(actor: User, standing: Standing, item: Escalation, said: Said, votes: list[Vote]) -> None:
    """Count the live votes; everybody's eligibility is read again, and a vote that lost it is void."""
    ballots: list[Ballot] = []
    for vote in votes:
        voter = standing if vote.voter_id == actor.pk else standing_for(vote.voter)
        if why := voter.why_void(item, vote):
            _void(actor, item, vote, why)
        else:
            ballots.append(voter.ballot_of(item, vote))
    result = tally([group.as_rule() for group in item.group_list()], ballots, deny_needed=item.deny_needed)
    if result.outcome is None:
        follow_stages(actor, item)
        if said.verdict != VoteVerdict.APPROVE:  # one person fewer who could
            escalate_unreachable(system_user("plane"), escalation_id=item.pk)
            item.refresh_from_db(fields=["version", "due_at"])
        return
    own = recall(actor, "oversight.hold", lambda: own_hold_for(actor)) if said.hold_s is None else said.hold_s
    decide(
        actor,
        item,
        Decision(
            outcome=result.outcome,
            names=_names(result, ballots),
            reason=said.reason.strip(),
            reason_code=said.reason_code,
            retry=said.retry,
            answer=None if said.answer is UNSAID else said.answer,
            hold_s=max(own, item.hold_s if result.outcome == EscalationState.APPROVED else 0),
        ),
    )


def _names(result: Tally, ballots: list[Ballot]) -> list[str]:
    """The people whose votes made the outcome, by name."""
    if result.outcome == EscalationState.APPROVED:
        return sorted({name for names in result.counted.values() for name in names})
    wanted = next(verdict for verdict, state in OUTCOME.items() if state == result.outcome)
    return sorted(ballot.voter for ballot in ballots if ballot.verdict == wanted)


def _void(actor: User, item: Escalation, vote: Vote, why: str) -> None:
    Vote.objects.filter(pk=vote.pk).update(voided_at=ClockTimestamp(), void_why=why[:20])
    record(actor, item, "vote.voided", payload={"voters": [vote.voter.username], "why": why})


@transaction.atomic
def withdraw_vote(actor: User, *, escalation_id: UUID) -> Escalation:
    """Take one's own vote back while the item is pending. Raises ConflictError with the item's own code otherwise."""
    require_human(actor)
    require_carried(actor, DECIDE)
    require_visible(actor, escalation_id)
    item = lock_item(escalation_id)
    refuse_ended(actor, item)
    refuse_late(item)
    vote = item.votes.filter(voter=actor, voided_at=None).first()
    if vote is None:
        raise ConflictError(_("You have not voted."), state=item.state)
    Vote.objects.filter(pk=vote.pk).update(voided_at=ClockTimestamp(), void_why="withdrawn")
    record(actor, item, "vote.withdrawn", payload={"vote": vote.pk, "verdict": vote.verdict})
    follow_stages(actor, item)
    return item
