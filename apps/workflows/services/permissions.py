"""Which agents may take a workflow's tasks and start its runs."""

from collections.abc import Mapping
from datetime import datetime

from django.contrib.auth.models import Permission
from django.db import transaction
from django.utils.translation import gettext as _

from apps.access.services import require_manager
from apps.agents.models import Agent
from apps.agents.services import bump_epoch
from apps.audit.services import record
from apps.core.errors import InvalidError
from apps.core.gate import refuse_agents
from apps.core.models import ClockTimestamp, User
from apps.workflows.models import Workflow, WorkflowPermission

CODENAMES = ("work_workflow", "start_run")
MANAGE_AGENT = "agents.manage_agent"


@transaction.atomic
def grant_workflow(
    actor: User, *, agent: Agent, workflow: Workflow, until: datetime | None = None, reason: str = ""
) -> str:
    """Let an agent take the tasks of a workflow and start runs of it: ``created``, ``changed`` or ``unchanged``."""
    _authorise(actor, agent, reason)
    found = WorkflowPermission.objects.select_for_update(of=("self",)).filter(
        user=agent.user, content_object=workflow, permission__codename__in=CODENAMES
    )
    rows = list(found)
    if len(rows) == len(CODENAMES) and all(row.until == until for row in rows):
        return "unchanged"
    if rows:
        found.update(until=until, granted_by=actor, granted_at=ClockTimestamp(), reason=reason)
    has = {row.permission_id for row in rows}
    for permission in Permission.objects.filter(content_type__app_label="workflows", codename__in=CODENAMES):
        if permission.pk not in has:
            WorkflowPermission.objects.create(
                user=agent.user,
                content_object=workflow,
                permission=permission,
                until=until,
                granted_by=actor,
                reason=reason,
            )
    _tell(actor, agent, workflow, "granted", reason, until)
    return "changed" if rows else "created"


@transaction.atomic
def revoke_workflow(actor: User, *, agent: Agent, workflow: Workflow, reason: str = "") -> bool:
    """Take it away, from the agent's next request on; whether it had it. What the agent holds it may finish."""
    _authorise(actor, agent, reason)
    gone, _by_model = WorkflowPermission.objects.filter(user=agent.user, content_object=workflow).delete()
    if gone:
        _tell(actor, agent, workflow, "revoked", reason, None)
    return bool(gone)


@transaction.atomic
def set_agent_workflows(
    actor: User, *, agent: Agent, workflows: Mapping[Workflow, datetime | None], reason: str = ""
) -> str:
    """Make an agent's workflows exactly these, each until its time: ``changed`` or ``unchanged``. What ended, ended."""
    said = {
        grant_workflow(actor, agent=agent, workflow=workflow, until=until, reason=reason)
        for workflow, until in workflows.items()
    }
    held = WorkflowPermission.objects.filter(
        WorkflowPermission.live(), user=agent.user, content_object__retired_at=None
    )
    others = Workflow.objects.filter(pk__in=held.values("content_object")).exclude(pk__in=[one.pk for one in workflows])
    for workflow in others:
        revoke_workflow(actor, agent=agent, workflow=workflow, reason=reason)
        said.add("changed")
    return "changed" if said - {"unchanged"} else "unchanged"


def _authorise(actor: User, agent: Agent, reason: str) -> None:
    refuse_agents(actor)
    require_manager(actor, agent.unit, MANAGE_AGENT)
    if actor.is_human and not reason.strip():
        raise InvalidError(errors={"reason": [_("Say why.")]})


def _tell(actor: User, agent: Agent, workflow: Workflow, name: str, reason: str, until: datetime | None) -> None:
    bump_epoch(agent)
    payload = {"workflow": workflow.slug, "holder": agent.user.username, "until": until, "reason": reason}
    record(actor, agent, f"permission.{name}", payload=payload)
