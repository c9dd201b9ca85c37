"""What rules may name of workflows."""

from uuid import UUID

from django.db.models import F, Func, JSONField, Q

from apps.core.models import User
from apps.workflows.models import Workflow, WorkflowVersion
from apps.workflows.selectors.definitions import workflows_for


def steps_named_for(actor: User, near: set[UUID] | None) -> tuple[dict[str, frozenset[str]], frozenset[str]]:
    """The steps of the workflows of some units (None: all) and of those that ``actor`` sees, and which are retired.

    The steps are those of all versions: runs of older ones go on (``settings.POLICY_STEPS``).
    """
    rows = Workflow.objects.all()
    if near is not None:
        rows = rows.filter(Q(unit__in=near) | Q(pk__in=workflows_for(actor).values("pk")))
    found = dict(rows.values_list("slug", "retired_at"))
    names = Func(
        F("compiled"), function="jsonb_path_query_array", template="%(function)s(%(expressions)s, '$.steps[*].name')",
        output_field=JSONField(),
    )  # fmt: skip
    versions = WorkflowVersion.objects.filter(workflow__in=rows).values_list("workflow__slug", names).distinct()
    steps: dict[str, set[str]] = {slug: set() for slug, retired_at in found.items() if retired_at is None}
    for slug, each in versions:
        steps.get(slug, set()).update(each)
    ended = frozenset(slug for slug, retired_at in found.items() if retired_at is not None)
    return {slug: frozenset(each) for slug, each in steps.items()}, ended
