"""Why each action of a list was denied: the rules that did, or what denies without one."""

from collections.abc import Iterable
from dataclasses import dataclass
from uuid import UUID

from django.utils.translation import gettext as _

from apps.agents.models import Action
from apps.agents.rules import ActionState
from apps.agents.selectors import actions_for
from apps.core.models import User
from apps.kpis.models import ActionFact
from apps.policies.rules.documents import Effect
from apps.policies.rules.quiet import CONFIDENTIAL
from apps.policies.rules.weighing import Reason
from apps.policies.selectors.quiet import quieted_for


@dataclass(frozen=True, slots=True)
class Denial:
    """What said no, in words; ``href`` leads to the rule, ``message`` is what it tells the agent."""

    text: str
    href: str = ""
    message: str = ""


def denials_for(actor: User, rows: Iterable[ActionFact]) -> dict[UUID, list[Denial]]:
    """Of the denied ones of these, by the action's id, as far as ``actor`` may see it. Invented ones have none."""
    denied = [row.action_id for row in rows if row.state == ActionState.DENIED and not row.simulated]
    found = actions_for(actor).in_bulk(denied) if denied else {}
    return {key: _denials(actor, action) for key, action in found.items()}


def _denials(actor: User, action: Action) -> list[Denial]:
    verdict = quieted_for(actor, action.verdict)
    rules = [line for line in verdict.get("rules", ()) if line.get("effect") == Effect.DENY]
    words = {
        Reason.NO_MATCHING_ALLOW: _("No rule allows it"),
        Reason.LIMIT_EXCEEDED: _("Above the limit"),
        Reason.NOT_COMPENSABLE: _("It cannot be undone"),
        Reason.BUDGET_EXHAUSTED: _("Beyond the budget"),
        Reason.KEY_HELD: _("Its key was held"),
    }
    told = [_of_rule(line["policy"], line["rule"], line.get("message", "")) for line in rules]
    reason = verdict.get("reason", "")
    return told or ([Denial(str(words.get(reason, reason)))] if reason else [])


def _of_rule(policy: str, rule: str, message: str) -> Denial:
    if rule == CONFIDENTIAL:
        return Denial(_("A confidential rule"), message=message)
    return Denial(f"{policy}/{rule}", f"/policies/{policy}/#rule-{rule}", message)
