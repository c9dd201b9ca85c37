"""Waivers that an actor may see, who may say what of them, and what they lifted."""

from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any
from uuid import UUID

from django.db.models import QuerySet

from apps.access.selectors import holders_for
from apps.core.errors import NotFoundError
from apps.core.gate import holds, visible
from apps.core.models import User
from apps.policies.models import Policy, Release, Waiver, WaiverUse
from apps.policies.rules import Mode
from apps.policies.rules.clauses import Clause, Comparison
from apps.policies.rules.waivers import LIFTED, WaiverScope, WaiverState, may_let_through, rule_digest
from apps.policies.selectors.releases import rules_for_release

VIEW, PUBLISH, LOWER = "policies.view_policy", "policies.publish_policy", "policies.lower_enforcement"
SHOWN_MAX = 20
OVER = frozenset({WaiverState.DECLINED, WaiverState.ENDED})
"""States in which nothing more can be said of it."""


def waivers_for(actor: User) -> QuerySet[Waiver]:
    """The waivers of policies that ``actor`` may see, newest first."""
    rows = Waiver.objects.select_related("policy__unit", "maker", "approver", "ended_by").order_by("-id")
    return visible(actor, VIEW, rows)


def waiver_for(actor: User, waiver_id: UUID) -> Waiver:
    """One of them. Raises NotFoundError."""
    if found := waivers_for(actor).filter(pk=waiver_id).first():
        return found
    raise NotFoundError


def waiting_waivers_for(actor: User) -> int:
    """How many wait for somebody who may lower enforcement, where ``actor`` may and did not ask for them."""
    rows = visible(actor, LOWER, Waiver.objects.filter(state=WaiverState.ASKED).exclude(maker=actor))
    return rows.count()


def uses_of(actor: User, waiver: Waiver) -> list[WaiverUse]:
    """What a waiver that was fetched for ``actor`` was used for, newest first."""
    assert actor.is_active
    return list(waiver.uses.select_related("action__agent").order_by("-number")[:SHOWN_MAX])


def approvers_of(actor: User, waiver: Waiver, *, most: int = SHOWN_MAX) -> list[User]:
    """Who may approve it, by name; at most ``most``."""
    return list(holders_for(actor, LOWER, waiver.policy.unit_id).exclude(pk=waiver.maker_id)[:most])


def may_approve(actor: User, waiver: Waiver) -> bool:
    """Whether ``actor`` may let it lift its rule."""
    is_waiting = waiver.state == WaiverState.ASKED and actor.is_human and actor.pk != waiver.maker_id
    return is_waiting and holds(actor, LOWER, waiver.policy)


def may_end(actor: User, waiver: Waiver) -> bool:
    """Whether ``actor`` may end it: who asked or approved, and whoever may publish there or lower enforcement."""
    if not actor.is_human:
        return False
    return actor.pk in (waiver.maker_id, waiver.approver_id) or any(
        holds(actor, perm, waiver.policy) for perm in (PUBLISH, LOWER)
    )


def waivable_rules(actor: User, policy: Policy) -> list[str]:
    """The rules in force of a policy fetched for ``actor`` that deny or ask, by slug."""
    assert actor.is_active
    rules: Iterable[Mapping[str, Any]] = policy.in_force.rules if policy.in_force else ()
    return [str(rule["slug"]) for rule in rules if rule.get("effect") in LIFTED and rule.get("mode") != Mode.SHADOW]


def why_never_used(
    actor: User,
    policy: Policy,
    *,
    rule: str,
    scope: str,
    target: str,
    effects_of: Callable[[Collection[str]], Collection[str]],
    digest: str = "",
) -> str:
    """Why a waiver of a rule in force would never be used as the rules are now: a word; empty where it could be.

    ``not_let_through``: no rule could let through what this one stops. ``changed``: the rule is another one than that
    of ``digest``, or gone. ``effects_of``: the effects of operations, by their short names.
    """
    newest = Release.objects.order_by("-number").values_list("pk", flat=True).first()
    rules = rules_for_release(actor, newest).rules
    lifted = next((one for one in rules if (one.policy, one.rule.slug) == (policy.slug, rule)), None)
    if lifted is None or (digest and rule_digest(lifted.rule) != digest):
        return "changed" if digest else ""
    operations = {target} if scope == WaiverScope.OPERATION else lifted.rule.scope.operations
    effects = sorted(effects_of(operations)) if operations else []
    known = [Clause("action.effect", Comparison.ONE_OF, effects)] if effects else []
    others = (one for one in rules if one is not lifted)
    return "" if any(may_let_through(one, lifted, scope, target, known) for one in others) else "not_let_through"


def has_waiver_ended(actor: User, verdict: Mapping[str, Any]) -> bool:
    """Whether somebody ended a waiver that a stored verdict counted on."""
    assert actor.is_active
    used = [told["id"] for told in verdict.get("waivers", ())]
    return bool(used) and Waiver.objects.filter(pk__in=used, state=WaiverState.ENDED).exists()
