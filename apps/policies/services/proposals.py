"""Proposing a change of rules because of one item; declining it. Releasing it is publishing its version."""

from collections.abc import Collection
from uuid import UUID

from django.db import transaction
from django.utils.translation import gettext as _

from apps.access.services import require_manager
from apps.audit.services import advance, record
from apps.core.errors import ConflictError, InvalidError, NotAllowedError, NotFoundError
from apps.core.gate import require_human
from apps.core.models import ClockTimestamp, User
from apps.core.rules import digest_of
from apps.policies.models import Policy, Proposal
from apps.policies.rules import ProposalState, Wish, rules_with
from apps.policies.selectors import publishers_for
from apps.policies.services.policies import PUBLISH, next_version, require_sound

MAX_REASON = 500


@transaction.atomic
def propose_change(
    actor: User, *, policy: str, wish: Wish, asking: Collection[str], item: UUID, reason: str
) -> Proposal:
    """Write a version of ``policy`` as it is in force with the wished rule; it judges nothing before its release.

    ``asking``: the rules that let go of what a wish to allow takes in. Raises NotAllowedError, whose text and ``may``
    say who can, InvalidError at ``reason`` or for rules that do not fit, ConflictError where the policy is not in
    force or the same is proposed already.
    """
    require_human(actor)
    found = (
        Policy.objects.select_for_update(of=("self",)).select_related("unit", "in_force").filter(slug=policy).first()
    )
    if found is None:
        raise NotFoundError(_("There is no such policy."))
    _require_author(actor, found)
    reason = _checked(reason, is_needed=True)
    if found.in_force is None:
        raise ConflictError(_("The policy is not in force; there is nothing to change."), state=found.state)
    rules = rules_with(found.in_force.rules, wish, asking=asking)
    require_sound(actor, rules, None)
    _refuse_same(found, digest_of({"unit": found.in_force.unit, "rules": rules}))
    version = next_version(actor, found, covered=found.in_force.unit, rules=rules)
    proposal = Proposal.objects.create(
        policy=found,
        version=version,
        base=found.in_force,
        item=item,
        rule=rules[-1]["slug"],
        effect=wish.effect,
        reason=reason,
    )
    told = {"rule": f"{found.slug}/{proposal.rule}", "version": version.number, "digest": version.digest}
    record(actor, proposal, ProposalState.OPEN, payload={**told, "item": str(item), "reason": reason})
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


def _refuse_same(policy: Policy, digest: str) -> None:
    same = policy.proposals.filter(state=ProposalState.OPEN, base=policy.in_force, version__digest=digest).first()
    if same is not None:
        raise ConflictError(_("The same is proposed already."), proposal=str(same.pk))


@transaction.atomic
def decline_proposal(actor: User, *, proposal: Proposal, reason: str = "") -> Proposal:
    """End a proposal without a release; whoever made it may take it back so. Raises ConflictError once decided."""
    require_human(actor)
    require_manager(actor, proposal.policy.unit, PUBLISH)
    reason = _checked(reason, is_needed=proposal.version.author_id != actor.pk)
    Policy.objects.select_for_update().get(pk=proposal.policy_id)  # a release of it ends first, or sees this end
    return advance(
        actor,
        proposal,
        ProposalState.DECLINED,
        payload={"reason": reason, "version": proposal.version.number},
        decided_by=actor,
        decided_at=ClockTimestamp(),
        answer=reason,
    )


def _checked(reason: str, *, is_needed: bool) -> str:
    text = reason.strip()
    if is_needed and not text:
        raise InvalidError(errors={"reason": [_("Say why.")]})
    if len(text) > MAX_REASON:
        raise InvalidError(errors={"reason": [_("At most %d characters.") % MAX_REASON]})
    return text
