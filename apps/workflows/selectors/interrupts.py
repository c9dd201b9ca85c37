"""Interrupts: which an actor may see, and what has been said of their calls so far."""

from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.db.models import Exists, OuterRef
from django.utils.translation import gettext as _

from apps.agents.models import Action
from apps.agents.rules import ActionState
from apps.core.errors import NotFoundError
from apps.core.gate import visible
from apps.core.models import User
from apps.core.reasons import sentence_of
from apps.oversight.models import Escalation, Grant
from apps.oversight.rules import EscalationState, GrantState, Kind
from apps.policies.rules import Effect
from apps.policies.rules.quiet import quieted
from apps.workflows.models import Interrupt, InterruptCall
from apps.workflows.rules.interrupts import Answer, Verdict

WAITING = frozenset({ActionState.PROPOSED, ActionState.PENDING_APPROVAL})
SAID_NO = frozenset({ActionState.REJECTED, ActionState.CHANGES_REQUESTED})
LET_RUN = frozenset(
    {
        ActionState.APPROVED,
        ActionState.EXECUTING,
        ActionState.UNKNOWN,
        ActionState.SUCCEEDED,
        ActionState.COMPENSATED,
    }
)


@dataclass(frozen=True, slots=True)
class Answered:
    """A call and what was said of it; ``verdict`` None: nothing yet. ``why``: the plane's word, ``reason``: sentence.

    ``by``: the person who decided it; None where rules did, or nobody.
    """

    call: InterruptCall
    verdict: Verdict | None = None
    why: str = ""
    by: str | None = None
    reason: str = ""

    @property
    def action(self) -> Action:
        """The action that the call became."""
        return self.call.action

    def as_answer(self) -> Answer:
        """The same as the framework hears it; only for a call that is decided."""
        assert self.verdict is not None
        hears = "request_changes" not in self.action.cannot_take
        return Answer(self.call.name, self.verdict, self.action.parameters, self.reason, hears)


def interrupt_for(actor: User, interrupt_id: UUID) -> Interrupt:
    """One interrupt that ``actor`` may see: an agent its own, a person those of agents they see. NotFoundError else."""
    rows = Interrupt.objects.select_related("unit", "principal").filter(pk=interrupt_id)
    rows = rows.filter(principal=actor) if actor.is_agent else visible(actor, "agents.view_agent", rows)
    if found := rows.first():
        return found
    raise NotFoundError


def answered_for(actor: User, interrupt: Interrupt) -> list[Answered]:
    """What was said of each call of an interrupt that ``actor`` fetched, in the order in which it was asked."""
    assert actor.is_active
    rows = InterruptCall.objects.filter(interrupt=interrupt).order_by("position")
    begun = Grant.objects.filter(action=OuterRef("action"), state=GrantState.CONSUMED)
    calls = list(rows.select_related("action__agent", "action__principal").annotate(was_begun=Exists(begun)))
    items = Escalation.objects.filter(kind=Kind.ACTION, action__in=[call.action_id for call in calls])
    newest = {item.action_id: item for item in items.select_related("decided_by").order_by("id")}
    return [_answered(call, newest.get(call.action_id)) for call in calls]


def _answered(call: Any, item: Escalation | None) -> Answered:
    """``item``: the last thing that people were asked about it; None where rules alone spoke."""
    action = call.action
    if action.state in WAITING:
        return Answered(call)
    if action.state in LET_RUN or call.was_begun:
        is_edited = action.digest != call.digest
        why = ("edited" if is_edited else "approved") if item else "allowed"
        return Answered(call, Verdict.EDIT if is_edited else Verdict.APPROVE, why, _decider(item))
    why, reason = _refused(action, item)
    return Answered(call, Verdict.REFUSE, why, _decider(item) if action.state in SAID_NO else None, reason)


def _decider(item: Escalation | None) -> str | None:
    return item.decided_by.username if item and item.decided_by else None


def _refused(action: Action, item: Escalation | None) -> tuple[str, str]:
    """Why a call does not run, as a word and as a sentence that says whose no it is."""
    said, error = action.refusal or {}, action.error or {}
    words = str(said.get("reason") or said.get("code") or "")
    match action.state:
        case ActionState.REJECTED:
            why, reason = "rejected", _joined(_("Rejected by a person"), words)
        case ActionState.CHANGES_REQUESTED:
            why, reason = "changes_requested", _joined(_("A person wants it changed first"), words)
        case ActionState.DENIED:
            why, reason = "denied", _joined(_("Denied by policy"), _denial(action))
        case ActionState.EXPIRED if item is None or item.state == EscalationState.APPROVED:
            why, reason = "grant_expired", _("Not carried out: it was allowed, and nobody took that up in time.")
        case ActionState.EXPIRED:
            why, reason = "expired", _("Not carried out: nobody decided in time. Nobody rejected it.")
        case ActionState.CANCELLED:
            why, reason = "cancelled", _("Not carried out: the request was withdrawn.")
        case _:
            why = str(error.get("code") or "failed")
            reason = _joined(_("Not carried out"), sentence_of(why) or str(error.get("message", "")))
    return why, reason


def _denial(action: Action) -> str:
    """The sentences of the rules that deny it, or what changed while it waited."""
    if code := (action.error or {}).get("code"):
        return sentence_of(code)
    rules = quieted(action.verdict).get("rules", [])
    said = [str(rule.get("message") or rule.get("rule", "")) for rule in rules if rule.get("effect") == Effect.DENY]
    return " ".join(said) or _("No rule allows it.")


def _joined(head: str, words: str) -> str:
    return f"{head}: {words}" if words else f"{head}."
