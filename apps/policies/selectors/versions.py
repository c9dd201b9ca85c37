"""Versions of a policy as they were: when each held, and what one says otherwise than another."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from apps.core.errors import NotFoundError
from apps.core.models import User
from apps.policies.models import Policy, PolicyVersion, Release
from apps.policies.rules import differences_between, lowers, only_tightens
from apps.policies.selectors.policies import rules_for, versions_for
from apps.policies.selectors.proposals import Change

TIGHTER, LOOSER, OPEN = "tighter", "looser", "open"


@dataclass(frozen=True, slots=True)
class Tenure:
    """From which release on a version held, released by whom and when; ``ended_at``: since when it does not."""

    release: int
    released_by: str
    since: datetime
    ended_by_release: int | None = None
    ended_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Compared:
    """What becomes of one rule between two versions; ``bearing``: tighter, looser, or open where nobody can say."""

    change: Change
    bearing: str


def version_for(actor: User, policy: Policy, number: int) -> PolicyVersion:
    """One version of a policy that was fetched for ``actor``. Raises NotFoundError."""
    if found := versions_for(actor, policy).filter(number=number).first():
        return found
    raise NotFoundError


def tenure_of(actor: User, version: PolicyVersion) -> Tenure | None:
    """When a version of a policy fetched for ``actor`` judged; None where it never did."""
    assert actor.is_active
    line: dict[str, Any] = {"policy": version.policy.slug, "version": version.number}
    rows = Release.objects.defer("policies").select_related("published_by").order_by("number")
    held = rows.filter(policies__contains=[line])
    first, last = held.first(), held.last()
    if first is None or last is None:
        return None
    after = rows.filter(number__gt=last.number).first()
    since = first.number, str(first.published_by), first.created_at
    return Tenure(*since, after.number, after.created_at) if after else Tenure(*since)


def compared_for(actor: User, before: PolicyVersion, after: PolicyVersion) -> list[Compared]:
    """What a version says otherwise than another of its policy, rule by rule, each as a sentence."""
    old = {card.slug: card for card in rules_for(actor, before)}
    new = {card.slug: card for card in rules_for(actor, after)}
    return [
        Compared(Change(each, old.get(each.slug), new.get(each.slug)), bearing_of([each]))
        for each in differences_between(before.rules, after.rules)
    ]


def bearing_of(differences: Sequence[Any]) -> str:
    """Whether a difference can only tighten, certainly lowers what is enforced, or may do either."""
    if only_tightens(differences):
        return TIGHTER
    return LOOSER if lowers(differences) else OPEN
