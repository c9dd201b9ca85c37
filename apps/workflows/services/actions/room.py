"""How much an agent does at once: tasks that it holds, and actions that are being carried out."""

from collections.abc import Collection
from uuid import UUID

from django.db import connection
from django.utils.translation import gettext as _

from apps.agents.models import Action, Agent
from apps.agents.rules import Environment
from apps.core.errors import RateLimitedError

AGAIN_S = 1
AT_ONCE = """
SELECT (SELECT count(*) FROM agents_action WHERE agent_id = %(agent)s AND state = 'executing' AND environment = 'live')
     + (SELECT count(*) FROM workflows_task t WHERE t.agent_id = %(agent)s AND t.state = 'claimed'
        AND NOT t.id = ANY(%(tasks)s) AND NOT EXISTS (
            SELECT 1 FROM agents_action a WHERE a.agent_id = t.agent_id AND a.task_id = t.id AND a.state = 'executing'))
"""
"""A task and the first action that is carried out for it are one thing; each further action is one more."""


def lock_agent(agent: Agent) -> None:
    """What an agent begins takes turns, so that its limit is never exceeded. After runs and actions, before tasks.

    ``agent`` has its state of now, and keeps it until the end of the transaction: whoever suspends it in this moment
    comes before or after.
    """
    agent.state = Agent.objects.select_for_update(no_key=True).values_list("state", flat=True).get(pk=agent.pk)


def busy_with(agent_id: UUID, *, but_tasks: Collection[UUID] = ()) -> int:
    """How many things an agent that was locked does now, but for tasks whose actions are about to be counted."""
    with connection.cursor() as cursor:
        cursor.execute(AT_ONCE, {"agent": agent_id, "tasks": list(but_tasks)})
        return int(cursor.fetchone()[0])


def require_room_for(actions: Collection[Action]) -> None:
    """Raise RateLimitedError ``too_many_at_once`` where an agent has no room for what begins now. Rows stay locked.

    Only what is live counts: a test has no effects. What the plane itself began, for no agent, is not limited.
    """
    agents = {
        action.agent.pk: action.agent for action in actions if action.agent and action.environment == Environment.LIVE
    }
    for pk, agent in sorted(agents.items()):
        mine = [action for action in actions if action.agent_id == pk]
        tasks = {action.task_id for action in mine if action.task_id}
        lock_agent(agent)
        if busy_with(pk, but_tasks=tasks) + len(mine) > agent.max_concurrent:
            raise RateLimitedError(
                _("The agent does %d things at once already.") % agent.max_concurrent,
                code="too_many_at_once",
                retry_after_s=AGAIN_S,
            )
