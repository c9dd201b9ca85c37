"""Whether what people are asked is still what would run."""

from apps.agents.models import Action
from apps.agents.rules import VersionState
from apps.connectors.models import Operation
from apps.core.prepared import Prepared, Slot

_operation = Prepared(lambda: Operation.objects.select_related("connector").filter(slug=Slot("slug")))


def changed_since_judged(action: Action) -> str:
    """``operation_changed`` or ``version_superseded``; empty while everything is as it was when it was judged."""
    if action.version and action.version.state == VersionState.SUPERSEDED:
        return "version_superseded"
    operation = _operation.first(slug=action.operation)
    is_same = operation is not None and operation.definition_digest == action.definition_digest
    return "" if is_same else "operation_changed"
