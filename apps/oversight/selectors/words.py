"""What people are told of why they may not decide, and the reasons they can give."""

from typing import Any

from django.utils.translation import gettext_lazy as _

from apps.oversight.rules import Kind
from apps.oversight.rules.feedback import Said

WHY_NOT = {
    "not_human": _("Only people decide."),
    "inactive": _("Your account is not active."),
    "no_permission": _("You may see this and not decide it: your roles in this unit do not include deciding."),
    "not_in_queue": _("It waits for people of another queue."),
    "not_yet_asked": _("Your turn comes when those who are asked before you are complete."),
    "requester": _("You asked for this yourself, or somebody asked for you. Somebody else decides."),
    "agent_owner": _("You own this agent, and the rule wants somebody else to decide."),
    "run_starter": _("You started this run, and the rule wants somebody else to decide."),
    "policy_author": _("You wrote the rule that asks, and it wants somebody else to decide."),
    "editor": _("You edited this and the edit needs a stricter look, so somebody else decides."),
    "step_up": _("Confirm first that it is you."),
    "excluded": _("You are excluded from deciding this item."),
}
"""A sentence for each word of ``why_not_eligible`` and of what decisions refuse besides."""

NO_CHANGES = {
    Kind.ACTION: _("The agent cannot be told what to change: approve it or reject it."),
    Kind.APPROVAL: _("The workflow has nowhere to go back to from here: reject it."),
    Kind.FORM: _("The workflow has nowhere to go back to from here: answer what can be answered."),
    Kind.QUESTION: _("No agent waits here that could ask differently: answer it."),
    Kind.EXCEPTION: _("Nobody asked for this: something failed. Say how it goes on."),
    Kind.UNKNOWN: _("Nobody asked for this: a system fell silent. Say what it did."),
    Kind.REVIEW: _("This was done already: say what it was."),
}
"""Why no changes can be requested of an item of each kind, where they cannot."""

REASONS: tuple[tuple[str, Any], ...] = (
    ("wrong_amount", _("Wrong amount")),
    ("wrong_target", _("Wrong counterparty or record")),
    ("missing_evidence", _("Not enough evidence")),
    ("against_policy", _("Against policy")),
    ("duplicate", _("Already done, or a duplicate")),
    ("bad_timing", _("Not now")),
    ("too_risky", _("Too risky as it stands")),
    ("not_needed", _("No longer needed")),
    ("other", _("Another reason")),
)
"""Presets ``1`` to ``9``. The agent gets the code and the text."""


SAID = {
    Said.APPROVED: _("Approved as asked"),
    Said.EDITED: _("Approved with changes"),
    Said.REJECTED: _("Rejected"),
    Said.CHANGES_REQUESTED: _("Sent back"),
    Said.ANSWERED: _("Answered"),
    Said.RIGHT: _("Found right afterwards"),
    Said.WRONG: _("Found wrong afterwards"),
    Said.HARMFUL: _("Found harmful afterwards"),
    Said.MISMATCH: _("The system shows something else"),
    Said.IN_ORDER: _("Looked at: in order"),
    Said.MENDED: _("Looked at: mended"),
}
"""What was said of an agent's work."""


def reason_words(code: str) -> str:
    """A preset reason as people read it; the code itself where it is none of ours."""
    return str(dict(REASONS).get(code, code))
