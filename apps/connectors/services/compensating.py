"""Taking back what an effect did: what would, and noting that it did."""

from dataclasses import dataclass
from typing import Any

from django.db import transaction
from django.utils.translation import gettext as _

from apps.agents.models import Action
from apps.audit.services import advance
from apps.connectors.models import Effect, Operation
from apps.connectors.rules import EffectState, ExecutedBy, parameter_errors
from apps.connectors.services.reads import CannotLookError, filled
from apps.core.models import ClockTimestamp, User


@dataclass(frozen=True, slots=True)
class WayBack:
    """The operation that takes an action back, and its parameters; ``problem`` in words where they cannot be made."""

    operation: str
    parameters: dict[str, Any]
    problem: str = ""
    execution: str = ExecutedBy.PLANE


def way_back_of(action: Action) -> WayBack | None:
    """What would take ``action`` back, from what was asked and answered; None where its operation names nothing."""
    named = Operation.objects.filter(slug=action.operation).values_list("compensation", flat=True).first()
    if not named:
        return None
    slug = str(named.get("operation", ""))
    undoing = Operation.objects.filter(slug=slug).first()
    if undoing is None:
        return WayBack(slug, {}, _("There is no operation %s.") % slug)
    values = {"request": action.parameters, "response": action.result or {}}
    try:
        parameters = filled(named.get("parameters", {}), values)
    except CannotLookError as error:
        return WayBack(slug, {}, str(error))
    if missing := parameter_errors(undoing.parameters, parameters):
        said = _("What was asked and answered does not say what %(operation)s needs: %(names)s.")
        return WayBack(slug, parameters, said % {"operation": slug, "names": ", ".join(sorted(missing))})
    as_before = undoing.execution == ExecutedBy.BOTH
    return WayBack(slug, parameters, execution=action.execution if as_before else undoing.execution)


@transaction.atomic
def mark_compensated(actor: User, *, action: Action, by: Action | None = None, reason: str = "") -> Effect | None:
    """Note that the effect of ``action`` was undone, by another action or by hand; None where the plane made none.

    What its system shows is not looked at any more. Raises ConflictError when it is not an effect that stands.
    """
    effect = Effect.objects.select_for_update(of=("self",)).select_related("action").filter(action=action).first()
    if effect is None:
        return None
    told = {"operation": action.operation, "action": action.pk, "by": by.pk if by else None, "by_hand": by is None}
    return advance(
        actor,
        effect,
        EffectState.COMPENSATED,
        payload={**told, "reason": reason},
        settled_at=ClockTimestamp(),
        verify_at=None,
    )
