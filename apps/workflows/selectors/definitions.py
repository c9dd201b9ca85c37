"""Workflows and their versions; what exists that a document may refer to."""

from django.db.models import Q, QuerySet

from apps.access.models import BusinessUnit, Queue, Role
from apps.agents.models import Agent
from apps.agents.rules import AgentState
from apps.classification.selectors import known_classes
from apps.connectors.models import Operation
from apps.connectors.rules import ConnectorState
from apps.core.errors import NotFoundError
from apps.core.gate import visible
from apps.core.models import User
from apps.workflows.models import Workflow, WorkflowVersion
from apps.workflows.rules.checks import Catalogue, OperationFacts


def workflows_in_use() -> set[str]:
    """The slugs of those that are not retired (``settings.POLICY_WORKFLOWS``)."""
    return set(Workflow.objects.filter(retired_at=None).values_list("slug", flat=True))


def workflows_for(actor: User, *, perm: str = "workflows.view_run") -> QuerySet[Workflow]:
    """Workflows on which ``actor`` holds ``perm``, by slug; to see one, any permission on it is enough."""
    rows = Workflow.objects.select_related("unit", "owner")
    if perm != "workflows.view_run":
        return visible(actor, perm, rows).order_by("slug")
    seen = Q()
    for name in ("view_run", "start_run", "work_workflow", "operate_run", "publish_workflow"):
        seen |= Q(pk__in=visible(actor, f"workflows.{name}", Workflow.objects.all()).values("pk"))
    return rows.filter(seen).order_by("slug")


def workflow_for(actor: User, slug: str, *, perm: str = "workflows.view_run") -> Workflow:
    """One workflow on which ``actor`` holds ``perm``. Raises NotFoundError."""
    if found := workflows_for(actor, perm=perm).filter(slug=slug).first():
        return found
    raise NotFoundError


def versions_for(actor: User, workflow: Workflow) -> QuerySet[WorkflowVersion]:
    """The versions of a workflow that ``actor`` may see, newest first, without their texts."""
    rows = WorkflowVersion.objects.select_related("made_by").defer("source", "compiled")
    return rows.filter(workflow__in=workflows_for(actor), workflow=workflow).order_by("-number")


def version_for(actor: User, workflow: Workflow, number: int) -> WorkflowVersion:
    """One version. Raises NotFoundError."""
    rows = WorkflowVersion.objects.select_related("made_by", "workflow")
    if found := rows.filter(workflow__in=workflows_for(actor), workflow=workflow, number=number).first():
        return found
    raise NotFoundError


def catalogue(actor: User) -> Catalogue:
    """What a document may refer to. Names only, of everything: a document that is refused says what does not exist."""
    assert actor.is_active
    capabilities: set[str] = set()
    for names in Agent.objects.exclude(state=AgentState.RETIRED).values_list("capabilities", flat=True):
        capabilities.update(str(name) for name in names)
    operations = Operation.objects.exclude(state=ConnectorState.RETIRED)
    return Catalogue(
        units=frozenset(BusinessUnit.objects.values_list("slug", flat=True)),
        queues=frozenset(Queue.objects.values_list("slug", flat=True)),
        roles=frozenset(Role.objects.values_list("slug", flat=True)),
        capabilities=frozenset(capabilities),
        operations={
            slug: OperationFacts(effect, parameters or {})
            for slug, effect, parameters in operations.values_list("slug", "effect", "parameters")
        },
        data_classes=known_classes(),
        people=frozenset(User.objects.filter(kind="human", is_active=True).values_list("username", flat=True)),
    )
