"""What policy said of an item, and whether what people are asked is still what would run."""

from collections.abc import Callable
from typing import Any

from apps.agents.models import Action
from apps.agents.rules import VersionState
from apps.connectors.models import Operation
from apps.core.models import User
from apps.core.prepared import Prepared, Slot
from apps.oversight.models import Escalation
from apps.policies.selectors import trace_for
from apps.policies.selectors.quiet import quieted_for

_operation = Prepared(lambda: Operation.objects.select_related("connector").filter(slug=Slot("slug")))

TOLD_OF_VERDICT = (
    "effect",
    "reason",
    "rules",
    "obligations",
    "groups",
    "risk",
    "release",
    "facts",
    "trace",
    "allowed_when",
    "avoided_when",
    "waivers",
)


def verdict_for(actor: User, item: Escalation) -> dict[str, Any]:
    """The stored verdict as the item tells of it; of confidential rules it names none to strangers."""
    verdict = quieted_for(actor, item.verdict)
    told = {name: verdict[name] for name in TOLD_OF_VERDICT if name in verdict}
    return {**told, "trace": trace_for(actor, verdict)} if "trace" in told else told


type OperationOf = Callable[[str], Operation | None]
"""How an operation is found by its slug."""


def operation_named(slug: str) -> Operation | None:
    """The operation as it is now, with its connector."""
    return _operation.first(slug=slug)


def changed_since_judged(action: Action, operation_of: OperationOf = operation_named) -> str:
    """``operation_changed``, ``not_cleared`` or ``version_superseded``; empty while all is as it was when judged."""
    if action.version and action.version.state == VersionState.SUPERSEDED:
        return "version_superseded"
    operation = operation_of(action.operation)
    if operation is not None and operation.not_cleared(action.classed):
        return "not_cleared"
    is_same = operation is not None and operation.definition_digest == action.definition_digest
    return "" if is_same else "operation_changed"
