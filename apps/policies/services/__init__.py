"""Commands on policies, and the judgement of actions."""

from apps.policies.services.erasing import erase_proposals
from apps.policies.services.levels import propose_level
from apps.policies.services.numbers import count_entries
from apps.policies.services.policies import apply_policy, check_policy, publish_policy, save_policy
from apps.policies.services.proposals import (
    decline_proposal,
    propose_change,
    propose_rules,
    retire_policy,
    roll_back_policy,
)
from apps.policies.services.verdicts import evaluate_action

__all__ = [
    "apply_policy",
    "check_policy",
    "count_entries",
    "decline_proposal",
    "erase_proposals",
    "evaluate_action",
    "propose_change",
    "propose_level",
    "propose_rules",
    "publish_policy",
    "retire_policy",
    "roll_back_policy",
    "save_policy",
]
