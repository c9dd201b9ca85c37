"""What a halt does to actions that were released and have not begun: nothing of them runs by itself behind it."""

import structlog
from django.db import transaction
from django.db.models import Exists, OuterRef, Q, QuerySet

from apps.agents.models import Action
from apps.agents.rules import ActionState
from apps.audit.services import record
from apps.core.errors import DomainError, HaltedError
from apps.core.models import User
from apps.halts.models import Halt
from apps.halts.rules import HaltScope
from apps.halts.selectors import require_running, take_fence
from apps.oversight.models import Grant
from apps.oversight.rules import GrantState
from apps.oversight.selectors import units_below
from apps.oversight.services import revoke_released
from apps.workflows.models import Run
from apps.workflows.services.actions.ending import fail_action, lock_action, scopes_of
from apps.workflows.services.actions.reweighing import HALTED, return_if_stopped

BATCH = 500
log = structlog.get_logger(__name__)


@transaction.atomic
def revoke_stopped(actor: User, *, halt: Halt) -> int:
    """Take back what was released within a halt before it and not used; how many. Until then the claim refuses."""
    grants = Grant.objects.filter(action__in=_within(halt), created_at__lte=halt.created_at)
    done = revoke_released(actor, grants=grants, why=HALTED)
    record(actor, halt, "halt.grants_revoked", unit=halt.unit_id, payload={"grants": done})
    return done


@transaction.atomic
def return_stopped(actor: User, *, halt: Halt) -> int:
    """Judge again what a lifted halt took back and no other halt covers; how many went to people, or ended.

    At most ``BATCH``: what is beyond is judged again when it is claimed. All are locked before the first is judged:
    judging takes the history's lock, and whoever holds that must wait for no action.
    """
    take_fence()
    taken = Grant.objects.filter(
        action=OuterRef("pk"), state__in=[GrantState.LIVE, GrantState.REVOKED], created_at__lte=halt.created_at
    )
    rows = _within(halt).filter(Exists(taken), state=ActionState.APPROVED).order_by("id")
    actions = [lock_action(pk) for pk in rows.values_list("pk", flat=True)[:BATCH]]
    return sum(_return_one(actor, action) for action in actions)


def _return_one(actor: User, action: Action) -> int:
    """One of them, locked. What may not be asked for any more has failed: it never began."""
    if action.state != ActionState.APPROVED:
        return 0
    try:
        require_running(**scopes_of(action))
        with transaction.atomic():
            return int(return_if_stopped(actor, action=action))
    except HaltedError:
        return 0  # whoever lifts the other halt brings it back
    except DomainError as error:
        log.warning("not_asked_again", action=str(action.pk), code=error.code)
        fail_action(actor, action, code=str(error.members.get("why") or error.code), message=str(error.message))
        return 1


def _within(halt: Halt) -> QuerySet[Action]:
    """The actions that a halt covers, as ``scopes_of`` says of one."""
    rows = Action.objects.all()
    if halt.scope == HaltScope.EVERYTHING:
        return rows
    if halt.scope == HaltScope.UNIT:
        below = units_below(halt.target)
        return rows.filter(Q(unit__in=below) | Q(run_id__in=Run.objects.filter(unit__in=below).values("pk")))
    if halt.scope == HaltScope.VERSION:
        slug, _, number = halt.target.rpartition("@")
        return rows.filter(agent__slug=slug, version__number=number if number.isdigit() else "0")
    return rows.filter(**{PATHS[HaltScope(halt.scope)]: halt.target})


PATHS = {
    HaltScope.WORKFLOW: "workflow",
    HaltScope.AGENT: "agent__slug",
    HaltScope.CONNECTOR: "connector",
    HaltScope.OPERATION: "operation",
}
