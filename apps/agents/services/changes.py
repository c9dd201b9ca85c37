"""Changing an agent: by one person where that is enough, else one asks and another one agrees."""

from datetime import timedelta
from typing import Any

from django.conf import settings
from django.db import transaction
from django.utils.translation import gettext as _

from apps.access.models import BusinessUnit
from apps.access.rules.moves import Left, is_more
from apps.access.services import hold_tree, require_manager, require_mover, require_two_by_name
from apps.agents.models import Agent, AgentVersion, ChangeRequest
from apps.agents.rules import CHANGE_WITHIN_S, AgentState, ChangeEnd, ChangeKind, Handover, needs_second_person
from apps.agents.selectors import gate_for, is_gated
from apps.agents.services.agents import MANAGE, change_risk, change_state
from apps.agents.services.credentials import VERSION_DIGITS
from apps.agents.services.moving import change_unit, left_of, unit_named
from apps.agents.services.versions import promote_version
from apps.audit.services import record
from apps.core.errors import ConflictError, InvalidError, NotAllowedError
from apps.core.gate import holds, require_human
from apps.core.models import ClockTimestamp, User
from apps.core.rules import Risk
from apps.core.services import system_user

MAX_REASON = 500


@transaction.atomic
def ask_change(
    actor: User, *, agent: Agent, kind: str, to: str, reason: str = "", handover: str = "", override: bool = False
) -> ChangeRequest | None:
    """Change an agent's state, risk, unit or current version: at once (None), or ask for it where it takes two people.

    Somebody else then has to agree within seven days. For people who manage the agent. ``override``: make it active
    although the gate says no, which always takes two. ``handover``: of a version, what becomes of what the one before
    holds. Asking for what it is already changes nothing. Raises NotAllowedError, InvalidError without a reason,
    ConflictError where it leads nowhere or somebody asked already, ``gate_not_passed`` (``criteria``).
    """
    require_human(actor)
    require_manager(actor, agent.unit, MANAGE)
    if kind == ChangeKind.UNIT:
        hold_tree()  # before the agent's row: documents that hold the tree lock agents afterwards
    agent = _locked(agent)
    before = agent.basis_of(kind)
    if before == to:
        return None
    _require_possible(agent, kind, to, handover)
    left = _left(actor, agent, kind, to)
    failed = _failed(actor, agent, kind, to)
    if failed and not override:
        raise ConflictError(
            _("It does not pass the gate to active. Who wants it all the same says so, and somebody else agrees."),
            code="gate_not_passed",
            criteria=failed,
        )
    about = {"risk": agent.risk, "state": agent.state, "before": _weighed(agent, kind, to)}
    takes_two = needs_second_person(kind, to=to, **about)
    if not failed and not left.is_anything and not takes_two:
        _make(actor, agent, kind, to, handover, reason=reason)
        return None
    if waiting := _waiting(agent, kind, before):
        raise ConflictError(_("%s asked for a change already; it waits for somebody else.") % waiting.asked_by)
    change = ChangeRequest.objects.create(
        agent=agent,
        kind=kind,
        to=to,
        handover=handover,
        basis=before,
        reason=_reason(reason),
        overridden=failed,
        leaves=left.as_json(),
        asked_by=actor,
        expires_at=ClockTimestamp() + timedelta(seconds=CHANGE_WITHIN_S),
    )
    change.refresh_from_db()
    record(actor, agent, "agent.change_requested", payload=_told(change, reason=change.reason))
    return change


@transaction.atomic
def apply_state(actor: User, *, agent: Agent, to: str, reason: str = "", agreed_by: User | None = None) -> Agent:
    """Move an agent along its life as a document says: at once, which counts as seen by two people.

    In production they are ``actor`` and ``agreed_by``: where it takes two people, and where it does not pass the gate.
    """
    require_manager(actor, agent.unit, MANAGE)
    agent = _locked(agent)
    if settings.IN_PRODUCTION and agent.state != to:
        takes_two = needs_second_person(ChangeKind.STATE, risk=agent.risk, state=agent.state, before=agent.state, to=to)
        if takes_two or _failed(actor, agent, ChangeKind.STATE, to):
            require_two_by_name(actor, agent, second=agreed_by, rights=[(MANAGE, agent.unit)], at="state")
    return change_state(actor, agent=agent, to=to, reason=reason)


@transaction.atomic
def agree_to_change(actor: User, *, change: ChangeRequest) -> Agent:
    """Agree with what somebody else asked for: it is done. Who asked still has to be somebody who may.

    Raises NotAllowedError for who asked, ConflictError where it is over, or the agent is not what it was or does worse
    at the gate (``gate_not_passed``).
    """
    require_human(actor)
    require_manager(actor, change.agent.unit, MANAGE)
    if change.asked_by_id == actor.pk:
        raise NotAllowedError(_("You asked for it. Somebody else has to agree."))
    if change.kind == ChangeKind.UNIT:
        hold_tree()
    agent = _locked(change.agent)
    if change.kind == ChangeKind.UNIT:
        _require_movers(actor, change, agent)
    elif not holds(change.asked_by, MANAGE, agent):
        raise ConflictError(_("%s manages this agent no more. Ask for it anew.") % change.asked_by)
    if agent.basis_of(change.kind) != change.basis:
        raise ConflictError(_("The agent is not what it was when this was asked for. Ask for it anew."))
    if worse := sorted(set(_failed(actor, agent, change.kind, change.to)) - set(change.overridden)):
        raise ConflictError(
            _("It does not pass the gate as it did when this was asked for. Ask for it anew."),
            code="gate_not_passed",
            criteria=worse,
        )
    if is_more(_left(actor, agent, change.kind, change.to), change.leaves):
        raise ConflictError(_("It would leave more than when this was asked for. Ask for it anew."), code="stale")
    _end(change, actor, ChangeEnd.MADE)
    told: dict[str, Any] = {"overridden": change.overridden} if change.overridden else {}
    told |= {"reason": change.reason, "asked_by": change.asked_by.username}
    _make(actor, agent, change.kind, change.to, change.handover, **told)
    return agent


@transaction.atomic
def drop_change(actor: User, *, change: ChangeRequest, reason: str = "") -> ChangeRequest:
    """Withdraw what one asked for, or refuse what somebody else did, then with a reason. Nothing changes."""
    require_human(actor)
    require_manager(actor, change.agent.unit, MANAGE)
    is_own = change.asked_by_id == actor.pk
    said = reason.strip()[:MAX_REASON] if is_own else _reason(reason)
    _end(change, actor, ChangeEnd.WITHDRAWN if is_own else ChangeEnd.REFUSED)
    told = _told(change, reason=said, asked_by=change.asked_by.username)
    record(actor, change.agent, f"agent.change_{change.outcome}", payload=told)
    return change


def _failed(actor: User, agent: Agent, kind: str, to: str) -> list[str]:
    """The lines of the gate that this change does not pass; none where it passes no gate."""
    if kind != ChangeKind.STATE or to != AgentState.ACTIVE or not is_gated(agent):
        return []
    return [line.proof.value for line in gate_for(actor, agent) if not line.passed]


def _require_movers(actor: User, change: ChangeRequest, agent: Agent) -> None:
    """Who agrees with a move may lower enforcement in both units; who asked still manages agents in both."""
    to = BusinessUnit.objects.filter(slug=change.to).first()
    if to is None:
        raise ConflictError(_("There is no such unit any more."))
    require_mover(actor, MANAGE, agent.unit, to)
    if not all(holds(change.asked_by, MANAGE, place) for place in (agent, to)):
        raise ConflictError(_("%s does not manage agents in both units any more. Ask for it anew.") % change.asked_by)


def _left(actor: User, agent: Agent, kind: str, to: str) -> Left:
    """What a move leaves; nothing by other changes. Raises InvalidError and ConflictError where it cannot be made."""
    return left_of(actor, agent, unit_named(actor, to)) if kind == ChangeKind.UNIT else Left()


def _require_possible(agent: Agent, kind: str, to: str, handover: str) -> None:
    values: dict[ChangeKind, list[str]] = {ChangeKind.STATE: [*AgentState], ChangeKind.RISK: [*Risk]}
    allowed = values.get(ChangeKind(kind))
    if allowed is not None and to not in allowed:
        raise InvalidError(errors={"to": [_("One of: %s.") % ", ".join(allowed)]})
    if kind == ChangeKind.VERSION:
        version_of(agent, to)
        if agent.state == AgentState.RETIRED:
            raise ConflictError(_("A retired agent stays as it is."), state=agent.state)
        if handover not in list(Handover):
            raise InvalidError(errors={"handover": [_("One of: %s.") % ", ".join(Handover)]})
    if kind == ChangeKind.STATE and to not in agent.MOVES[agent.state]:
        told = {"before": agent.state, "to": to}
        raise ConflictError(_("It is %(before)s; that does not lead to %(to)s.") % told, state=agent.state)


def _weighed(agent: Agent, kind: str, to: str) -> str:
    """What says whether it takes two people: of a version the state that it is in, else what the agent is."""
    return str(version_of(agent, to).state) if kind == ChangeKind.VERSION else agent.basis_of(kind)


def version_of(agent: Agent, number: str) -> AgentVersion:
    """The agent's version of this number. Raises InvalidError."""
    is_number = number.isascii() and number.isdigit() and len(number) <= VERSION_DIGITS
    if is_number and (found := agent.versions.filter(number=int(number)).first()):
        return found
    raise InvalidError(errors={"to": [_("The agent has no such version.")]})


def _make(actor: User, agent: Agent, kind: str, to: str, handover: str, **told: Any) -> None:
    if kind == ChangeKind.STATE:
        change_state(actor, agent=agent, to=to, **told)
    elif kind == ChangeKind.RISK:
        change_risk(actor, agent=agent, to=to, **told)
    elif kind == ChangeKind.UNIT:
        change_unit(actor, agent=agent, to=unit_named(actor, to), **told)
    else:
        promote_version(actor, agent=agent, version=version_of(agent, to), handover=handover, **told)


def _locked(agent: Agent) -> Agent:
    return (
        Agent.objects.select_for_update(no_key=True, of=("self",))
        .select_related("unit", "owner", "version")
        .get(pk=agent.pk)
    )


def _reason(reason: str) -> str:
    reason = reason.strip()
    if not reason or len(reason) > MAX_REASON:
        raise InvalidError(errors={"reason": [_("Say why, in at most %d characters.") % MAX_REASON]})
    return reason


def _told(change: ChangeRequest, **more: Any) -> dict[str, Any]:
    said = {name: value for name in ("overridden", "leaves", "handover") if (value := getattr(change, name))}
    return {"kind": change.kind, "from": change.basis, "to": change.to, **said, **more}


def _waiting(agent: Agent, kind: str, basis: str) -> ChangeRequest | None:
    """What somebody asked for and somebody else can still agree with. What nobody can ends here, for another."""
    rows = ChangeRequest.objects.select_related("asked_by").filter(agent=agent, kind=kind, ended_at=None)
    found = rows.first()
    is_late = found is not None and not rows.filter(ChangeRequest.open()).exists()
    if found is None or (found.basis == basis and not is_late):
        return found
    outcome = ChangeEnd.EXPIRED if is_late else ChangeEnd.OVERTAKEN
    rows.filter(pk=found.pk).update(ended_at=ClockTimestamp(), outcome=outcome)
    told = _told(found, asked_by=found.asked_by.username)
    record(system_user("plane"), agent, f"agent.change_{outcome}", payload=told)
    return None


def _end(change: ChangeRequest, actor: User, outcome: ChangeEnd) -> None:
    ended = {"ended_at": ClockTimestamp(), "ended_by": actor, "outcome": outcome}
    if ChangeRequest.objects.filter(ChangeRequest.open(), pk=change.pk).update(**ended) != 1:
        raise ConflictError(_("It is over: somebody answered it, or it was too long ago."))
    change.refresh_from_db(fields=["ended_at", "ended_by", "outcome"])
