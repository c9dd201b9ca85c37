"""Who looks at an item now, and what people and agents write below it."""

from datetime import timedelta
from uuid import UUID

from django.db import transaction
from django.utils.translation import gettext as _

from apps.agents.models import Action
from apps.agents.selectors import require_working_agent
from apps.audit.services import record
from apps.core.errors import InvalidError, NotAllowedError
from apps.core.gate import require_carried, require_human
from apps.core.models import ClockTimestamp, User
from apps.oversight.models import Comment, Escalation
from apps.oversight.rules import CLAIM_S, MAX_COMMENT, EscalationState, Kind
from apps.oversight.selectors import escalation_for, require_visible, standing_for
from apps.oversight.selectors.eligibility import DECIDE
from apps.oversight.services.decisions import lock_item, refuse_drill, refuse_ended, refuse_late
from apps.oversight.services.handing import hand_back, lock_pending, take_back
from apps.oversight.services.stops import start_sla, stop_sla


@transaction.atomic
def claim_escalation(actor: User, *, escalation_id: UUID) -> Escalation:
    """Say that one looks at it: a soft lease of five minutes. Whoever may decide may take it over, and that is seen.

    What one handed on comes back by it.
    """
    item = _pending(actor, escalation_id)
    take_back(actor, item)
    before = item.claimed_by if item.claimed_by_id != actor.pk else None
    lease = {"claimed_by": actor, "claimed_until": ClockTimestamp() + timedelta(seconds=CLAIM_S)}
    Escalation.everything.filter(pk=item.pk, state=EscalationState.PENDING).update(**lease)
    item.refresh_from_db(fields=["claimed_by", "claimed_until"])
    taken = before.username if before else None
    record(actor, item, item.entry_name("claimed"), payload={"until": item.claimed_until, "taken_from": taken})
    return item


@transaction.atomic
def release_escalation(actor: User, *, escalation_id: UUID) -> Escalation:
    """Let go of one's claim, and give back what others handed over. Without either nothing happens."""
    item = _open(actor, escalation_id)
    hand_back(actor, item)
    held = Escalation.everything.filter(pk=item.pk, claimed_by=actor, state=EscalationState.PENDING)
    if held.update(claimed_by=None, claimed_until=None):
        item.refresh_from_db(fields=["claimed_by", "claimed_until"])
        record(actor, item, item.entry_name("released"))
    return item


def _open(actor: User, escalation_id: UUID) -> Escalation:
    require_human(actor)
    require_carried(actor, DECIDE)
    require_visible(actor, escalation_id)
    item = lock_item(escalation_id, drills=True)
    refuse_ended(actor, item)
    refuse_late(item)
    return item


def _pending(actor: User, escalation_id: UUID) -> Escalation:
    item = _open(actor, escalation_id)
    if why := standing_for(actor).why_not(item):
        raise NotAllowedError(_("You may not decide this item."), code="not_eligible", why=why)
    return item


@transaction.atomic
def comment_escalation(actor: User, *, escalation_id: UUID, text: str) -> Comment:
    """Write below an item that one may see, ended or not. One's claim is renewed by it."""
    require_human(actor)
    item = escalation_for(actor, escalation_id)
    refuse_drill(item)
    comment = _write(actor, item, text)
    Escalation.objects.filter(pk=item.pk, claimed_by=actor, state=EscalationState.PENDING).update(
        claimed_until=ClockTimestamp() + timedelta(seconds=CLAIM_S)
    )
    return comment


@transaction.atomic
def ask_agent(actor: User, *, escalation_id: UUID, text: str) -> Comment:
    """Ask the agent of an action that waits. Until it answers in the thread the time until it is due stands still.

    Its expiry does not. The agent is woken once; what is asked while a question is open joins the thread. Takes what
    deciding takes. Raises InvalidError at ``ask`` where there is no agent to ask.
    """
    item = lock_pending(actor, escalation_id)
    if why := standing_for(actor).why_not(item):
        raise NotAllowedError(_("You may not decide this item."), code="not_eligible", why=why)
    if item.kind != Kind.ACTION or item.action is None or item.agent is None:
        raise InvalidError(errors={"ask": [_("No agent waits here that could answer.")]})
    comment = _write(actor, item, text, is_question=True)
    if stop_sla(item):
        record(actor, item, "escalation.asked", payload={"comment": comment.pk, "text": comment.text})
        record(actor, item.action, "action.asked", payload={"comment": comment.pk, "escalation": item.pk})
    return comment


def _resume_sla(actor: User, item: Escalation, comment: Comment) -> None:
    """The agent answered: the time that it took is given back."""
    if start_sla(item):
        record(actor, item, "escalation.replied", payload={"comment": comment.pk})


@transaction.atomic
def answer_comment(actor: User, *, action: Action, text: str) -> Comment | None:
    """The agent's words in the thread of its own action's item; None where there is no item.

    ``action`` was fetched by the caller through ``action_for(actor)``.
    """
    if not actor.is_agent or action.principal_id != actor.pk:
        raise NotAllowedError
    require_working_agent(actor, tests=True)
    item = Escalation.objects.filter(action=action, kind=Kind.ACTION).order_by("-id").first()
    if item is None:
        return None
    item = lock_item(item.pk)
    comment = _write(actor, item, text)
    _resume_sla(actor, item, comment)
    return comment


def _write(actor: User, item: Escalation, text: str, *, is_question: bool = False) -> Comment:
    text = text.strip()
    if not text or len(text) > MAX_COMMENT:
        raise InvalidError(errors={"text": [_("From 1 to %d characters.") % MAX_COMMENT]})
    comment = Comment.objects.create(escalation=item, author=actor, text=text, is_question=is_question)
    record(actor, item, "escalation.commented", payload={"comment": comment.pk, "text": text})
    return comment
