"""Whether a rule demands less than it did: fewer people, weaker duties, a lower tier, or less to match."""

from collections.abc import Mapping
from dataclasses import fields, replace
from typing import Any

from apps.core.rules import highest_risk
from apps.policies.rules.documents import Effect, Rule, Scope, read_rule
from apps.policies.rules.obligations import NOTHING_STANDING, USUAL_BULK, Bulk, DocumentError, Obligations
from apps.policies.rules.quorums import Quorum

NOTHING_TOGETHER = Bulk(items=0)


def demands_less(before: Mapping[str, Any], after: Mapping[str, Any]) -> bool:
    """Whether a rule of the same effect, as it is stored, demands less after a change.

    What cannot be read any more is taken to.

    By the lattice in which demands join: whatever ``before`` demands, ``after`` has to demand as well. Amounts are what
    policies are changed for: another limit, or another one from which on a group is asked, is no lowering; none any
    more is.
    """
    try:
        old, new = read_rule(dict(before)), read_rule(dict(after))
    except DocumentError:
        return True
    if old.effect is not new.effect or old.effect is Effect.FLAG:
        return False
    if _weaker(old, new) or highest_risk(old.risk, new.risk) != highest_risk(new.risk):
        return True
    if old.effect is Effect.ALLOW:
        return False
    return not _covers(new.scope, old.scope) or not all(_is_asked(quorum, old, new) for quorum in old.quorums)


def _weaker(old: Rule, new: Rule) -> bool:
    before, after = _spelt_out(old), _spelt_out(new)
    if before.limit_minor is not None and after.limit_minor is not None:
        before = replace(before, limit_minor=after.limit_minor)
    return _fixed(before | after) != _fixed(after)


def _spelt_out(rule: Rule) -> Obligations:
    """The demands, with what holds where a rule that asks says nothing."""
    if rule.effect is not Effect.REQUIRE_APPROVAL:
        return rule.obligations
    said = rule.obligations
    return replace(said, bulk=said.bulk or USUAL_BULK, standing=said.standing or NOTHING_STANDING)


def _fixed(said: Obligations) -> Obligations:
    """The same where nothing may be approved together, or nothing in advance, whatever else is said of it.

    Without whom a rule would tell: none does.
    """
    return replace(
        said,
        notify=frozenset(),
        bulk=NOTHING_TOGETHER if said.bulk and not said.bulk.items else said.bulk,
        standing=NOTHING_STANDING if said.standing and not said.standing.times else said.standing,
    )


def _covers(new: Scope, old: Scope) -> bool:
    """Whether the new scope matches whatever the old one did, as far as the names in them tell."""
    named = ((getattr(old, field.name), getattr(new, field.name)) for field in fields(Scope))
    return all(not after or (before and before <= after) for before, after in named)


def _is_asked(quorum: Quorum, old: Rule, new: Rule) -> bool:
    """Whether as many of the same people are still asked, at whatever amount."""
    return any(
        (other.queue or new.queue, other.role) == (quorum.queue or old.queue, quorum.role)
        and other.n >= quorum.n
        and other.distinct_units >= quorum.distinct_units
        and other.stage >= quorum.stage
        and (other.over_minor is None or quorum.over_minor is not None)
        for other in new.quorums
    )
