"""What waits for people: an agent's payment under a rule, a step of a run, a question."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count
from typing import Any

from django.db import transaction
from uuid_utils.compat import uuid7

from apps.access.models import BusinessUnit, Queue
from apps.agents.models import Action, Agent
from apps.agents.rules import ActionState
from apps.audit.models import Entry
from apps.audit.services import advance
from apps.connectors.models import Operation
from apps.connectors.selectors import Permitted
from apps.core.models import User
from apps.core.rules import highest_risk
from apps.core.services import system_user
from apps.oversight.models import Comment, Escalation, Grant, Vote
from apps.oversight.rules import action_digest
from apps.oversight.selectors import escalation_for
from apps.oversight.services import cast_vote, open_action_escalation, open_escalation
from apps.policies.rules import AgentFacts, Facts
from apps.policies.services import evaluate_action
from tests.factories.access import make_approver, make_queue, make_unit
from tests.factories.agents import make_action, make_agent
from tests.factories.connectors import make_operation, permit
from tests.factories.policies import make_policy, make_rule

_n = count(1)
PAYMENT = {"amount_minor": 250_000, "currency": "EUR", "iban": "DE0017"}


@dataclass(slots=True)
class Payment:
    """An agent's payment that waits in ``queue`` for ``ada`` or ``ben``."""

    unit: BusinessUnit
    queue: Queue
    agent: Agent
    operation: Operation
    action: Action
    item: Escalation
    ada: User
    ben: User

    def approver(self, **fields: Any) -> User:
        """One more person who serves the queue."""
        return make_approver(self.queue, **fields)

    def now(self) -> Escalation:
        """The item as it is now."""
        return Escalation.objects.get(pk=self.item.pk)

    def action_now(self) -> Action:
        """The action as it is now."""
        return Action.objects.get(pk=self.action.pk)


@transaction.atomic
def make_payment(
    *rules: dict[str, Any],
    parameters: dict[str, Any] | None = None,
    risk: str = "medium",
    quorum: int = 1,
    obligations: dict[str, Any] | None = None,
    **fields: Any,
) -> Payment:
    """Payments up to 1,000.00 are allowed, above that people decide, above 100,000.00 they are denied.

    ``rules`` come on top; their ``queue`` defaults to the payment's.
    """
    unit = fields.pop("unit", None) or make_unit()
    queue = make_queue(unit=unit)
    agent = make_agent(unit=unit, risk=risk)
    operation = make_operation()
    permit(agent.user, operation)
    scope = {"operations": [operation.slug]}
    own = [
        make_rule(slug="small", when="action.amount_minor <= 100000", scope=scope),
        make_rule(
            slug="large",
            when="action.amount_minor > 100000",
            effect="require_approval",
            queue=queue.slug,
            scope=scope,
            obligations={"quorum": quorum, **(obligations or {})},
            message="Payments above 1,000.00 need a person.",
        ),
        make_rule(
            slug="huge",
            when="action.amount_minor > 10000000",
            effect="deny",
            scope=scope,
            message="Above 100,000.00 no agent pays.",
        ),
    ]
    more = [make_rule(**{"scope": scope, **_queued(rule, queue)}) for rule in rules]
    make_policy(*own, *more, unit=unit)
    payment = {**PAYMENT, **(parameters or {})}
    action = propose(agent, operation, payment, **fields)
    item = escalate(action, operation)
    names = (f"ada{next(_n)}", f"ben{next(_n)}")
    ada, ben = (make_approver(queue, username=name) for name in names)
    return Payment(unit, queue, agent, operation, action, item, ada, ben)


def _queued(rule: dict[str, Any], queue: Queue) -> dict[str, Any]:
    wants = rule.get("effect") == "require_approval" and "queue" not in rule
    return {**rule, "queue": queue.slug} if wants else rule


def propose(agent: Agent, operation: Operation, parameters: dict[str, Any], **fields: Any) -> Action:
    """The action as a request past the schema leaves it."""
    permitted = Permitted(operation, None, None)
    money = permitted.money(parameters)
    return make_action(
        agent=agent,
        operation=operation.slug,
        connector=operation.connector.slug,
        effect=operation.effect,
        parameters=parameters,
        digest=action_digest(operation.slug, parameters),
        amount_minor=money.minor if money else None,
        currency=money.currency if money else "",
        target=permitted.target(parameters),
        consequence=permitted.consequence(parameters),
        **fields,
    )


def escalate(action: Action, operation: Operation, **more: Any) -> Escalation:
    """Judge a proposed action and put it before people, as asking does."""
    agent = action.agent
    assert agent
    facts = Facts(
        operation=operation.slug,
        effect=operation.effect,
        connector=action.connector,
        parameters=action.parameters,
        amount_minor=action.amount_minor,
        currency=action.currency,
        target=action.target,
        agent=AgentFacts(
            slug=agent.slug,
            unit=agent.unit.slug,
            risk=agent.risk,
            state=agent.state,
            version=1,
            owner=agent.owner.username,
        ),
        unit_id=action.unit_id,
    )
    verdict = evaluate_action(agent.user, facts=facts)
    assert verdict.effect == "require_approval", verdict
    stored = {"verdict": verdict.as_json(), "release_number": verdict.release}
    advance(agent.user, action, ActionState.PENDING_APPROVAL, **stored)
    risk = highest_risk(agent.risk, verdict.risk)
    return open_action_escalation(agent.user, action=action, verdict=verdict, risk=risk, **more)


@transaction.atomic
def make_escalation(**fields: Any) -> Escalation:
    """An approval step of a run, unless ``kind`` says otherwise."""
    queue = fields.pop("queue", None) or make_queue()
    return open_escalation(
        system_user("plane"),
        **{
            "kind": "approval",
            "unit": queue.unit,
            "groups": [(queue, fields.pop("needed", 1))],
            "title": "Approve the order",
            "workflow": "purchase-order",
            "run_id": uuid7(),
            "step": "approve",
            "round": 1,
            "run_starter": "olga",
            "subject": {"amount_minor": 90_000, "currency": "EUR", "vendor": "ACME"},
            **fields,
        },
    )


def say(actor: User, item: Escalation, verdict: str = "approve", **words: Any) -> Escalation:
    """Vote on what ``actor`` sees now, unless ``version`` says otherwise."""
    version = words.pop("version", None) or escalation_for(actor, item.pk).version
    return cast_vote(actor, escalation_id=item.pk, verdict=verdict, version=version, **words)


def snapshot() -> dict[str, Any]:
    """Everything that a refused decision must leave as it was."""
    return {
        "items": list(Escalation.objects.order_by("id").values()),
        "actions": list(Action.objects.order_by("id").values()),
        "votes": list(Vote.objects.order_by("id").values()),
        "grants": list(Grant.objects.order_by("id").values()),
        "comments": Comment.objects.count(),
        "entries": Entry.objects.exclude(name="request.refused").count(),
    }


@contextmanager
def nothing_happens() -> Iterator[None]:
    """Assert that the block leaves no vote, grant, comment or entry but of a refusal, and no item or action changed."""
    before = snapshot()
    yield
    assert snapshot() == before
