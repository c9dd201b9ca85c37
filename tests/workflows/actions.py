"""A paying agent and a bank, as tests of actions need them."""

import json
from dataclasses import dataclass
from itertools import count
from typing import Any

from django.test import Client

from apps.access.models import Queue
from apps.agents.models import Action, Agent
from apps.audit.tasks import deliver_reactions
from apps.connectors.models import Operation
from apps.core.models import User
from apps.core.services import system_user
from apps.oversight.models import Escalation
from apps.policies.models import Policy
from apps.policies.services import apply_policy
from apps.workflows.services.actions import perform_due, return_stopped
from tests.factories.access import make_approver, make_queue, make_unit
from tests.factories.agents import make_agent, make_key_for
from tests.factories.connectors import make_connector, make_operation, permit
from tests.factories.policies import make_policy, make_rule

_n = count(1)


@dataclass
class Desk:
    """An agent that may pay: up to 1,000.00 alone, above with a person, above 100,000.00 never."""

    agent: Agent
    key: str
    operation: Operation
    queue: Queue
    policy: Policy
    approver: User

    def post(self, path: str, body: Any, *, key: str | None = None, token: str | None = None, **headers: str):
        """What the API answers to the agent."""
        raw = body if isinstance(body, bytes | str) else json.dumps(body)
        more = {"Idempotency-Key": key} if key else {}
        return Client().post(
            f"/api/v1/{path}",
            raw,
            content_type="application/json",
            headers={"Authorization": f"Bearer {token or self.key}", **more, **headers},
        )

    def get(self, path: str):
        """What the API answers to the agent."""
        return Client().get(f"/api/v1/{path}", headers={"Authorization": f"Bearer {self.key}"})

    def body(self, amount_minor: Any = 50_000, **more: Any) -> dict[str, Any]:
        """A request to pay."""
        parameters = {"amount_minor": amount_minor, "currency": "EUR", "iban": "DE0017"}
        return {"operation": self.operation.slug, "parameters": {**parameters, **more.pop("parameters", {})}, **more}

    def ask(self, amount_minor: Any = 50_000, *, key: str | None = None, **more: Any):
        """Ask to pay, with a fresh idempotency key unless one is given."""
        return self.post("actions/", self.body(amount_minor, **more), key=key or f"k{next(_n)}")


def make_desk(
    base_url: str = "http://127.0.0.1:1029", *, obligations: dict[str, Any] | None = None, **operation: Any
) -> Desk:
    """``obligations``: of the rule that sends large payments to people."""
    unit = make_unit()
    queue = make_queue(unit=unit)
    agent = make_agent(unit=unit)
    paying = make_operation(connector=make_connector(base_url=base_url), **operation)
    permit(agent.user, paying)
    scope = {"operations": [paying.slug]}
    policy = make_policy(
        make_rule(slug="small", when="action.amount_minor <= 100000", scope=scope),
        make_rule(
            slug="large", when="action.amount_minor > 100000", effect="require_approval", queue=queue.slug, scope=scope,
            obligations=obligations or {},
        ),
        make_rule(slug="huge", when="action.amount_minor > 10000000", effect="deny", scope=scope, message="Never."),
        unit=unit,
    )  # fmt: skip
    return Desk(agent, make_key_for(agent), paying, queue, policy, make_approver(queue))


def rules_of(desk: Desk, *rules: dict[str, Any]) -> None:
    """From now on these rules judge the desk's payments."""
    scope = {"operations": [desk.operation.slug]}
    apply_policy(
        system_user("console"), slug=desk.policy.slug, name="P", unit=desk.agent.unit,
        rules=[make_rule(**{"scope": scope, **rule}) for rule in rules],
    )  # fmt: skip


def work() -> None:
    """What workers and the clock would do: follow the ledger, carry out what is due, until nothing is left."""
    while deliver_reactions() + return_stopped() + perform_due():
        pass


def the_action() -> Action:
    return Action.objects.get()


def the_item() -> Escalation:
    return Escalation.objects.get(state="pending")
