"""The plane's own words for why something ended, was voided or moved, as sentences for people.

Code, API and ledger speak in words such as ``operation_changed``; a page never does. What people and agents wrote
themselves is no word of this table and stays as it is.
"""

import json
from collections.abc import Mapping
from typing import Any

from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

SENTENCES: Mapping[str, Any] = {
    # why a session ended
    "by_hand": _("The person ended it."),
    "by_administrator": _("An administrator ended it."),
    "too_many": _("The person signed in elsewhere, and had too many sessions."),
    "signed_out": _("Whoever used it signed out."),
    "hour_over": _("Its hour was over."),
    "replaced": _("The account got another credential."),
    # why an item or an action ended
    "not_cleared": _("The system is not cleared for the data classes that it carries, so it could not run as asked."),
    "operation_changed": _("The operation is not the one that was judged any more, so it could not run as asked."),
    "version_superseded": _("Another version of the agent took over, so what this one asked for does not run."),
    "new_version": _("A new version of the agent took over."),
    "drained": _("What this version had begun is done, so the newer one took over."),
    "denied_by_policy": _("A rule that is in force now denies it."),
    "stricter_policy": _("A rule that is in force now denies it."),
    "operation_quarantined": _("What its system says of the operation changed, and nobody has looked at it yet."),
    "parameters_no_longer_fit": _("Its parameters do not fit the operation any more."),
    "permission_gone": _("The permission to use this operation is gone."),
    "permission": _("The permission to use this operation is gone."),
    "fields": _("The permission no longer covers these parameters."),
    "limit": _("The permission no longer covers this amount."),
    "binding_mismatch": _("Its parameters are not the ones that were judged."),
    "agent_inactive": _("The agent may not act now."),
    "agent_retired": _("The agent was retired."),
    "action_cancelled": _("The agent took its request back."),
    "run_over": _("The run that asked is over."),
    "step_over": _("The step that asked is over."),
    "taken": _("Somebody took the work after all."),
    "reported": _("The agent said after all what became of it."),
    "cancelled": _("It was cancelled."),
    "superseded": _("A changed request took its place."),
    "expired": _("Nobody decided in time."),
    "grant_expired": _("The agent did not carry it out in time."),
    "invalidated": _("It no longer fits what is in force."),
    "previously_rejected": _("People had rejected the same before."),
    "not_reported": _("The agent began it and never said what became of it."),
    # why a drill ended
    "drill": _("It was a drill."),
    "turned_off": _("Drills were turned off in its queue."),
    "not_answered": _("Nobody answered it in time."),
    "agent_stopped": _("The agent of the item it was copied from does not work any more."),
    "attention": _("Whoever it was for has real work enough, or may not decide it any more."),
    "source_erased": _("The item it was copied from was erased."),
    "source_changed": _("What it was copied from is not what would run any more."),
    "touched": _("It was asked about, handed on or taken further instead of being decided."),
    # why it goes back to people
    "halted": _("A halt took back what was approved, so people are asked again."),
    "key_held": _("Another action that must not run beside it was under way."),
    "stricter": _("The rules in force ask for more than those under which it was approved."),
    "policy": _("The rules in force ask for more than those under which people voted."),
    "edited": _("The parameters were edited, so what was said before counts no more."),
    "undone": _("The decision was taken back while it was held."),
    # why a vote does not count, or somebody may not decide
    "withdrawn": _("The vote was withdrawn."),
    "not_eligible": _("Those who approved it may not decide it any more."),
    "approval_void": _("Those who approved it may not decide it any more."),
    "absence_over": _("The absence for which somebody stood in is over."),
    "rolegrant.revoked": _("A role was taken away."),
    "user.ended": _("The person left."),
    "inactive": _("The account is not active."),
    "no_permission": _("Their roles in this unit do not include deciding."),
    "not_in_queue": _("It waits for people of another queue."),
    "requester": _("They asked for it, or it was asked for them."),
    "agent_owner": _("They own the agent, and the rule wants somebody else."),
    "run_starter": _("They started the run, and the rule wants somebody else."),
    "policy_author": _("They wrote the rule that asks, and it wants somebody else."),
    "editor": _("They edited it, and the edit needs somebody else."),
    "excluded": _("The rule excludes them."),
    # why something is not approved in advance, or such an approval ended
    "not_permitted": _("The rule that asks does not let it be approved in advance."),
    "several_people": _("More than one person must approve it, so nobody approves it in advance."),
    "grave_risk": _("High and critical risk is approved one by one."),
    "more_than_a_key": _("The rule wants each approval confirmed or held, so it is given one by one."),
    "time_over": _("Its time is over."),
    "ended_by_hand": _("Somebody ended it."),
    "erased": _("What it rested on was erased."),
    "item_edited": _("The item on which it was given was edited."),
    "item_refused": _("The item on which it was given was rejected, sent back or ended."),
    # why it moved up
    "overdue": _("Nobody decided by the time it was due."),
    "unseen": _("Nobody had seen it."),
    "unreached": _("Nobody could be reached."),
    "unreachable": _("Those left could not decide it any more."),
    # why a report is sent no more
    "unit_removed": _("Its unit was removed."),
}


CALLS: Mapping[str, Any] = {
    "not_configured": _("not set up to be called"),
    "egress_refused": _("not called: the address is not allowed"),
    "unreachable": _("not reached"),
    "no_answer": _("no answer in time"),
    "broken_answer": _("an answer that nobody can read"),
    "system_error": _("an error of the system"),
    "refused_by_system": _("the system said no"),
    "busy": _("the system was too busy"),
    "worker_lost": _("cut off: whoever called it stopped"),
}
"""How a call of a system ended that did not end well."""


def call_words(code: object) -> str:
    """How a call ended, for people; a code that has no words as it is."""
    return str(CALLS.get(str(code)) or code)


SAYING = ("message", "detail", "title", "reason", "error", "description")
"""Where systems put their words for what went wrong."""


def failure_of(error: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """What went wrong in the plane's words, in the system's (``words``), and whole (``raw``) where that is JSON.

    None where nothing did, and of what an agent says.
    """
    if not error or error.get("by") == "agent":
        return None
    code, message = str(error.get("code", "")), str(error.get("message") or "")
    said = sentence_of(code) or (f"{call_words(code)[:1].upper()}{call_words(code)[1:]}." if code in CALLS else "")
    raw = message if message.lstrip().startswith(("{", "[")) else ""
    return {"said": said, "words": _words_in(raw) if raw else message, "raw": raw, "status": error.get("status")}


def _words_in(raw: str) -> str:
    try:
        found = json.loads(raw)
    except ValueError:  # it was cut, or is no JSON after all
        return ""
    while isinstance(found, dict):
        found = next((found[name] for name in SAYING if found.get(name)), None)
    return found if isinstance(found, str) else ""


def sentence_of(word: object) -> str:
    """The sentence for a word of the plane; empty for what is none."""
    return str(SENTENCES.get(str(word), ""))


JUDGED = frozenset({"action.approved", "action.denied", "action.pending_approval"})
"""What entries are called that say what came of an action's first verdict."""


def judge_of(told: Mapping[str, Any]) -> str:
    """What decided, by what an entry says of a first verdict: the rule that weighed most; empty for a later move."""
    if told.get("from") != "proposed" or "effect" not in told:
        return ""
    if told.get("standing"):
        return gettext("What a person approved in advance")
    found = next((rule for rule in told.get("rules") or () if rule.get("effect") == told["effect"]), None)
    if found is None:
        return gettext("Policy: no rule allows it") if told.get("reason") == "no_matching_allow" else gettext("Policy")
    if found["rule"] == "confidential":
        return gettext("A confidential rule")
    return gettext("Rule %(rule)s of %(policy)s") % {"rule": found["rule"], "policy": found["policy"]}
