"""Actions: what follows from decisions about them, and the effects that are due."""

from uuid import UUID

from apps.audit.models import Entry
from apps.audit.tasks import reaction
from apps.core.services import system_user
from apps.halts.models import Halt
from apps.oversight.models import Escalation
from apps.oversight.services.untaken import NEXT
from apps.workflows.services import actions


@reaction
def carry_out_approved(entry: Entry) -> None:
    """A person approved an action: the plane prepares to carry it out."""
    if entry.payload.get("kind") == "action" and entry.payload.get("action"):
        actions.prepare_action(entry.actor, action_id=UUID(str(entry.payload["action"])))


@reaction
def reconcile_unknown(entry: Entry) -> None:
    """A person found out what the system did with an action whose outcome was unknown."""
    if entry.payload.get("kind") == "unknown" and entry.payload.get("action"):
        item = Escalation.objects.select_related("decided_by").get(pk=entry.subject_id)
        actions.reconcile_action(
            item.decided_by or entry.actor,  # a decision that was held is released by the plane
            action_id=UUID(str(entry.payload["action"])),
            answer=str(entry.payload.get("answer") or ""),
            reason=str(entry.payload.get("reason") or ""),
        )


@reaction
def follow_mismatch(entry: Entry) -> None:
    """A person looked at what a system shows otherwise than it was done."""
    if entry.payload.get("kind") == "exception" and entry.payload.get("action"):
        item = Escalation.objects.select_related("decided_by").get(pk=entry.subject_id)
        actions.follow_mismatch(
            item.decided_by or entry.actor, action_id=UUID(str(entry.payload["action"])), answer=item.answer
        )


@reaction
def follow_untaken(entry: Entry) -> None:
    """A person said how to go on with what could not be taken back."""
    if entry.payload.get("kind") == "exception" and entry.payload.get("action"):
        item = Escalation.objects.select_related("decided_by").get(pk=entry.subject_id)
        answer = item.answer if isinstance(item.answer, dict) else {}
        if NEXT in answer:
            actions.follow_untaken(
                item.decided_by or entry.actor,
                action_id=UUID(str(entry.payload["action"])),
                next_=str(answer[NEXT]),
                remark=str(answer.get("remark") or ""),
            )


@reaction
def revoke_stopped(entry: Entry) -> None:
    """A halt takes back what was released within it and not used yet."""
    actions.revoke_stopped(system_user("plane"), halt=Halt.objects.get(pk=entry.subject_id))


def perform_due_effects() -> int:
    """Carry out what is due; how much was done."""
    return actions.perform_due()


def verify_due_effects() -> int:
    """Read back what was done; how much was looked at."""
    return actions.verify_due()


def raise_unreported() -> int:
    """Ask people about what agents began and never reported; how much."""
    return actions.raise_unreported()


def return_stopped() -> int:
    """Judge again what lifted halts took back, so that people are asked again; how much."""
    return actions.return_stopped()
