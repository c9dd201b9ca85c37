"""An agent that asks over HTTP: eight permissions, fifty rules, a verdict and its ledger entries, durable."""

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import httpx
from django.db.models import OuterRef, Subquery
from uuid_utils.compat import uuid7

from apps.agents.models import Agent, AgentCredential, AgentVersion
from apps.agents.services import revoke_credential
from apps.core.keys import make_key
from apps.core.models import ClockTimestamp, User, database_now
from apps.core.rules import digest_of
from tests.factories.access import make_admin, make_unit
from tests.factories.agents import make_agent, make_key_for
from tests.factories.budgets import make_budget
from tests.factories.connectors import make_operation, permit
from tests.factories.policies import make_policy, make_rule

CAP = 10**12
"""A budget that is never used up."""


@dataclass(frozen=True, slots=True)
class Asker:
    """An agent with its key, and what it asks for."""

    agent: Agent
    key: str
    body: dict[str, Any]

    def ask(self, client: httpx.Client) -> httpx.Response:
        """Ask once, for something new."""
        headers = {"Authorization": f"Bearer {self.key}", "Idempotency-Key": str(uuid7())}
        return client.post("/api/v1/actions/", json=self.body, headers=headers)


def make_asker(*, budget: bool = False) -> Asker:
    """One whose payment of 50.00 EUR is allowed, and counted against a budget where it is to have one."""
    unit = make_unit()
    agent = make_agent(unit=unit)
    operations = [make_operation(execution="both") for _ in range(8)]
    for operation in operations:
        permit(agent.user, operation)
    slug = operations[0].slug
    make_policy(
        make_rule(when="action.amount_minor <= 100000", scope={"operations": [slug]}),
        *(
            make_rule(when=f"action.amount_minor > {n}00000 && agent.risk == 'high'", effect="deny")
            for n in range(2, 51)
        ),
        unit=unit,
    )
    if budget:
        make_budget(agent, cap=CAP)
    parameters = {"amount_minor": 5000, "currency": "EUR", "iban": "DE00"}
    return Asker(agent, make_key_for(agent), {"operation": slug, "parameters": parameters, "execution": "agent"})


def wait_times(asker: Asker, url: str, *, clients: int, each: int) -> tuple[list[float], float]:
    """What each request waited, in milliseconds, and how many were answered a second."""

    def client_of(_number: int) -> list[float]:
        with httpx.Client(base_url=url, timeout=30) as client:
            return [_timed(lambda: _allowed(asker, client)) for _ in range(each)]

    began = time.perf_counter()
    with ThreadPoolExecutor(clients) as pool:
        found = [wait for part in pool.map(client_of, range(clients)) for wait in part]
    return found, len(found) / (time.perf_counter() - began)


def revocation_times(asker: Asker, url: str, *, rounds: int) -> list[float]:
    """From the commit of a revocation to the first refusal, in milliseconds; the key has just been used."""
    admin, found = make_admin(), []
    with httpx.Client(base_url=url, timeout=30) as client:
        for _ in range(rounds):
            credential, key = _another_key(asker.agent)
            mine = Asker(asker.agent, key, asker.body)
            _allowed(mine, client)
            revoke_credential(admin, credential=credential)
            began = time.perf_counter()
            while mine.ask(client).status_code != 401:
                pass
            found.append((time.perf_counter() - began) * 1000)
    return found


def make_many_agents(count: int) -> None:
    """``count`` agents in fifty units, each with a version and a key that was used."""
    units, owner = [make_unit() for _ in range(50)], make_admin()
    users = [User(username=f"agent:many-{n}", kind="agent", name=f"Agent {n}", password="!") for n in range(count)]
    User.objects.bulk_create(users, batch_size=1000)
    agents = [
        Agent(slug=f"many-{n}", name=f"Agent {n}", unit=units[n % 50], owner=owner, user=user, state="active")
        for n, user in enumerate(users)
    ]
    Agent.objects.bulk_create(agents, batch_size=1000)
    digest = digest_of({})
    versions = [AgentVersion(agent=agent, number=1, state="active", digest=digest, made_by=owner) for agent in agents]
    AgentVersion.objects.bulk_create(versions, batch_size=1000)
    first = AgentVersion.objects.filter(agent=OuterRef("pk"), number=1)
    Agent.objects.filter(version=None).update(version=Subquery(first.values("pk")))
    now = database_now()
    keys = [make_key("acp_agt") for _ in agents]
    credentials = [
        AgentCredential(
            agent=agent, key_id=key.key_id, digest=key.digest, made_by=owner, last_used_at=now,
            expires_at=now + timedelta(days=30),
        )
        for agent, key in zip(agents, keys, strict=True)
    ]  # fmt: skip
    AgentCredential.objects.bulk_create(credentials, batch_size=1000)


def _another_key(agent: Agent) -> tuple[AgentCredential, str]:
    key = make_key("acp_agt")
    credential = AgentCredential.objects.create(
        agent=agent, key_id=key.key_id, digest=key.digest, made_by=agent.owner,
        expires_at=ClockTimestamp() + timedelta(days=30),
    )  # fmt: skip
    return credential, key.text


def _allowed(asker: Asker, client: httpx.Client) -> None:
    assert asker.ask(client).status_code == 202


def _timed(call: Callable[[], Any]) -> float:
    began = time.perf_counter()
    call()
    return (time.perf_counter() - began) * 1000
