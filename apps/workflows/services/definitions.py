"""Documents become versions: checked, published, rolled back. People and ``manage.py`` only."""

import hashlib
from typing import Any

from django.db import transaction
from django.db.models import Max, Q
from django.utils.translation import gettext as _

from apps.access.models import BusinessUnit
from apps.access.services import require_manager, take_along
from apps.audit.services import record
from apps.connectors.models import Operation, OperationPermission
from apps.connectors.services import grant_operation, revoke_operation
from apps.core.errors import ConflictError, InvalidError, NotFoundError
from apps.core.gate import refuse_agents
from apps.core.models import ClockTimestamp, User
from apps.core.services import system_user
from apps.workflows.models import Run, Workflow, WorkflowVersion
from apps.workflows.rules.checks import check_document
from apps.workflows.rules.definition import compile_document, definition_of
from apps.workflows.rules.source import Problem, Source, SourceError, read_source
from apps.workflows.rules.states import RUN_FINAL, VersionState
from apps.workflows.selectors import catalogue
from apps.workflows.services.engine.place import principal_of
from apps.workflows.services.moving import require_movable

PUBLISH = "workflows.publish_workflow"


def check_source(actor: User, *, source: str | Source) -> list[Problem]:
    """Everything wrong with a document; nothing if it may be published. Writes nothing."""
    try:
        read = read_source(source) if isinstance(source, str) else source
    except SourceError as error:
        return [error.problem]
    return check_document(read, catalogue(actor))


@transaction.atomic
def save_draft(actor: User, *, source: str | Source) -> WorkflowVersion:
    """Keep a checked document as the next version, not yet in force. Raises InvalidError by path and line."""
    read = _checked(actor, source)
    document = read.value
    unit = BusinessUnit.objects.get(slug=document["unit"])
    refuse_agents(actor)
    require_manager(actor, unit, PUBLISH)
    workflow = _workflow(actor, document, unit)
    number = (workflow.versions.aggregate(last=Max("number"))["last"] or 0) + 1
    text = read.text
    version = WorkflowVersion.objects.create(
        workflow=workflow,
        number=number,
        source=text,
        compiled=compile_document(document, queues=catalogue(actor).queues or frozenset()),
        digest=digest_of_text(text),
        made_by=actor,
    )
    record(actor, version, "drafted", payload={"workflow": workflow.slug, "number": number, "digest": version.digest})
    return version


def digest_of_text(text: str) -> str:
    """``sha256:<hex>`` over the bytes of the text: canonical JSON would lose the order of steps."""
    return f"sha256:{hashlib.sha256(text.encode()).hexdigest()}"


def _checked(actor: User, source: str | Source) -> Source:
    try:
        read = read_source(source) if isinstance(source, str) else source
    except SourceError as error:
        raise InvalidError(errors=errors_of([error.problem])) from error
    if problems := check_document(read, catalogue(actor)):
        raise InvalidError(_("The document has errors."), errors=errors_of(problems))
    return read


def errors_of(problems: list[Problem]) -> dict[str, list[str]]:
    """Problems as the errors of a refusal: by path, with the line in the message."""
    found: dict[str, list[str]] = {}
    for problem in problems:
        place = _("line %d: ") % problem.line if problem.line else ""
        found.setdefault(problem.path or "document", []).append(f"{place}{problem.message}")
    return found


def _workflow(actor: User, document: dict[str, Any], unit: BusinessUnit) -> Workflow:
    """The workflow of a document, locked; made when it is new. A workflow moves only with its managers' consent."""
    found = (
        Workflow.objects.select_for_update(no_key=True, of=("self",))
        .select_related("unit")
        .filter(slug=document["slug"])
        .first()
    )
    if found is None:
        made = Workflow.objects.create(slug=document["slug"], **_values(document, unit))
        record(actor, made, "created", payload={"slug": made.slug, "name": made.name})
        return made
    if found.unit_id != unit.pk:
        require_manager(actor, found.unit, PUBLISH)
    return found


def _values(document: dict[str, Any], unit: BusinessUnit) -> dict[str, Any]:
    """What a document says of its workflow as a whole."""
    return {
        "name": document["name"],
        "description": document.get("description", ""),
        "unit": unit,
        "owner": User.objects.filter(username=document["owner"]).first() if "owner" in document else None,
        "risk": document.get("risk", "medium"),
    }


def _take_over(
    actor: User, version: WorkflowVersion, workflow: Workflow, document: dict[str, Any], **agreed: Any
) -> None:
    """What the document in force says of its workflow becomes true of it; a draft says it to nobody."""
    unit = BusinessUnit.objects.get(slug=document["unit"])
    told: dict[str, Any] = {}
    if unit.pk != workflow.unit_id:
        require_manager(actor, unit, PUBLISH)
        told = require_movable(actor, version=version, workflow=workflow, unit=unit, **agreed)
        take_along(actor, to=unit, workflow=workflow.slug)
    values = _values(document, unit)
    changed = {name: value for name, value in values.items() if getattr(workflow, name) != value}
    if changed:
        Workflow.objects.filter(pk=workflow.pk).update(**changed)
        for name, value in changed.items():
            setattr(workflow, name, value)
        said = {name: str(value) for name, value in changed.items()}
        record(actor, workflow, "changed", payload={**said, **told})


@transaction.atomic
def publish_version(
    actor: User,
    *,
    version: WorkflowVersion,
    reason: str = "",
    is_reviewed: bool = False,
    agreed_by: User | None = None,
) -> WorkflowVersion:
    """Put a version in force: new runs take it, open runs keep theirs.

    One that takes its workflow out from under what holds it in its unit is put in force by another person than its
    author; ``is_reviewed``: a document says so, in production by ``actor`` and ``agreed_by``.

    It is checked again, because what it refers to may have changed; its workflow's own user is granted exactly the
    operations that versions in use name, for which ``actor`` needs the right to grant.
    """
    refuse_agents(actor)
    workflow = (
        Workflow.objects.select_for_update(no_key=True, of=("self",)).select_related("unit").get(pk=version.workflow_id)
    )
    require_manager(actor, workflow.unit, PUBLISH)
    document = _checked(actor, version.source).value
    if version.state == VersionState.ACTIVE:
        raise ConflictError(_("This version is in force already."), state=version.state)
    _take_over(actor, version, workflow, document, is_reviewed=is_reviewed, agreed_by=agreed_by)
    before = workflow.versions.filter(state=VersionState.ACTIVE).first()
    workflow.versions.filter(state=VersionState.ACTIVE).update(state=VersionState.SUPERSEDED)
    WorkflowVersion.objects.filter(pk=version.pk).update(state=VersionState.ACTIVE, published_at=ClockTimestamp())
    Workflow.objects.filter(pk=workflow.pk).update(active=version, retired_at=None)
    version.refresh_from_db(fields=["state", "published_at"])
    payload = {
        "workflow": workflow.slug,
        "number": version.number,
        "before": before.number if before else None,
        "digest": version.digest,
        "reason": reason,
    }
    record(actor, version, "published", payload=payload)
    _grant_operations(actor, workflow)
    return version


def _grant_operations(actor: User, workflow: Workflow) -> None:
    """The workflow's own user may use what its version in force names, and what open runs still need."""
    holder = system_user(principal_of(workflow.slug))
    in_use = Q(state=VersionState.ACTIVE) | Q(
        pk__in=Run.objects.filter(workflow=workflow).exclude(state__in=RUN_FINAL).values("version")
    )
    wanted: set[str] = set()
    for compiled in workflow.versions.filter(in_use).values_list("compiled", flat=True):
        wanted |= definition_of(compiled).operations
    reason = _("Named by the workflow %s.") % workflow.slug
    for operation in Operation.objects.filter(slug__in=wanted).select_related("connector"):
        grant_operation(actor, holder=holder, operation=operation, unit=workflow.unit, reason=reason)
    surplus = OperationPermission.objects.filter(user=holder).exclude(content_object__slug__in=wanted)
    for permission in surplus.select_related("content_object__connector"):
        revoke_operation(
            actor,
            holder=holder,
            operation=permission.content_object,
            unit=workflow.unit,
            reason=_("No longer named by the workflow %s.") % workflow.slug,
        )


@transaction.atomic
def publish_document(
    actor: User, *, source: str | Source, reason: str = "", agreed_by: User | None = None
) -> tuple[WorkflowVersion, str]:
    """Put a document in force at once: ``created``, ``changed`` or ``unchanged``. What ``apply`` does."""
    read = _checked(actor, source)
    found = Workflow.objects.select_related("active").filter(slug=read.value["slug"]).first()
    if found is not None and found.active is not None and found.retired_at is None:
        compiled = compile_document(read.value, queues=catalogue(actor).queues or frozenset())
        same_words = found.description == read.value.get("description", "")
        if same_words and found.active.compiled == compiled:
            return found.active, "unchanged"
    version = save_draft(actor, source=read)
    publish_version(actor, version=version, reason=reason, is_reviewed=True, agreed_by=agreed_by)
    return version, "changed" if found is not None else "created"


@transaction.atomic
def rollback_workflow(actor: User, *, workflow: Workflow, number: int | None = None, reason: str) -> WorkflowVersion:
    """Put an earlier version back in force; without a number the one before. Raises NotFoundError."""
    if not reason.strip():
        raise InvalidError(errors={"reason": [_("Say why.")]})
    rows = workflow.versions.filter(state=VersionState.SUPERSEDED).order_by("-published_at", "-number")
    version = rows.filter(number=number).first() if number is not None else rows.first()
    if version is None:
        raise NotFoundError(_("There is no such earlier version."))
    return publish_version(actor, version=version, reason=reason)


@transaction.atomic
def retire_workflow(actor: User, *, workflow: Workflow, reason: str = "") -> Workflow:
    """No new runs; open runs go on. Again, nothing happens."""
    require_manager(actor, workflow.unit, PUBLISH)
    if Workflow.objects.filter(pk=workflow.pk, retired_at=None).update(retired_at=ClockTimestamp()):
        workflow.refresh_from_db(fields=["retired_at"])
        record(actor, workflow, "retired", payload={"reason": reason})
    return workflow
