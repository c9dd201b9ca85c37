"""What became of an agent's first calls: whether they came through, and why not."""

from dataclasses import dataclass
from datetime import datetime

from apps.agents.models import Action, Agent
from apps.agents.selectors import actions_for
from apps.audit.models import Entry
from apps.audit.rules import REFUSED
from apps.core.models import User
from apps.core.problems import ALL, Problem

SHOWN = 5
DEAD = "agentcredential.refused"


@dataclass(frozen=True, slots=True)
class FirstCall:
    """One call: what it asked for, or the problem with which it was refused. Neither: a key was used."""

    at: datetime
    action: Action | None = None
    code: str = ""
    door: str = ""

    @property
    def problem(self) -> Problem | None:
        """What the refusal means and what to do."""
        return next((problem for problem in ALL if self.code in problem.codes), None)


def first_calls_for(actor: User, agent: Agent) -> list[FirstCall]:
    """The latest calls of an agent that the caller fetched through ``agent_for``, newest first: of what leaves a trace.

    A key that the plane does not know leaves none here: nobody can tell whose it was meant to be.
    """
    keys = agent.credentials.order_by("-id")
    calls = [FirstCall(action.created_at, action=action) for action in actions_for(actor).filter(agent=agent)[:SHOWN]]
    refused = Entry.objects.filter(name=REFUSED, subject_id=agent.user_id).order_by("-id")[:SHOWN]
    dead = Entry.objects.filter(name=DEAD, subject_id__in=[key.pk for key in keys]).order_by("-id")[:SHOWN]
    for entry in [*refused, *dead]:
        told = entry.payload
        door = f"{told.get('method', '')} {told.get('path', '')}".strip()
        calls.append(FirstCall(entry.occurred_at, code=str(told.get("code", "")), door=door))
    used = [key.last_used_at for key in keys if key.last_used_at]
    if used and not calls:
        calls.append(FirstCall(max(used)))
    return sorted(calls, key=lambda call: call.at, reverse=True)[:SHOWN]
