"""Agents, keys and actions."""

from datetime import timedelta
from itertools import count
from typing import Any

from apps.agents.models import Action, Agent, AgentCredential, AgentVersion
from apps.connectors.models import Operation
from apps.core.keys import make_key
from apps.core.models import ClockTimestamp, User
from apps.core.rules import digest_of
from tests.factories.access import make_unit, make_user

_n = count(1)


def make_agent(**fields: Any) -> Agent:
    """An active agent with an active version."""
    number = next(_n)
    slug = fields.pop("slug", f"agent{number}")
    user = User.objects.create(username=f"agent:{slug}", kind="agent", name=slug, password="!")
    unit = fields.pop("unit", None) or make_unit()
    owner = fields.pop("owner", None) or make_user()
    agent = Agent.objects.create(
        **{
            "slug": slug,
            "name": f"Agent {number}",
            "unit": unit,
            "owner": owner,
            "user": user,
            "state": "active",
            **fields,
        }
    )
    version = AgentVersion.objects.create(
        agent=agent, number=1, state="active", model="none", digest=digest_of({}), made_by=owner
    )
    Agent.objects.filter(pk=agent.pk).update(version=version)
    agent.version = version
    return agent


def make_key_for(agent: Agent, **fields: Any) -> str:
    """The text of a new live key of ``agent``."""
    key = make_key("acp_agt")
    AgentCredential.objects.create(
        **{
            "agent": agent,
            "key_id": key.key_id,
            "digest": key.digest,
            "made_by": agent.owner,
            "expires_at": ClockTimestamp() + timedelta(days=30),
            **fields,
        }
    )
    return key.text


def make_action(**fields: Any) -> Action:
    """A proposed action, judged on its operation as it is now."""
    agent = fields.pop("agent", None) or make_agent()
    operation = Operation.objects.select_related("connector").filter(slug=fields.get("operation", "bank.pay")).first()
    parameters = fields.pop("parameters", {"amount_minor": 5000, "currency": "EUR"})
    return Action.objects.create(
        **{
            "principal": agent.user,
            "agent": agent,
            "version": agent.version,
            "unit": agent.unit,
            "operation": "bank.pay",
            "connector": "bank",
            "effect": "write",
            "parameters": parameters,
            "digest": digest_of(parameters),
            "definition_digest": operation.definition_digest if operation else "",
            **fields,
        }
    )
