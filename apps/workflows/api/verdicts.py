"""What agents are told of verdicts."""

from typing import Any

from apps.policies.rules import public_waiver

PUBLIC_VERDICT = (
    "effect",
    "reason",
    "rules",
    "obligations",
    "release",
    "allowed_when",
    "avoided_when",
    "waivers",
    "budgets",
    "standing",
)


def told_verdict(verdict: dict[str, Any]) -> dict[str, Any]:
    """The verdict as its agent gets it: what a person approved in advance is allowed, with the rule and the person."""
    told = {name: verdict[name] for name in PUBLIC_VERDICT if name in verdict}
    if "waivers" in told:
        told["waivers"] = [public_waiver(waiver) for waiver in told["waivers"]]
    return {**told, "effect": "allow"} if told.get("standing") else told
