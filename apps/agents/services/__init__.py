"""Commands on agents, their versions and credentials, and on actions."""

from apps.agents.services.access_tokens import forget_tokens, revoke_access_token
from apps.agents.services.actions import cancel_action, propose_action
from apps.agents.services.agents import (
    bump_epoch,
    change_risk,
    change_state,
    create_agent,
    save_agent,
    suspend_ownerless,
)
from apps.agents.services.cases import add_case, change_case, remove_case, set_cases
from apps.agents.services.changes import agree_to_change, apply_state, ask_change, drop_change
from apps.agents.services.credentials import (
    IssuedKey,
    authenticate_agent,
    create_credential,
    register_public_key,
    revoke_credential,
)
from apps.agents.services.describing import describe_agent
from apps.agents.services.erasing import erase_actions
from apps.agents.services.repetitions import dismiss_flag, note_repetition
from apps.agents.services.versions import promote_version, save_version

__all__ = [
    "IssuedKey",
    "add_case",
    "agree_to_change",
    "apply_state",
    "ask_change",
    "authenticate_agent",
    "bump_epoch",
    "cancel_action",
    "change_case",
    "change_risk",
    "change_state",
    "create_agent",
    "create_credential",
    "describe_agent",
    "dismiss_flag",
    "drop_change",
    "erase_actions",
    "forget_tokens",
    "note_repetition",
    "promote_version",
    "propose_action",
    "register_public_key",
    "remove_case",
    "revoke_access_token",
    "revoke_credential",
    "save_agent",
    "save_version",
    "set_cases",
    "suspend_ownerless",
]
