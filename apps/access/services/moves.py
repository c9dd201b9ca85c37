"""Moving an agent, a workflow or a unit to another unit: what stops it, and what takes two people."""

from django.conf import settings
from django.db.models import Model
from django.utils.module_loading import import_string
from django.utils.translation import gettext as _

from apps.access.models import BusinessUnit
from apps.access.rules.moves import Left
from apps.access.services.seconds import require_two_by_name
from apps.access.services.units import require_manager
from apps.core.errors import ConflictError
from apps.core.models import User
from apps.core.services import lock_key

LOWER = "policies.lower_enforcement"
TREE = 3
"""The space of keys in which whatever moves between units takes turns."""


def hold_tree() -> None:
    """Move alone until this transaction ends: what one move was weighed by, no other one changes meanwhile."""
    lock_key(TREE, "units")


def refuse_to_leave(left: Left) -> None:
    """Raise ConflictError where it would get out from under an engaged halt."""
    if left.halts:
        said = _("%s is halted: what stands still there moves nowhere until the halt is lifted.")
        raise ConflictError(said % ", ".join(left.halts), leaves=left.as_json())


def require_two_to_move(
    actor: User,
    row: Model,
    left: Left,
    *,
    units: tuple[BusinessUnit | None, BusinessUnit | None],
    perm: str,
    how: str,
    is_reviewed: bool,
    agreed_by: User | None,
    at: str,
) -> None:
    """Refuse a move by one person where something is left: ``how`` tells how two make it.

    A document counts as reviewed; in production the second whom it names may do both, manage and lower enforcement, in
    both units. Raises ConflictError ``second_person_required`` with ``leaves``.
    """
    refuse_to_leave(left)
    if not left.is_anything:
        return
    if not is_reviewed:
        raise ConflictError(how, code="second_person_required", leaves=left.as_json())
    rights = [(right, unit) for right in (perm, LOWER) for unit in units]
    require_two_by_name(actor, row, second=agreed_by, rights=rights, at=at)


def take_along(actor: User, *, to: BusinessUnit, agent: str = "", workflow: str = "") -> None:
    """Give what stands for the agent or the workflow of this slug alone to the unit to which it moves."""
    import_string(settings.MOVES_FOLLOWED)(actor, to=to, agent=agent, workflow=workflow)


def require_mover(actor: User, perm: str, *units: BusinessUnit | None) -> None:
    """Raise NotAllowedError unless ``actor`` holds ``perm`` and may lower enforcement in each unit."""
    for unit in units:
        require_manager(actor, unit, perm)
        require_manager(actor, unit, LOWER)
