"""Runs: what follows from decisions about their steps, and what runs by the clock."""

from apps.agents.models import Action
from apps.agents.rules import Handover
from apps.audit.models import Entry
from apps.audit.tasks import reaction
from apps.core.services import system_user
from apps.oversight.models import Escalation
from apps.workflows import services


@reaction
def resume_step(entry: Entry) -> None:
    """A step's inbox item ended: its run goes on, or its task is offered again with the answer."""
    if entry.payload.get("kind") not in {"approval", "form", "exception", "question"}:
        return
    escalation = Escalation.objects.select_related("decided_by").get(pk=entry.subject_id)
    if escalation.kind == "question":
        services.take_answer(entry.actor, escalation=escalation)
    else:
        services.resume_step(entry.actor, escalation=escalation)


@reaction
def resume_operation_step(entry: Entry) -> None:
    """An action that a workflow asked for ended without being carried out: its run goes on."""
    action = Action.objects.get(pk=entry.subject_id)
    services.resume_operation_step(entry.actor, action=action)


@reaction
def begin_run(entry: Entry) -> None:
    """A run that stood in line got its key."""
    services.begin_run(entry.actor, run_id=entry.subject_id)


@reaction
def return_tasks(entry: Entry) -> None:
    """Another version of an agent took over at once: what the one before held is offered again."""
    if entry.payload.get("handover") == Handover.RETURN:
        services.return_tasks_of_version(system_user("plane"), version_id=entry.subject_id)


def sweep_handovers() -> int:
    """Supersede the versions of agents that are through with what they held; how many."""
    return services.end_drained()


def sweep_tasks() -> int:
    """Take back what silent agents held, offer what waited; how much."""
    return services.expire_leases() + services.offer_scheduled()


def raise_forgotten() -> int:
    """Tell people of work that nobody takes; how much."""
    return services.raise_forgotten()


def sweep_runs() -> int:
    """Let due timers fire, begin what got its key; how much."""
    return services.fire_timers() + services.begin_promoted()


def retry_due_runs() -> int:
    """Begin runs anew that wait for it; how many."""
    return services.perform_due_retries()
