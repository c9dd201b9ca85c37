"""Which agents and actions an actor may see."""

from apps.agents.selectors.actions import action_for, actions_for, taken_back_by, tried_trails_for
from apps.agents.selectors.agents import (
    access_token_for,
    access_tokens_for,
    agent_for,
    agents_for,
    credentials_for,
    may_have_another_key,
    refused_keys_for,
    require_at_work,
    require_live,
    require_working,
    require_working_agent,
    seen_of,
)
from apps.agents.selectors.changes import change_for, changes_for, open_changes_for, who_could_agree
from apps.agents.selectors.gates import case_for, cases_for, gate_for, is_gated, trial_for
from apps.agents.selectors.repetitions import dismissible_for, flag_for, flags_for, held_or_own_for
from apps.agents.selectors.targets import same_target, target_digests, target_names
from apps.agents.selectors.veils import hidden_of, reference_for, shown_to, veil_of_run
from apps.agents.selectors.versions import described, version_for, versions_for

__all__ = [
    "access_token_for",
    "access_tokens_for",
    "action_for",
    "actions_for",
    "agent_for",
    "agents_for",
    "case_for",
    "cases_for",
    "change_for",
    "changes_for",
    "credentials_for",
    "described",
    "dismissible_for",
    "flag_for",
    "flags_for",
    "gate_for",
    "held_or_own_for",
    "hidden_of",
    "is_gated",
    "may_have_another_key",
    "open_changes_for",
    "reference_for",
    "refused_keys_for",
    "require_at_work",
    "require_live",
    "require_working",
    "require_working_agent",
    "same_target",
    "seen_of",
    "shown_to",
    "taken_back_by",
    "target_digests",
    "target_names",
    "trial_for",
    "tried_trails_for",
    "veil_of_run",
    "version_for",
    "versions_for",
    "who_could_agree",
]
