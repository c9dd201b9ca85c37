"""What a halt does to actions that were released and have not begun: nothing of them runs by itself behind it."""

from uuid import UUID

import structlog
from django.db import transaction
from django.db.models import OuterRef, QuerySet, Subquery

from apps.agents.models import Action
from apps.agents.rules import ActionState
from apps.audit.services import record
from apps.core.errors import HaltedError, InvalidError, NotAllowedError, NotFoundError
from apps.core.models import User
from apps.core.services import one_by_one, system_user
from apps.halts.models import Halt
from apps.halts.rules import HaltScope
from apps.halts.selectors import require_running, take_fence
from apps.oversight.models import Grant
from apps.oversight.rules import GrantState
from apps.oversight.services import revoke_released
from apps.workflows.selectors.stopped import within_halt
from apps.workflows.services.actions.ending import fail_action, lock_action, scopes_of
from apps.workflows.services.actions.reweighing import HALTED, return_if_stopped

log = structlog.get_logger(__name__)


@transaction.atomic
def revoke_stopped(actor: User, *, halt: Halt) -> int:
    """Take back what was released within a halt before it and not used; how many. Until then the claim refuses."""
    grants = Grant.objects.filter(action__in=within_halt(halt), created_at__lte=halt.created_at)
    done = revoke_released(actor, grants=grants, why=HALTED, halt=halt.pk)
    record(actor, halt, "halt.grants_revoked", unit=halt.unit_id, payload={"grants": done})
    return done


def return_stopped() -> int:
    """Judge again what halts took back and none covers any more, one transaction each; how many went on or ended.

    Each shares the fence by itself, so that the next halt waits for one of them at most. What cannot be judged now is
    tried again the next time.
    """
    plane = system_user("plane")
    return one_by_one(lambda pk: _return_one(plane, pk), _stopped().order_by("id").values_list("pk", flat=True))


def _stopped() -> QuerySet[Action]:
    """Approved, the newest grant taken back, and no halt over it. Only halts take grants back and leave it approved."""
    newest = Grant.objects.filter(action=OuterRef("pk")).order_by("-id").values("state")[:1]
    revoked = Grant.objects.filter(state=GrantState.REVOKED).values("action")  # few: the sweep begins with them
    rows = Action.objects.filter(state=ActionState.APPROVED, pk__in=revoked).alias(released=Subquery(newest))
    rows = rows.filter(released=GrantState.REVOKED)
    for halt in Halt.objects.filter(lifted_at=None):
        if halt.scope == HaltScope.EVERYTHING:
            return rows.none()
        rows = rows.exclude(pk__in=within_halt(halt).values("pk"))
    return rows


@transaction.atomic
def _return_one(plane: User, action_id: UUID) -> int:
    """What may not be asked for any more has failed: it never began."""
    take_fence()
    action = lock_action(action_id)
    if action.state != ActionState.APPROVED:
        return 0
    try:
        require_running(**scopes_of(action))
        with transaction.atomic():
            return_if_stopped(plane, action=action)
    except HaltedError:
        return 0  # it comes back when that halt is lifted
    except (NotAllowedError, NotFoundError, InvalidError) as error:
        log.warning("not_asked_again", action=str(action.pk), code=error.code)
        action.refresh_from_db(fields=["state"])  # what was taken back may have moved it
        fail_action(plane, action, code=str(error.members.get("why") or error.code), message=str(error.message))
    return 1
