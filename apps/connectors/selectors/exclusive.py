"""Who holds a key that one action at a time may hold, and who waits for it."""

from django.db.models import Q

from apps.agents.models import Action
from apps.agents.rules import CARRIED_OUT, ActionState, Execution
from apps.agents.selectors import actions_for
from apps.connectors.models import Effect
from apps.connectors.rules import EffectState
from apps.core.models import User


def held_by() -> Q:
    """Actions that hold their key: under way, with the plane or the agent, or to be repeated by the plane.

    It follows from how far each came and is written down nowhere else, so no key outlives its holder: a worker that
    dies leaves an effect whose lease runs out. What nobody knows, and a person looks into, is not under way.
    """
    with_agent = Q(state=ActionState.EXECUTING, execution=Execution.AGENT)
    under_way = Q(carried_out__state__in=[EffectState.CLAIMED, EffectState.DISPATCHED])
    repeated = Q(carried_out__state=EffectState.UNKNOWN, carried_out__retry_at__isnull=False)
    return Q(state__in=CARRIED_OUT) & (with_agent | under_way | repeated)


def is_in_line(actor: User, action: Action) -> bool:
    """Whether an action that ``actor`` may see waits until another with its key has ended."""
    assert actor.is_active
    return (
        bool(action.exclusive)
        and action.state in CARRIED_OUT
        and Effect.objects.filter(action=action, state=EffectState.PREPARED, in_line=True).exists()
    )


def is_outdated(action: Action) -> bool:
    """Whether the same operation was asked for again with the action's key, and that one may run, does or just did.

    What had ended before the action was ready to run never met it.
    """
    if not action.exclusive:
        return False
    ready = Effect.objects.filter(action=action).values_list("created_at", flat=True).first()
    newer = Q(state__in=CARRIED_OUT)
    if ready is not None:
        newer |= Q(state=ActionState.SUCCEEDED, finished_at__gt=ready)
    same = Action.objects.filter(operation=action.operation, exclusive=action.exclusive, purpose=action.purpose)
    return same.filter(newer, pk__gt=action.pk).exists()


def holder_for(actor: User, action: Action) -> Action | None:
    """The action that holds the key of another; None where none does, or ``actor`` may not see it."""
    if not action.exclusive:
        return None
    holding = Action.objects.filter(held_by(), exclusive=action.exclusive).exclude(pk=action.pk)
    return actions_for(actor).filter(pk__in=holding.values("pk")).first()
