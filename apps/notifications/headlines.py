"""What notices say in a line: what happened, in words, by event or by how the name of the entry ends."""

from django.utils.translation import gettext_lazy as _

from apps.notifications.rules import Event
from apps.oversight.rules import EscalationState
from apps.policies.rules import ProposalKind
from apps.policies.rules.waivers import WaiverState

HEADLINES = {
    Event.WAITING: _("Waits for you"),
    Event.ESCALATED: _("Escalated to you"),
    Event.ASSIGNED: _("Given to you"),
    Event.DUE_SOON: _("Due soon"),
    Event.OVERDUE: _("Overdue"),
    Event.REPLIED: _("The agent replied"),
    Event.EXPIRED: _("Expired, nothing ran"),
    Event.HALTED: _("Stopped"),
    Event.FLAGGED: _("Keeps asking for what was rejected"),
    Event.MARKED: _("A rule flags what it asks for"),
    Event.ERRED: _("A rule cannot be judged"),
    Event.OWNERLESS: _("Suspended: its owner has left"),
    Event.AGREEMENT: _("Somebody asks to change it: another person has to agree"),
    Event.ERASURE: _("Asks for a second person"),
    Event.BUDGET: _("Nearly used up"),
    Event.PROPOSAL: _("Proposed: another person releases or declines it"),
    Event.ACCESS: _("Asks for access"),
    Event.REVIEW: _("Rights wait for your review"),
    Event.REVIEW_DUE: _("Rights wait for your review, and soon nobody can decide about them"),
    Event.REVIEWED: _("The access review has ended"),
    Event.MISMATCH: _("A system shows something else than it did"),
    Event.QUARANTINE: _("What it can do changed: nobody may use that until a person has looked"),
    Event.KEY: _("A key of it was used that is dead, or from elsewhere"),
    Event.WAIVER: _("Asks for a waiver: another person approves or declines it"),
    Event.UNASKED: _("Uses tools without asking"),
    Event.DISCOVERED: _("Sends under a name that is not its own"),
    Event.WAIVER_DUE: _("Your waiver ends soon"),
    Event.REPORT: _("Weekly report"),
    Event.UNUSUAL: _("Something unusual in the last hour"),
}
UNUSUAL = {
    "target": _("A target was missed in the week that ended: worth a look"),
    "sla": _("Open runs are past their SLA: worth a look"),
    "backlog": _("Open work piles up: worth a look"),
}
"""What is worth a look of a workflow, by its kind; all other kinds are of an hour."""
WAIVED = {
    WaiverState.LIVE: _("Your waiver was approved"),
    WaiverState.DECLINED: _("Your waiver was declined"),
    WaiverState.USED_UP: _("Your waiver is used up"),
    WaiverState.EXPIRED: _("The time of your waiver is over"),
    WaiverState.ENDED: _("Your waiver was ended"),
}
ALARMED = {
    "armed": _("An emergency account got a new credential"),
    "opened": _("An emergency account was opened"),
    "used": _("An emergency account changed something"),
    "tried": _("Somebody failed to open an emergency account"),
    "ended": _("An emergency account was closed"),
}
"""How the name of its entry ends -> what happened."""
SIGN_IN = {
    "password_changed": _("Your password was changed"),
    "password_set": _("An administrator set your password"),
    "second_factor_added": _("A second factor was added to your account"),
    "second_factor_removed": _("A second factor of your account was removed"),
    "second_factors_reset": _("An administrator took your second factors away"),
    "identity_linked": _("A sign-in of your organisation was linked to your account"),
    "identity_unlinked": _("A sign-in of your organisation was unlinked from your account"),
}
"""How the name of its entry ends -> what became of how somebody signs in."""
PROPOSED = {
    ProposalKind.RULE: _("%(who)s proposes a rule for %(policy)s"),
    ProposalKind.RULES: _("%(who)s proposes other rules for %(policy)s"),
    ProposalKind.ROLLBACK: _("%(who)s proposes to take %(policy)s back to an earlier version"),
    ProposalKind.RETIRE: _("%(who)s proposes to retire %(policy)s"),
}
DECIDED = {
    EscalationState.APPROVED: _("Approved"),
    EscalationState.REJECTED: _("Rejected"),
    EscalationState.CHANGES_REQUESTED: _("Changes requested"),
    EscalationState.ANSWERED: _("Answered"),
}
