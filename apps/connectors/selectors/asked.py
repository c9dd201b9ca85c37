"""What agents ask for: which operations they mean, and what they had of them."""

from collections.abc import Iterable
from uuid import UUID

from apps.connectors.models import AccessRequest, Operation, OperationPermission
from apps.connectors.rules.money import Money
from apps.connectors.selectors import all_operations_for
from apps.core.models import User


def grantable_for(actor: User, requests: Iterable[AccessRequest]) -> dict[str, Operation]:
    """The operations that these requests mean, by slug, as far as ``actor`` may see them: the others nobody grants."""
    slugs = {request.operation for request in requests}
    return {operation.slug: operation for operation in all_operations_for(actor).filter(slug__in=slugs)}


def limits_had(requests: Iterable[AccessRequest], operations: Iterable[Operation]) -> dict[tuple[UUID, str], Money]:
    """The limits of what agents have, or had until it ran out, by agent and the slug of an operation."""
    rows = OperationPermission.objects.filter(
        user__in={request.agent.user_id for request in requests}, content_object__in=operations
    )
    found = rows.exclude(limit_minor=None).select_related("content_object")
    return {(row.user_id, row.content_object.slug): row.limit for row in found if row.limit}
