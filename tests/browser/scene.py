"""A small company of its own for each browser test: a unit, its approvers, an agent that pays, rules that ask."""

from dataclasses import dataclass
from itertools import count
from typing import Any

from apps.access.models import BusinessUnit, Queue
from apps.agents.models import Action, Agent
from apps.agents.rules import ActionState
from apps.connectors.models import Operation
from apps.connectors.rules import consequence_of, money_of, target_of
from apps.core.models import User
from apps.core.services import system_user
from apps.oversight.models import Escalation
from apps.oversight.rules import action_digest
from apps.oversight.services import Wanted, open_action_escalation, open_escalation
from apps.policies.rules import AgentFacts, Facts
from apps.policies.services import evaluate_action
from tests.factories.access import make_approver, make_queue, make_unit, make_user
from tests.factories.agents import make_agent
from tests.factories.connectors import PAYMENT, make_connector, make_operation, permit
from tests.factories.policies import make_policy

PASSWORD = "correct horse battery"
_n = count(1)


@dataclass
class Scene:
    """What ``set_the_scene`` made."""

    unit: BusinessUnit
    queue: Queue
    ada: User
    ben: User
    agent: Agent
    operation: Operation

    def payment(self, amount_minor: int = 184_000, *, risk: str = "medium", **fields: Any) -> Escalation:
        """An item that a payment caused, judged by the rules in force. ``parameters`` add to the usual ones."""
        extra = fields.pop("parameters", {})
        parameters = {"amount_minor": amount_minor, "currency": "EUR", "iban": "DE89370400440532013000", **extra}
        action = self._action(parameters, fields)
        verdict = evaluate_action(system_user("plane"), facts=self._facts(action))
        return open_action_escalation(system_user("plane"), action=action, verdict=verdict, risk=risk)

    def _action(self, parameters: dict[str, Any], fields: dict[str, Any]) -> Action:
        operation = self.operation
        money = money_of(parameters, operation.amount)
        return Action.objects.create(
            **{
                "principal": self.agent.user,
                "agent": self.agent,
                "version": self.agent.version,
                "unit": self.unit,
                "state": ActionState.PENDING_APPROVAL,
                "operation": operation.slug,
                "connector": operation.connector.slug,
                "effect": operation.effect,
                "parameters": parameters,
                "digest": action_digest(operation.slug, parameters),
                "definition_digest": operation.definition_digest,
                "amount_minor": money.minor if money else None,
                "currency": money.currency if money else "",
                "target": target_of(parameters, operation.target),
                "consequence": consequence_of(operation.consequence, parameters, money),
                "goal": "Pay the open invoice before its discount ends.",
                "reasoning": "The supplier **confirmed** the amount. <script>alert(1)</script>",
                "confidence": 0.93,
                "evidence": [{"title": "Invoice 8841", "text": "1,840.00 EUR, due 30 November"}],
                **fields,
            }
        )

    def _facts(self, action: Action) -> Facts:
        return Facts(
            operation=action.operation,
            effect=action.effect,
            connector=action.connector,
            parameters=action.parameters,
            amount_minor=action.amount_minor,
            currency=action.currency,
            target=action.target,
            confidence=action.confidence,
            agent=AgentFacts(
                slug=self.agent.slug,
                unit=self.unit.slug,
                risk=self.agent.risk,
                state=self.agent.state,
                version=1,
                owner=self.agent.owner.username,
            ),
            unit_id=self.unit.pk,
        )

    def question(self, title: str = "Which cost centre?", **about: Any) -> Escalation:
        """An item in which the agent asks instead of guessing."""
        return open_escalation(
            self.agent.user,
            kind="question",
            unit=self.unit,
            groups=[Wanted(self.queue)],
            title=title,
            agent=self.agent,
            consequence=title,
            **about,
        )


def set_the_scene(*, quorum: int = 1, **agent: Any) -> Scene:
    """A unit where payments above 1,000.00 need a person, and above 100,000.00 never run."""
    number = next(_n)
    unit = make_unit(name="Finance")
    queue = make_queue(unit=unit, name="Finance approvals")
    ada, ben = (
        make_approver(queue, name=name, username=f"{name.lower()}{number}", password=PASSWORD)
        for name in ("Ada", "Ben")
    )
    uma = make_user(name="Uma Example")
    payer = make_agent(name="Payer", unit=unit, owner=uma, purpose="Pays invoices that are due.", **agent)
    system = make_connector(name="Bank")
    schema = {**PAYMENT, "properties": {**PAYMENT["properties"], "urgent": {"type": "boolean"}}}
    operation = make_operation(connector=system, parameters=schema)
    permit(payer.user, operation)
    scope = {"operations": [operation.slug]}
    make_policy(
        {"slug": "small", "when": "action.amount_minor <= 100000", "effect": "allow", "scope": scope},
        {
            "slug": "large", "when": "action.amount_minor > 100000", "effect": "require_approval", "queue": queue.slug,
            "scope": scope, "obligations": {"quorum": quorum}, "message": "Payments above 1,000.00 need a person.",
        },
        {
            "slug": "huge", "when": "action.amount_minor > 10000000", "effect": "deny", "scope": scope,
            "message": "Above 100,000.00 no agent pays.",
        },
        unit=unit,
    )  # fmt: skip
    return Scene(unit, queue, ada, ben, payer, operation)
