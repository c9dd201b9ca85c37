"""Policies, in force unless said otherwise."""

from dataclasses import replace
from itertools import count
from typing import Any

from apps.access.models import BusinessUnit
from apps.core.services import system_user
from apps.policies.models import Policy
from apps.policies.rules import AgentFacts, Facts, ProposalState
from apps.policies.services import apply_policy, publish_policy, retire_policy, save_policy
from tests.factories.access import make_admin

_n = count(1)


def make_rule(**fields: Any) -> dict[str, Any]:
    """An allow rule that always matches, as a document."""
    return {"slug": f"rule{next(_n)}", "when": "true", "effect": "allow", **fields}


def make_policy(
    *rules: dict[str, Any], unit: BusinessUnit | None = None, in_force: bool = True, **fields: Any
) -> Policy:
    """A policy with ``rules`` (one that allows everything, if none is given)."""
    number = next(_n)
    write = apply_policy if in_force else save_policy
    policy, _ = write(
        system_user("console"),
        **{
            "slug": f"policy{number}",
            "name": f"Policy {number}",
            "unit": unit,
            "rules": list(rules) or [make_rule()],
            **fields,
        },
    )
    return policy


def make_retired(policy: Policy) -> Policy:
    """The policy out of force, as two people take it."""
    made = retire_policy(make_admin(), policy=policy, reason="Over.")
    if made.state == ProposalState.OPEN:
        publish_policy(make_admin(), policy=policy, version=made.version.number)
    policy.refresh_from_db()
    return policy


def make_facts(**fields: Any) -> Facts:
    """A payment of 500.00 by an agent."""
    base = Facts(
        operation="bank.pay",
        effect="irreversible",
        connector="bank",
        amount_minor=50_000,
        currency="EUR",
        parameters={"iban": "DE00"},
        agent=AgentFacts(slug="payer", risk="medium", state="active"),
    )
    return replace(base, **fields)
