"""Policies, rules in words, the release in force, and what rules did."""

from apps.policies.selectors.cases import CaseCard, cases_for, in_words, try_rules, units_known
from apps.policies.selectors.history import history_for
from apps.policies.selectors.numbers import RuleNumbers, idle_rules_for, policy_numbers_for, rule_numbers_for
from apps.policies.selectors.policies import (
    RuleCard,
    matched_rules_for,
    policies_for,
    policy_for,
    rules_about_for,
    rules_for,
    versions_for,
)
from apps.policies.selectors.proposals import (
    Change,
    changes_of,
    changes_shown_for,
    is_earlier,
    is_tightened_by,
    may_release,
    open_proposals_for,
    proposal_for,
    proposal_of,
    proposals_for,
    proposals_of_item,
    publishers_for,
)
from apps.policies.selectors.releases import (
    Ground,
    RulesInForce,
    ground_for,
    release_in_force_for,
    release_number,
    rules_for_release,
)
from apps.policies.selectors.thresholds import ways_out_for

__all__ = [
    "CaseCard",
    "Change",
    "Ground",
    "RuleCard",
    "RuleNumbers",
    "RulesInForce",
    "cases_for",
    "changes_of",
    "changes_shown_for",
    "ground_for",
    "history_for",
    "idle_rules_for",
    "in_words",
    "is_earlier",
    "is_tightened_by",
    "matched_rules_for",
    "may_release",
    "open_proposals_for",
    "policies_for",
    "policy_for",
    "policy_numbers_for",
    "proposal_for",
    "proposal_of",
    "proposals_for",
    "proposals_of_item",
    "publishers_for",
    "release_in_force_for",
    "release_number",
    "rule_numbers_for",
    "rules_about_for",
    "rules_for",
    "rules_for_release",
    "try_rules",
    "units_known",
    "versions_for",
    "ways_out_for",
]
