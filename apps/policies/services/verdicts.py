"""Judging one action by the release in force."""

from collections.abc import Collection
from dataclasses import replace
from uuid import UUID

from django.utils.translation import gettext as _

from apps.core.errors import InvalidError
from apps.core.expressions import ContextError
from apps.core.models import User
from apps.policies.rules import Facts, Verdict, judge
from apps.policies.rules.waivers import with_waivers
from apps.policies.selectors import ground_for, history_for, rules_for_release

LIVE = "live"


def evaluate_action(
    actor: User,
    *,
    facts: Facts,
    is_fresh: bool = False,
    but: Collection[UUID] = (),
) -> Verdict:
    """What the release in force says of ``facts``, with the budgets over it. Writes nothing.

    Rules and budgets of the unit where its run was started make it stricter; nothing there allows or lifts.

    ``is_fresh``: it is asked for just now, so that waivers may lift rules for it (but those in ``but``), which
    ``use_waivers`` then takes. Judged again, only those still do that the action of the facts used then. A test
    uses none.

    One query once the release is known, and one for each fact of history that a rule in scope asks for. Raises
    InvalidError for values that rules may not see, UnavailableError if the release cannot be read.
    """
    about = {"agent": facts.agent.slug, "workflow": facts.run.workflow, "connector": facts.connector}
    is_meant = is_fresh and facts.environment == LIVE
    used_by = None if is_fresh else facts.action_id
    about["operation"] = facts.operation
    began = facts.run_unit_id
    ground = ground_for(actor, facts.unit_id, run_unit_id=began, is_fresh=is_meant, used_by=used_by, **about)
    units = ground.units if facts.units is None else facts.units
    currencies = facts.currencies or ground.currencies
    seen = replace(facts, now=facts.now or ground.now, units=units, run_units=ground.run_units, currencies=currencies)
    rules = rules_for_release(actor, ground.release_id).about(facts.operation)
    calls = {call for rule in rules for call in rule.program.calls if rule.covers(seen)}
    if calls and not facts.history:
        seen = replace(seen, history=history_for(actor, facts=seen, calls=calls))
    try:
        verdict = judge(rules, seen, release=ground.number)
        if ground.waivers:
            waivers = [lift for lift in ground.waivers if lift.id not in but]
            verdict = with_waivers(verdict, rules, seen, waivers)
        return replace(verdict, covering=ground.budgets)
    except ContextError as error:
        field = error.path.removeprefix("action.")
        message = _("Rules cannot judge this: it %s.") % error.message
        raise InvalidError(errors={field: [message]}) from error
