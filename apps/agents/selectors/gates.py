"""The gate between pilot and active: computed, shown, and never passed by itself."""

from collections.abc import Callable
from dataclasses import replace
from typing import cast
from uuid import UUID

from django.conf import settings
from django.db.models import QuerySet
from django.utils.module_loading import import_string

from apps.agents.models import Agent, AgentCase
from apps.agents.rules import TWO_PEOPLE, AgentState, Criterion, TrackRecord, gate_of
from apps.agents.rules.cases import Trial
from apps.audit.models import Entry
from apps.core.errors import NotFoundError
from apps.core.models import User


def gate_for(actor: User, agent: Agent) -> list[Criterion]:
    """How an agent that the caller fetched through ``agent_for`` stands against each line of the gate, now."""
    assert actor.is_active
    ask = cast("Callable[[Agent], TrackRecord]", import_string(settings.AGENT_RECORD))
    trial = trial_for(actor, agent)
    done = replace(
        ask(agent),
        tests=len(trial.results),
        broken=trial.broken,
        rejudged=trial.rejected,
        allowed_again=len(trial.allowed_again),
    )
    return gate_of(done)


def cases_for(actor: User, agent: Agent) -> QuerySet[AgentCase]:
    """The tests that are stored with an agent fetched for ``actor``, newest first."""
    assert actor.is_active
    return agent.cases.select_related("made_by").order_by("-id")


def case_for(actor: User, agent: Agent, case_id: UUID) -> AgentCase:
    """One of them. Raises NotFoundError."""
    if found := cases_for(actor, agent).filter(pk=case_id).first():
        return found
    raise NotFoundError


def trial_for(actor: User, agent: Agent) -> Trial:
    """What the plane would say now to the tests that are stored with such an agent (``settings.AGENT_TRIAL``)."""
    assert actor.is_active
    return cast("Callable[[Agent], Trial]", import_string(settings.AGENT_TRIAL))(agent)


def is_gated(agent: Agent) -> bool:
    """Whether active is behind the gate for ``agent``: unless it worked until it was suspended, it is.

    A high-risk agent that got a version meanwhile which nobody tried never worked as what it is now.
    """
    if agent.state != AgentState.SUSPENDED:
        return True
    suspended = Entry.objects.filter(subject_id=agent.pk, name="agent.suspended").order_by("-id").first()
    if suspended is None or suspended.payload.get("from") != AgentState.ACTIVE:
        return True
    if agent.risk not in TWO_PEOPLE or agent.version_id is None:
        return False
    since = Entry.objects.filter(subject_id=agent.version_id, name="agentversion.active", id__gt=suspended.pk)
    return any(entry.payload.get("rollback") is False for entry in since)
