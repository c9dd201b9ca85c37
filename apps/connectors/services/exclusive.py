"""One at a time: what has the same key is carried out one after the other, over all agents, runs and operations."""

from collections.abc import Sequence

from django.utils.translation import gettext_lazy as _

from apps.agents.models import Action
from apps.connectors.models import Effect, Operation
from apps.connectors.rules import EffectState
from apps.connectors.rules.exclusive import key_of
from apps.connectors.selectors.exclusive import held_by
from apps.core.errors import ConflictError, InvalidError
from apps.core.queue import ring
from apps.core.rules import ValueProblem
from apps.core.services import lock_key

AGAIN_S = 2
ACTION_KEYS = 8
"""The space of the locks of these keys."""


class KeyHeldError(ConflictError):
    """Another action with the same key is under way; ``retry_after_s`` says when to ask again.

    ``action`` and ``operation``: what it holds up.
    """

    code, message = "key_held", _("Another action that must not run beside this one is under way.")

    def __init__(self, action: Action, operation: Operation) -> None:
        super().__init__(retry_after_s=AGAIN_S)
        self.action, self.operation = action, operation


def note_key(action: Action, operation: Operation) -> str:
    """Keep the digest of the action's key on it: none where its operation is not exclusive. Raises InvalidError."""
    try:
        key = key_of(operation.exclusive, action.parameters, environment=action.environment)
    except ValueProblem as problem:
        raise InvalidError(str(problem), errors={"parameters": [str(problem)]}) from problem
    if key != action.exclusive:
        Action.objects.filter(pk=action.pk).update(exclusive=key)
        action.exclusive = key
    return key


def take_turns(wanted: Sequence[tuple[Action, Operation]]) -> None:
    """Let these actions begin, while nothing else with one of their keys does until the transaction ends.

    Call inside the claim's transaction. Raises KeyHeldError where something is under way, InvalidError.
    """
    keys = [(note_key(action, operation), action, operation) for action, operation in wanted]
    for key in sorted({key for key, *_rest in keys if key}):  # in one order, or two would wait for each other
        lock_key(ACTION_KEYS, key)
        mine = {action.pk: (action, operation) for own, action, operation in keys if own == key}
        if len(mine) > 1 or Action.objects.filter(held_by(), exclusive=key).exclude(pk__in=mine).exists():
            raise KeyHeldError(*mine.popitem()[1])


def call_next(action: Action) -> None:
    """The action is over, or not begun after all: the one that has waited longest for its key is due at once."""
    if not action.exclusive:
        return
    waiting = Effect.objects.filter(action__exclusive=action.exclusive, state=EffectState.PREPARED, in_line=True)
    waiting = waiting.select_for_update(of=("self",), skip_locked=True).exclude(action=action)
    if following := waiting.order_by("id").first():
        Effect.objects.filter(pk=following.pk).update(retry_at=None)
        ring("effects")
