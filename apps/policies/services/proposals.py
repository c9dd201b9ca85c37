"""Proposing what should be in force: a rule because of an item, an earlier version, nothing more; declining it.

Releasing it is publishing its version.
"""

from collections.abc import Collection, Mapping
from types import MappingProxyType
from typing import Any
from uuid import UUID

from django.db import transaction
from django.utils.translation import gettext as _

from apps.access.services import require_manager
from apps.audit.services import advance, record
from apps.core.errors import ConflictError, InvalidError, NotAllowedError, NotFoundError
from apps.core.gate import require_human
from apps.core.models import ClockTimestamp, User
from apps.policies.models import Policy, PolicyVersion, Proposal, Simulation
from apps.policies.rules import Effect, PolicyState, ProposalKind, ProposalState, Wish, rules_with
from apps.policies.rules.levers import turned
from apps.policies.selectors import is_earlier, is_tightened_by, publishers_for
from apps.policies.selectors.simulations import lever_of
from apps.policies.services.policies import (
    PUBLISH,
    next_version,
    publish_policy,
    require_passed,
    require_sound,
    take_turn,
    version_digest,
)

MAX_REASON = 500


@transaction.atomic
def propose_change(
    actor: User,
    *,
    policy: str,
    wish: Wish,
    asking: Collection[str],
    item: UUID,
    reason: str,
    currencies: Mapping[str, str] = MappingProxyType({}),
) -> Proposal:
    """Write a version of ``policy`` as it is in force with the wished rule; it judges nothing before its release.

    ``asking``: the rules that let go of what a wish to allow takes in. ``currencies``: of units, by slug, as the item's
    facts have them. Raises NotAllowedError, whose text and ``may``
    say who can, InvalidError at ``reason`` or for rules that do not fit or fail the
    policy's tests, ConflictError where the policy is not in
    force or the same is proposed already.
    """
    require_human(actor)
    found = (
        Policy.objects.select_for_update(no_key=True, of=("self",))
        .select_related("unit", "in_force")
        .filter(slug=policy)
        .first()
    )
    if found is None:
        raise NotFoundError(_("There is no such policy."))
    _require_author(actor, found)
    reason = checked_reason(reason, is_needed=True)
    if found.in_force is None:
        raise ConflictError(_("The policy is not in force; there is nothing to change."), state=found.state)
    _refuse_abroad(found.in_force, wish, asking, currencies)
    rules, tests = rules_with(found.in_force.rules, wish, asking=asking), found.in_force.tests
    require_sound(actor, rules, tests=tests, policy=found, is_written=True)  # it names what its item does
    require_passed(actor, rules, tests, unit=found.in_force.unit)
    _refuse_same(found, version_digest(found.in_force.unit, rules, tests))
    about = {"kind": ProposalKind.RULE, "item": item, "rule": rules[-1]["slug"], "effect": wish.effect}
    return _propose(actor, found, rules, tests, covered=found.in_force.unit, reason=reason, **about)


@transaction.atomic
def roll_back_policy(actor: User, *, policy: Policy, version: int, reason: str) -> Proposal:
    """Propose that an earlier version holds again: a new one that says the same.

    In force at once where that only tightens; else somebody else than ``actor`` releases it. Raises NotFoundError,
    InvalidError at ``reason`` or for rules that no longer fit or fail their tests, ConflictError for a
    version that is none of before.
    """
    found = _locked(actor, policy)
    reason = checked_reason(reason, is_needed=True)
    old = found.versions.filter(number=version).first()
    if old is None:
        raise NotFoundError(_("There is no such version."))
    if found.in_force_id == old.pk:
        raise ConflictError(_("This version is in force already."))
    if not is_earlier(found, old):
        raise ConflictError(_("Version %d was never in force: publish it.") % version)
    require_sound(actor, old.rules, tests=old.tests, policy=found, is_written=True)
    require_passed(actor, old.rules, old.tests, unit=old.unit)
    _refuse_same(found, old.digest)
    made = _propose(actor, found, old.rules, old.tests, covered=old.unit, reason=reason, kind=ProposalKind.ROLLBACK)
    return release_if_stricter(actor, found, made)


@transaction.atomic
def retire_policy(actor: User, *, policy: Policy, reason: str) -> Proposal:
    """Propose to take a policy out of force; its versions stay.

    Done at once where that only tightens, so for rules that only allow; else somebody else than ``actor`` releases it.
    Raises InvalidError at ``reason``, ConflictError where it is retired or the same is proposed already.
    """
    found = _locked(actor, policy)
    reason = checked_reason(reason, is_needed=True)
    if found.state == PolicyState.RETIRED:
        raise ConflictError(_("The policy is retired already."), state=found.state)
    covered = found.in_force.unit if found.in_force else found.unit.slug if found.unit else ""
    if found.proposals.filter(state=ProposalState.OPEN, kind=ProposalKind.RETIRE, base=found.in_force).exists():
        raise ConflictError(_("The same is proposed already."))
    made = _propose(actor, found, [], [], covered=covered, reason=reason, kind=ProposalKind.RETIRE)
    return release_if_stricter(actor, found, made)


@transaction.atomic
def propose_rules(
    actor: User,
    *,
    policy: Policy,
    rules: list[dict[str, Any]],
    tests: list[dict[str, Any]],
    reason: str,
    instead_of: int,
) -> Proposal:
    """Propose other rules and tests for a policy, as somebody edited them; they judge nothing before their release.

    ``instead_of``: the version in force that was edited (0: none). Raises InvalidError at ``reason``, for rules that do
    not fit or fail their tests; ConflictError ``stale`` where something else came into force since, or where the same
    is in force or proposed already.
    """
    require_human(actor)
    found = _locked(actor, policy)
    reason = checked_reason(reason, is_needed=True)
    base = found.in_force
    if instead_of != (base.number if base else 0):
        raise ConflictError(_("Something else came into force since; look at it again."), code="stale")
    covered = base.unit if base else found.unit.slug if found.unit else ""
    require_sound(actor, rules, tests=tests, policy=found)
    require_passed(actor, rules, tests, unit=covered)
    digest = version_digest(covered, rules, tests)
    if base and base.digest == digest:
        raise ConflictError(_("It says the same as what is in force."))
    _refuse_same(found, digest)
    return _propose(actor, found, rules, tests, covered=covered, reason=reason, kind=ProposalKind.RULES)


@transaction.atomic
def propose_amount(actor: User, *, simulation: Simulation, amount_minor: int, reason: str) -> Proposal:
    """Propose that the amount which a simulation turned becomes that of one of its steps; somebody else releases it.

    Raises InvalidError at ``amount_minor`` or ``reason``, or where the policy's tests fail with it; ConflictError where
    something else came into force since (``stale``) or the same is proposed already.
    """
    found = _locked(actor, simulation.policy)
    reason = checked_reason(reason, is_needed=True)
    lever = lever_of(simulation)
    if lever is None or amount_minor not in lever.steps or amount_minor == lever.amount_minor:
        raise InvalidError(errors={"amount_minor": [_("Another of the amounts that were tried is wanted.")]})
    if found.in_force is None or found.in_force_id != simulation.base_id:
        raise ConflictError(_("Something else came into force since; try it anew."), code="stale")
    rules, tests = turned(found.in_force.rules, lever, amount_minor), found.in_force.tests
    require_sound(actor, rules, tests=tests, policy=found, is_written=True)
    require_passed(actor, rules, tests, unit=found.in_force.unit)
    _refuse_same(found, version_digest(found.in_force.unit, rules, tests))
    effect = next(rule["effect"] for rule in rules if rule["slug"] == lever.name)
    about = {"kind": ProposalKind.RULE, "rule": lever.name, "effect": effect}
    return _propose(actor, found, rules, tests, covered=found.in_force.unit, reason=reason, **about)


def _locked(actor: User, policy: Policy) -> Policy:
    require_manager(actor, policy.unit, PUBLISH)
    take_turn()  # before the policy is locked, as every publication does
    return (
        Policy.objects.select_for_update(no_key=True, of=("self",)).select_related("unit", "in_force").get(pk=policy.pk)
    )


def _propose(
    actor: User,
    policy: Policy,
    rules: list[dict[str, Any]],
    tests: list[dict[str, Any]],
    *,
    covered: str,
    reason: str,
    **about: Any,
) -> Proposal:
    version = next_version(actor, policy, covered=covered, rules=rules, tests=tests)
    made = Proposal.objects.create(policy=policy, version=version, base=policy.in_force, reason=reason, **about)
    told: dict[str, Any] = {"kind": made.kind, "version": version.number, "digest": version.digest, "reason": reason}
    if made.item:
        told |= {"rule": f"{policy.slug}/{made.rule}", "item": str(made.item)}
    record(actor, made, ProposalState.OPEN, payload=told)
    return made


def release_if_stricter(actor: User, policy: Policy, proposal: Proposal) -> Proposal:
    """The proposal, released by who made it where nothing can come out milder by it."""
    if is_tightened_by(policy, proposal.version):
        publish_policy(actor, policy=policy, version=proposal.version.number)
        proposal.refresh_from_db()
    return proposal


def _require_author(actor: User, policy: Policy) -> None:
    try:
        require_manager(actor, policy.unit, PUBLISH)
    except NotAllowedError as error:
        names = publishers_for(actor, policy)
        raise NotAllowedError(
            _("You may not write policies here. These people may: %s.") % (", ".join(map(str, names)) or _("nobody")),
            may=[person.username for person in names],
        ) from error


def _refuse_abroad(version: PolicyVersion, wish: Wish, asking: Collection[str], currencies: Mapping[str, str]) -> None:
    """Raise InvalidError where the rules that ask compare amounts of another currency: they would go on asking."""
    own = currencies.get(version.unit, wish.currency)
    found = {rule.get("currency", own) for rule in version.rules if rule.get("slug") in asking}
    if wish.effect is Effect.ALLOW and wish.amount_minor is not None and found - {wish.currency}:
        raise InvalidError(
            errors={"effect": [_("The rule that asks states amounts in %s; this is in another.") % sorted(found)[0]]}
        )


def _refuse_same(policy: Policy, digest: str) -> None:
    same = policy.proposals.filter(state=ProposalState.OPEN, base=policy.in_force, version__digest=digest).first()
    if same is not None:
        raise ConflictError(_("The same is proposed already."), proposal=str(same.pk))


@transaction.atomic
def decline_proposal(actor: User, *, proposal: Proposal, reason: str = "") -> Proposal:
    """End a proposal without a release; whoever made it may take it back so. Raises ConflictError once decided."""
    require_human(actor)
    require_manager(actor, proposal.policy.unit, PUBLISH)
    reason = checked_reason(reason, is_needed=proposal.version.author_id != actor.pk)
    # a release of it ends first, or sees this end
    Policy.objects.select_for_update(no_key=True).get(pk=proposal.policy_id)
    return advance(
        actor,
        proposal,
        ProposalState.DECLINED,
        payload={"reason": reason, "version": proposal.version.number},
        decided_by=actor,
        decided_at=ClockTimestamp(),
        answer=reason,
    )


def checked_reason(reason: str, *, is_needed: bool) -> str:
    """The reason without blanks around it. Raises InvalidError at ``reason`` for a missing or too long one."""
    text = reason.strip()
    if is_needed and not text:
        raise InvalidError(errors={"reason": [_("Say why.")]})
    if len(text) > MAX_REASON:
        raise InvalidError(errors={"reason": [_("At most %d characters.") % MAX_REASON]})
    return text
