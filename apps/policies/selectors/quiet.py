"""What an actor may know of the confidential rules that a verdict names."""

from collections.abc import Collection, Mapping
from typing import Any

from apps.core.models import User
from apps.policies.rules.quiet import confidential_policies, quieted
from apps.policies.selectors.policies import slugs_seen_by


def quieted_for(actor: User, verdict: Mapping[str, Any]) -> dict[str, Any]:
    """A verdict as ``actor`` may know it: of confidential rules all, where they may see the policy and are a person.

    No query where no rule is confidential.
    """
    return quieted(verdict, seen_of(actor, confidential_policies(verdict)))


def seen_of(actor: User, policies: Collection[str]) -> set[str]:
    """Which of these policies ``actor`` may see; an agent none. No query where there are none, else one a request."""
    if not policies or actor.is_agent:
        return set()
    return slugs_seen_by(actor) & set(policies)
