"""Judging one action by the release in force."""

from dataclasses import replace

from django.utils.translation import gettext as _

from apps.core.errors import InvalidError
from apps.core.expressions import ContextError
from apps.core.models import User
from apps.policies.rules import Facts, Verdict, judge
from apps.policies.selectors import ground_for, history_for, rules_for_release


def evaluate_action(actor: User, *, facts: Facts) -> Verdict:
    """What the release in force says of ``facts``, with the budgets over it. Writes nothing.

    One query once the release is known, and one for each fact of history that a rule in scope asks for. Raises
    InvalidError for values that rules may not see, UnavailableError if the release cannot be read.
    """
    about = {"agent": facts.agent.slug, "workflow": facts.run.workflow, "connector": facts.connector}
    ground = ground_for(actor, facts.unit_id, **about)
    units = ground.units if facts.units is None else facts.units
    currencies = facts.currencies or ground.currencies
    seen = replace(facts, now=facts.now or ground.now, units=units, currencies=currencies)
    rules = rules_for_release(actor, ground.release_id).about(facts.operation)
    calls = {call for rule in rules for call in rule.program.calls if rule.covers(seen)}
    if calls and not facts.history:
        seen = replace(seen, history=history_for(actor, facts=seen, calls=calls))
    try:
        return replace(judge(rules, seen, release=ground.number), covering=ground.budgets)
    except ContextError as error:
        field = error.path.removeprefix("action.")
        message = _("Rules cannot judge this: it %s.") % error.message
        raise InvalidError(errors={field: [message]}) from error
