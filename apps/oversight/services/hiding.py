"""Rules of a later release that hide parameters: what was written of an action meanwhile says no more of them."""

from typing import Any

from apps.agents.models import Action
from apps.classification.rules import BY_RULE, Veil
from apps.connectors.selectors import Permitted
from apps.oversight.models import Escalation
from apps.oversight.services.items import title_of
from apps.policies.rules import Verdict

QUOTING = ("goal", "reasoning", "alternatives", "sources", "evidence")
"""The agent's words, which may quote its parameters."""


def hide_by_rules(action: Action, permitted: Permitted, verdict: Verdict) -> bool:
    """Whether the rules that match now hide what those before did not; it is then marked wherever the action says it.

    What was sent or recorded before cannot be taken back. Call with the action locked.
    """
    was = action.classed
    classed = permitted.operation.hiding(was, verdict.obligations.redact, action.parameters)
    if classed == was:
        return False
    veil = Veil([(classed, action.parameters)], {BY_RULE})
    before, after = (permitted.consequence(action.parameters, each) for each in (was, classed))
    columns: dict[str, Any] = {name: veil.over(getattr(action, name)) for name in QUOTING}
    said = action.consequence.replace(before, after) if before else action.consequence
    columns |= {"classed": classed, "consequence": veil.text(said)}
    Action.objects.filter(pk=action.pk).update(**columns)
    for name, value in columns.items():
        setattr(action, name, value)
    return True


def hide_in_item(item: Escalation, action: Action, permitted: Permitted, verdict: Verdict) -> None:
    """The same of an item that waits for people, and of its action."""
    if not hide_by_rules(action, permitted, verdict):
        return
    subject = action.veil({BY_RULE}).over(item.subject)
    title = title_of(action, permitted.operation)
    columns = {"title": title, "consequence": action.consequence, "subject": subject}
    Escalation.objects.filter(pk=item.pk).update(**columns)
    for name, value in columns.items():
        setattr(item, name, value)
