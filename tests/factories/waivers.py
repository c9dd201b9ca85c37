"""Waivers, in force unless said otherwise."""

from typing import Any

from apps.core.models import User
from apps.policies.models import Policy, Waiver
from apps.policies.services.waivers import approve_waiver, ask_waiver
from tests.factories.access import make_admin


def make_waiver(
    policy: Policy, rule: str, *, scope: str, target: str, by: User | None = None, approved: bool = True, **fields: Any
) -> Waiver:
    """A waiver for seven days and one use that somebody asked for and somebody else approved."""
    about = {"reason": "The supplier is known.", "days": 7, "times": 1, **fields}
    made = ask_waiver(by or make_admin(), policy=policy, rule=rule, scope=scope, target=target, **about)
    return approve_waiver(make_admin(), waiver=made) if approved else made
