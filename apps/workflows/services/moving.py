"""Taking a workflow to another unit, by a version that says so."""

from typing import Any

from django.utils.translation import gettext as _

from apps.access.models import BusinessUnit
from apps.access.selectors import left_by_moving
from apps.access.services import hold_tree, refuse_to_leave, require_mover, require_two_to_move
from apps.core.errors import ConflictError
from apps.core.gate import holds
from apps.core.models import User
from apps.workflows.models import Workflow, WorkflowVersion
from apps.workflows.rules.states import VersionState

PUBLISH = "workflows.publish_workflow"


def require_movable(
    actor: User,
    *,
    version: WorkflowVersion,
    workflow: Workflow,
    unit: BusinessUnit,
    is_reviewed: bool,
    agreed_by: User | None,
) -> dict[str, Any]:
    """Refuse to put a version in force that takes its workflow out from under what holds it, but by two people.

    Its author proposed it; whoever puts it in force is another person, who may publish and lower enforcement in both
    units. An earlier version comes back as a new draft. Returns what the entry tells.
    """
    hold_tree()
    left = left_by_moving(actor, before=workflow.unit, after=unit, workflow=workflow.slug)
    refuse_to_leave(left)
    if is_reviewed or not left.is_anything:
        require_two_to_move(
            actor,
            workflow,
            left,
            units=(workflow.unit, unit),
            perm=PUBLISH,
            how="",
            is_reviewed=is_reviewed,
            agreed_by=agreed_by,
            at="unit",
        )
        return {"leaves": left.as_json()}
    author = version.made_by
    if author.pk == actor.pk or not actor.is_human or version.state != VersionState.DRAFT:
        text = _("This version takes the workflow to another unit: keep it as a draft, and somebody else publishes it.")
        raise ConflictError(text, code="second_person_required", leaves=left.as_json())
    require_mover(actor, PUBLISH, workflow.unit, unit)
    if not (author.is_active and all(holds(author, PUBLISH, place) for place in (workflow, unit))):
        raise ConflictError(_("%s may not publish in both units any more. Write the version anew.") % author)
    return {"leaves": left.as_json(), "asked_by": author.username}
