"""Proposing a rule because of an item: what should hold for the like of it, as a draft that somebody else releases."""

import re
from uuid import UUID

from django.db import transaction
from django.utils.translation import gettext as _

from apps.classification.rules import covers
from apps.core.errors import InvalidError
from apps.core.gate import require_human
from apps.core.models import User
from apps.core.rules import MAX_INTEGER
from apps.oversight.models import Escalation
from apps.oversight.rules import value_at
from apps.oversight.selectors import asking_rules_of, escalation_for
from apps.oversight.services.decisions import refuse_drill
from apps.policies.models import Proposal
from apps.policies.rules import MAX_QUORUM, PROPOSABLE, Effect, Wish
from apps.policies.services import propose_change

PLAIN = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*")
"""A path that CEL reads as one."""


@transaction.atomic
def propose_rule(
    actor: User,
    *,
    escalation_id: UUID,
    effect: str,
    reason: str,
    policy: str = "",
    amount_minor: int | None = None,
    same_agent: bool = True,
    same_target: bool = True,
    people: int = 1,
) -> Proposal:
    """Write a draft of the policy that asked (``policy``, where several did) with one rule for the like of an item.

    ``amount_minor``: allowed up to it; denied or asked by ``people`` above it. Nothing is in force by it, and the item
    waits on. Raises NotFoundError, NotAllowedError with ``may``, ConflictError, InvalidError at the field.
    """
    require_human(actor)
    item = escalation_for(actor, escalation_id)
    refuse_drill(item)
    asking = asking_rules_of(item)
    if item.action is None or not asking:
        raise InvalidError(errors={"effect": [_("Only what a rule sent here can be ruled otherwise.")]})
    if item.erased_at is not None:  # its target and parameters are gone: what is said of the same would hold for any
        raise InvalidError(errors={"effect": [_("What was written here is erased; nothing is like it any more.")]})
    if same_target and item.action.marked_target != item.action.target:
        message = _("Its target carries a data class, and a rule is read by everybody who reads policies.")
        raise InvalidError(errors={"same_target": [message]})
    policy = policy or next(iter(asking))
    if policy not in asking:
        raise InvalidError(errors={"policy": [_("One of: %s.") % ", ".join(asking)]})
    _require_fitting(item, effect, amount_minor, people)
    wish = Wish(
        slug=f"item-{item.pk.hex[-8:]}",
        effect=Effect(effect),
        operation=item.action.operation,
        agent=item.agent.slug if item.agent and same_agent else "",
        target=item.action.target if same_target else "",
        amount_minor=amount_minor,
        currency=item.action.currency,
        same=_same_as(item) if effect == Effect.ALLOW and (same_target or not item.action.target) else {},
        queue=item.group_list()[0].queue.slug,
        people=people,
    )
    currencies = (item.verdict.get("facts") or {}).get("currencies", {})
    return propose_change(
        actor, policy=policy, wish=wish, asking=asking[policy], item=item.pk, reason=reason, currencies=currencies
    )


def _same_as(item: Escalation) -> dict[str, str | int | bool]:
    """What the rules want the same of whatever runs without being asked, as it stands in the item.

    Raises InvalidError where a rule could not say so: without it, the allowance would be wider than what is wanted.
    """
    standing = ((item.verdict.get("obligations") or {}).get("standing")) or {}
    found = {path: value_at(item.values(), path) for path in standing.get("same", ())}
    if odd := [path for path, value in found.items() if not (PLAIN.fullmatch(path) and _is_plain(value))]:
        message = _("The rule wants the same %s, and here that is no single text or whole number: no rule can name it.")
        raise InvalidError(errors={"effect": [message % ", ".join(sorted(odd))]})
    if classed := [path for path in found if item.action and covers(item.action.classed, path.split("."))]:
        message = _(
            "The rule wants the same %s, which carries a data class: everybody who reads policies would see it."
        )
        raise InvalidError(errors={"effect": [message % ", ".join(sorted(classed))]})
    return found


def _is_plain(value: object) -> bool:
    return isinstance(value, str | bool) or (isinstance(value, int) and abs(value) <= MAX_INTEGER)


def _require_fitting(item: Escalation, effect: str, amount_minor: int | None, people: int) -> None:
    errors: dict[str, list[str]] = {}
    has_amount = item.action is not None and item.action.amount_minor is not None
    if effect not in PROPOSABLE:
        errors["effect"] = [_("One of: %s.") % ", ".join(PROPOSABLE)]
    if amount_minor is not None and not has_amount:
        errors["amount_minor"] = [_("This has no amount.")]
    elif amount_minor is not None and not 0 <= amount_minor <= MAX_INTEGER:
        errors["amount_minor"] = [_("A whole number of minor units is wanted.")]
    elif amount_minor is None and has_amount and effect == Effect.ALLOW:
        errors["amount_minor"] = [_("Say up to which amount; without a limit anything would be allowed.")]
    if not 1 <= people <= MAX_QUORUM:
        errors["people"] = [_("From 1 to %d.") % MAX_QUORUM]
    if errors:
        raise InvalidError(errors=errors)
