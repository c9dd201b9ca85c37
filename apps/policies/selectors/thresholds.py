"""What would have to change for an action to come out otherwise: what agents are told of it, in words for people."""

from collections.abc import Mapping
from typing import Any

from django.utils.translation import gettext as _

from apps.core.models import User
from apps.policies.rules import Condition, Effect, Every, Some, clause_of
from apps.policies.selectors.sentences import words_of


def ways_out_for(actor: User, verdict: Mapping[str, Any], *, currency: str = "") -> list[str]:
    """One sentence for each rule of a stored verdict that could be met or avoided; amounts are in ``currency``.

    Whoever may see the action may see them. Confidential rules are not among them: no verdict holds their thresholds.
    """
    assert actor.is_active
    words = {Effect.DENY: _("%(rule)s does not deny it"), Effect.REQUIRE_APPROVAL: _("%(rule)s asks nobody")}
    found: list[tuple[str, Mapping[str, Any], Condition]] = [
        (words[Effect(line["effect"])], line, Some(tuple(map(clause_of, line["any_of"]))))
        for line in verdict.get("avoided_when", ())
    ]
    found += [
        (_("%(rule)s allows it"), line, Every(tuple(map(clause_of, line["conditions"]))))
        for line in verdict.get("allowed_when", ())
    ]
    when = _("%(outcome)s when %(condition)s.")
    return [
        when
        % {
            "outcome": outcome % {"rule": f"{line['policy']}/{line['rule']}"},
            "condition": words_of(condition, line.get("currency", currency)),
        }
        for outcome, line, condition in found
    ]
