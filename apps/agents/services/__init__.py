"""Commands on agents, their versions and credentials, and on actions."""

from apps.agents.services.actions import cancel_action, propose_action
from apps.agents.services.agents import bump_epoch, change_state, save_agent, save_version
from apps.agents.services.credentials import IssuedKey, authenticate_agent, create_credential, revoke_credential
from apps.agents.services.erasing import erase_actions
from apps.agents.services.repetitions import dismiss_flag, note_repetition

__all__ = [
    "IssuedKey",
    "authenticate_agent",
    "bump_epoch",
    "cancel_action",
    "change_state",
    "create_credential",
    "dismiss_flag",
    "erase_actions",
    "note_repetition",
    "propose_action",
    "revoke_credential",
    "save_agent",
    "save_version",
]
