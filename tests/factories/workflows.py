"""Workflows, agents that work in them, and systems that answer."""

from itertools import count
from typing import Any
from uuid import UUID

import yaml
from django.contrib.auth.models import Permission

from apps.access.models import BusinessUnit, Queue
from apps.agents.models import Action, Agent
from apps.agents.rules import ActionState
from apps.audit.models import Entry
from apps.audit.services import advance
from apps.connectors.models import Effect, Operation
from apps.core.models import ClockTimestamp, User
from apps.core.services import system_user
from apps.oversight.models import Escalation
from apps.oversight.services import cast_vote
from apps.workflows.models import ErasureRequest, Run, Task, Workflow, WorkflowPermission
from apps.workflows.services import ask_erasure, complete_operation_step, erase_trail, publish_document, start_run
from apps.workflows.services.actions.taken_back import follow_end
from tests.factories.access import make_admin, make_holder, make_queue, make_unit
from tests.factories.agents import make_agent
from tests.factories.connectors import make_connector, make_operation
from tests.factories.policies import make_policy

_n = count(1)
ANYTHING: dict[str, Any] = {"type": "object"}


def make_workflow(document: dict[str, Any] | str, **fields: Any) -> Workflow:
    """A published workflow; what it refers to is made where it is missing, and policy allows everything."""
    value: dict[str, Any] = yaml.safe_load(document) if isinstance(document, str) else dict(document)
    value = {"kind": "Workflow", "slug": f"flow-{next(_n)}", "name": "Flow", **value, **fields}
    value.setdefault("unit", make_unit().slug)
    make_surroundings(value)
    text = document if isinstance(document, str) and not fields else yaml.safe_dump(value, sort_keys=False)
    version, _ = publish_document(system_user("console"), source=text)
    return Workflow.objects.select_related("unit", "active").get(pk=version.workflow_id)


def make_surroundings(document: dict[str, Any]) -> None:
    """Unit, queues, an agent per capability and operations that a document names."""
    unit = BusinessUnit.objects.filter(slug=document["unit"]).first() or make_unit(slug=document["unit"])
    for slug in sorted(_queues(document)):
        if not Queue.objects.filter(slug=slug).exists():
            make_queue(slug=slug, unit=unit)
    for step in document["steps"].values():
        if "agent" in step and not Agent.objects.filter(capabilities__contains=[step["agent"]]).exists():
            make_agent(unit=unit, capabilities=[step["agent"]])
    for slug, effect in _operations(document).items():
        if not Operation.objects.filter(slug=slug).exists():
            make_operation(
                slug=slug, effect=effect, parameters=ANYTHING, amount=None, target="", connector=make_connector()
            )
    make_policy()


def _queues(document: dict[str, Any]) -> set[str]:
    found = {document.get("sla", {}).get("to")}
    for step in document["steps"].values():
        found |= {step.get("queue"), step.get("due", {}).get("to")}
        quorum = step.get("quorum")
        found |= {group["queue"] for group in (quorum if isinstance(quorum, list) else ()) if "queue" in group}
        if step.get("on_error", {}).get("then") != "reroute" or "." not in step["on_error"].get("to", ""):
            found.add(step.get("on_error", {}).get("to"))
    return {slug for slug in found if slug}


def _operations(document: dict[str, Any]) -> dict[str, str]:
    found: dict[str, str] = {}
    for step in document["steps"].values():
        if "operation" in step:
            found.setdefault(step["operation"], "write" if "compensate" in step else "irreversible")
        if "compensate" in step:
            found.setdefault(step["compensate"]["operation"], "irreversible")
    return found


def make_worker(workflow: Workflow, *capabilities: str, **fields: Any) -> Agent:
    """An agent that may take the workflow's tasks and start its runs."""
    agent = make_agent(unit=workflow.unit, capabilities=list(capabilities), **fields)
    permit_workflow(agent, workflow)
    return agent


def permit_workflow(agent: Agent, workflow: Workflow, **more: Any) -> None:
    """Let ``agent`` work in ``workflow``, without asking anybody."""
    for permission in Permission.objects.filter(
        content_type__app_label="workflows", codename__in=["work_workflow", "start_run"]
    ):
        WorkflowPermission.objects.create(
            user=agent.user, content_object=workflow, permission=permission, granted_by=system_user("console"), **more
        )


def make_run(workflow: Workflow, given: Any = None, *, actor: User | None = None, **fields: Any) -> Run:
    """A started run."""
    person = actor or make_holder("workflows.start_run", "workflows.view_run", "workflows.operate_run")
    return start_run(person, workflow=workflow.slug, input={} if given is None else given, **fields)


def waiting_action(run: Run, step: str) -> Action:
    """The newest action that ``run`` asked for in ``step`` and that may be carried out."""
    return Action.objects.filter(run_id=run.pk, step=step, agent=None).order_by("-id")[0]


def carry_out(action: Action, result: Any = None, *, code: str = "", status: int | None = None) -> Run | None:
    """Let the system of record answer: ``result``, or the error ``code``, as the plane does when an effect settled."""
    plane = system_user("plane")
    action = Action.objects.select_related("unit").get(pk=action.pk)
    assert Effect.objects.filter(action=action).update(state="failed" if code else "succeeded") == 1
    if action.state == ActionState.APPROVED:
        advance(plane, action, ActionState.EXECUTING)
    error = {"code": code, "message": "No.", "status": status} if code else None
    to = ActionState.FAILED if code else ActionState.SUCCEEDED
    advance(plane, action, to, result=result, error=error, finished_at=ClockTimestamp())
    follow_end(plane, action)
    return complete_operation_step(plane, action=action)


def open_item(run: Run, step: str = "", **fields: Any) -> Escalation:
    """The item of ``run`` that waits for people."""
    where = {"run_id": run.pk, "state": "pending", **fields}
    return Escalation.objects.filter(**where, **({"step": step} if step else {})).get()


def decide(item: Escalation, person: User, verdict: str, **fields: Any) -> None:
    """Cast one vote on ``item`` and deliver what follows."""
    if verdict == "reject":
        fields.setdefault("reason", "Not good.")
    cast_vote(person, escalation_id=item.pk, verdict=verdict, version=item.version, **fields)
    deliver_all()


def deliver_all() -> None:
    """Deliver every reaction that is due."""
    from apps.audit.tasks import deliver_reactions

    deliver_reactions()


def task_of(run: Run, step: str, item: int = 0) -> Task:
    """The task of an item."""
    return Task.objects.get(run=run, step=step, item=item)


def erase(actor: User, trail_id: UUID, reason: str) -> Entry:
    """Erase a trail as two people do: an administrator asks, unless somebody did, and ``actor`` agrees."""
    if not ErasureRequest.objects.filter(ErasureRequest.open(), trail_id=trail_id).exists():
        ask_erasure(make_admin(), trail_id=trail_id, reason=reason)
    return erase_trail(actor, trail_id=trail_id)
