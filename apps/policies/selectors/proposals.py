"""Proposed changes of rules: who may see them, what they change, who may release them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db.models import QuerySet
from django.utils.module_loading import import_string

from apps.access.models import BusinessUnit
from apps.access.selectors import ancestors_for, holders_for, unit_ids_below
from apps.agents.models import Agent, AgentVersion
from apps.agents.rules import AgentState
from apps.core.errors import NotFoundError
from apps.core.gate import scope_for, visible
from apps.core.models import User
from apps.core.prepared import Prepared, Slot
from apps.policies.models import Policy, PolicyVersion, Proposal, Release
from apps.policies.rules import Difference, ProposalState, differences_between, lowers, only_tightens
from apps.policies.rules.reach import There
from apps.policies.selectors.policies import RuleCard, drafted_rules_for, rules_for

VIEW, PUBLISH, LOWER = "policies.view_policy", "policies.publish_policy", "policies.lower_enforcement"
SHOWN_MAX = 20


def proposals_for(actor: User) -> QuerySet[Proposal]:
    """The proposals on policies that ``actor`` may see, newest first."""
    return visible(actor, VIEW, _with_parts()).order_by("-id")


def proposal_for(actor: User, proposal_id: UUID) -> Proposal:
    """One of them. Raises NotFoundError."""
    if found := proposals_for(actor).filter(pk=proposal_id).first():
        return found
    raise NotFoundError


def open_proposals_for(actor: User, policy: Policy) -> list[Proposal]:
    """The proposals that wait on a policy that was fetched for ``actor``."""
    assert actor.is_active
    rows = _with_parts().filter(policy=policy, state=ProposalState.OPEN)
    return list(rows.order_by("-id")[:SHOWN_MAX])


def proposal_of(actor: User, version: PolicyVersion | None) -> Proposal | None:
    """The proposal that a version of a policy fetched for ``actor`` was written as; None if it was none."""
    assert actor.is_active
    return _with_parts().filter(version=version).first() if version else None


def proposals_of_item(actor: User, item_id: UUID) -> list[Proposal]:
    """What was proposed because of an item that ``actor`` may see: whoever sees the item sees that."""
    assert actor.is_active
    return _because_of(item=item_id)


_because_of = Prepared(lambda: _with_parts().filter(item=Slot("item")).order_by("-id")[:SHOWN_MAX])


def _with_parts() -> QuerySet[Proposal]:
    return Proposal.objects.select_related("policy__unit", "policy__in_force", "version__author", "base", "decided_by")


def changes_of(actor: User, policy: Policy, version: PolicyVersion) -> tuple[Difference, ...]:
    """What a version of a policy fetched for ``actor`` changes of what is in force."""
    assert actor.is_active
    return differences_between(policy.in_force.rules if policy.in_force else (), version.rules)


@dataclass(frozen=True, slots=True)
class Change:
    """What becomes of one rule, in words: the card of what is in force and of what would be; None for none."""

    difference: Difference
    before: RuleCard | None
    after: RuleCard | None


def changes_shown_for(actor: User, policy: Policy, version: PolicyVersion) -> list[Change]:
    """The same with each rule as a sentence, its expression and its demands."""
    old = {card.slug: card for card in rules_for(actor, policy.in_force)}
    new = {card.slug: card for card in rules_for(actor, version)}
    return [Change(each, old.get(each.slug), new.get(each.slug)) for each in changes_of(actor, policy, version)]


def changes_drafted_for(actor: User, policy: Policy, rules: Sequence[Mapping[str, Any]]) -> list[Change]:
    """What rules that are written nowhere yet change of what is in force, as ``changes_shown_for`` shows it."""
    old = {card.slug: card for card in rules_for(actor, policy.in_force)}
    cards = drafted_rules_for(actor, policy, rules)
    new = {card.slug: card for card in cards if card is not None}
    before = policy.in_force.rules if policy.in_force else ()
    return [Change(each, old.get(each.slug), new.get(each.slug)) for each in differences_between(before, rules)]


def publishers_for(actor: User, policy: Policy) -> list[User]:
    """Who may write and release this policy, by name."""
    return list(holders_for(actor, PUBLISH, policy.unit_id)[:SHOWN_MAX])


def releasers_for(actor: User, policy: Policy, version: PolicyVersion) -> list[User]:
    """Who else than its author may release a version, by name; of one that lowers, who may lower what is enforced.

    Each where the policy holds now and where it would.
    """
    found = holders_for(actor, PUBLISH, policy.unit_id).exclude(pk=version.author_id)
    for perm, unit in rights_to_release(actor, policy, version):
        found = found.filter(pk__in=holders_for(actor, perm, unit.pk if unit else None).values("pk"))
    return list(found[:SHOWN_MAX])


def unit_of_version(actor: User, version: PolicyVersion) -> BusinessUnit | None:
    """The unit that a version covers; None where that is everything, or where the unit is gone."""
    assert actor.is_active
    return BusinessUnit.objects.filter(slug=version.unit).first() if version.unit else None


def rights_to_release(actor: User, policy: Policy, version: PolicyVersion) -> list[tuple[str, BusinessUnit | None]]:
    """What it takes to release a version: each permission in the unit that the policy covers, and where it would."""
    perms = (PUBLISH, LOWER) if is_lowered_by(policy, version) else (PUBLISH,)
    return [(perm, unit) for perm in perms for unit in (policy.unit, unit_of_version(actor, version))]


def is_earlier(policy: Policy, version: PolicyVersion) -> bool:
    """Whether the version is one that was in force, or older than one: it comes back as a new one, by a proposal."""
    last = Release.objects.filter(policies__contains=[{"policy": policy.slug}]).order_by("-number").first()
    numbers = [line["version"] for line in last.policies if line["policy"] == policy.slug] if last else []
    return any(version.number <= number for number in numbers)


def may_release(actor: User, policy: Policy, version: PolicyVersion) -> bool:
    """Whether ``actor``, who may publish the policy, may release this version: another's, or one that only tightens.

    One that lowers what is enforced: whoever may lower it as well. Each where the policy holds now and where it would.
    """
    for perm, unit in rights_to_release(actor, policy, version):
        scope = scope_for(actor, perm)
        if not (scope.everywhere or (unit is not None and unit.pk in scope.units)):
            return False
    return version.author_id != actor.pk or is_tightened_by(policy, version)


def is_lowered_by(policy: Policy, version: PolicyVersion) -> bool:
    """Whether less is enforced by this version than by what is in force of the policy, or in fewer units."""
    old = policy.in_force
    if old is None:
        return False
    is_narrower = version.unit not in (old.unit, "") and lowers(differences_between(old.rules, ()))
    differences = differences_between(old.rules, version.rules)
    if is_narrower or lowers(differences):
        return True
    scoped = [each for each in differences if each.before and each.after and "scope" in each.changed]
    return bool(scoped) and lowers(scoped, was=what_is_there(old.unit), there=what_is_there(version.unit))


def what_is_there(unit: str) -> There:
    """What the scopes of a policy that covers ``unit`` (empty: everything) can match now."""
    found = BusinessUnit.objects.filter(slug=unit).first() if unit else None
    rows = BusinessUnit.objects.values_list("slug", flat=True)
    near = {*unit_ids_below(unit), *ancestors_for(None, found.pk)} if found else None
    agents = Agent.objects.exclude(state=AgentState.RETIRED)
    versions = AgentVersion.objects.filter(agent__in=agents).values_list("agent__slug", "number")
    return There(
        operations=import_string(settings.POLICY_HOMES)(),
        agents=set(agents.values_list("slug", flat=True)),
        versions={f"{slug}@{number}" for slug, number in versions},
        workflows=import_string(settings.POLICY_WORKFLOWS)(),
        units=set(rows if near is None else rows.filter(pk__in=near)),
    )


def is_tightened_by(policy: Policy, version: PolicyVersion) -> bool:
    """Whether nothing can come out milder by this version than by what is in force of the policy.

    Nor later: as long as it has rules, it has the tests that stand against a milder one.
    """
    old = policy.in_force
    is_same_unit = old is None or old.unit == version.unit
    if version.rules and any(test not in version.tests for test in (old.tests if old else ())):
        return False
    return is_same_unit and only_tightens(differences_between(old.rules if old else (), version.rules))
