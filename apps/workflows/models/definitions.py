"""A process, its immutable versions, and which agents may work in it."""

from functools import lru_cache
from uuid import UUID

from django.db import models
from django.db.models import Q

from apps.access.models import BusinessUnit
from apps.core.models import ObjectGrant, Record, User, choices_of
from apps.core.rules import Risk
from apps.workflows.rules.definition import Definition, definition_of
from apps.workflows.rules.states import VersionState


class Workflow(Record):
    """A process. What it does is in its versions; ``active`` is the one that new runs take."""

    UNIT = "unit"

    slug = models.SlugField(max_length=63, unique=True)
    name = models.CharField(max_length=120)
    description = models.TextField(blank=True)
    unit = models.ForeignKey(BusinessUnit, models.PROTECT, related_name="+")
    owner = models.ForeignKey(User, models.PROTECT, null=True, related_name="+")
    risk = models.CharField(max_length=8, choices=choices_of(Risk), default=Risk.MEDIUM)
    active = models.ForeignKey("WorkflowVersion", models.PROTECT, null=True, related_name="+")
    retired_at = models.DateTimeField(null=True)

    class Meta:
        permissions = [
            ("work_workflow", "May take tasks of a workflow"),
            ("start_run", "May start runs"),
            ("publish_workflow", "May publish versions"),
        ]

    def __str__(self) -> str:
        return self.name


class WorkflowVersion(Record):
    """One definition: the text as it was written, and what the planner reads. PostgreSQL refuses to change either."""

    UNIT = "workflow__unit"

    workflow = models.ForeignKey(Workflow, models.PROTECT, related_name="versions")
    number = models.PositiveIntegerField()
    state = models.CharField(max_length=12, choices=choices_of(VersionState), default=VersionState.DRAFT)
    source = models.TextField()
    compiled = models.JSONField()
    digest = models.CharField(max_length=71)
    made_by = models.ForeignKey(User, models.PROTECT, related_name="+")
    published_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["workflow", "number"], name="workflow_version_once"),
            models.UniqueConstraint(
                fields=["workflow"], condition=Q(state=VersionState.ACTIVE), name="workflow_version_active_once"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.workflow} v{self.number}"


@lru_cache(maxsize=512)
def definition_of_version(version_id: UUID) -> Definition:
    """The definition of a version; kept, because versions never change."""
    return definition_of(WorkflowVersion.objects.values_list("compiled", flat=True).get(pk=version_id))


@lru_cache(maxsize=4096)
def number_of_version(version_id: UUID) -> int:
    """The number of a version; kept as well."""
    return WorkflowVersion.objects.values_list("number", flat=True).get(pk=version_id)


class WorkflowPermission(ObjectGrant):
    """An agent may take tasks of a workflow, or start runs of it."""

    content_object = models.ForeignKey(Workflow, models.CASCADE, related_name="permissions")

    def __str__(self) -> str:
        return f"{self.user} in {self.content_object}"
