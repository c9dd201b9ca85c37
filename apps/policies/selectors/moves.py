"""What an agent, a workflow or a unit leaves that goes to another unit: rules, budgets, waivers, halts."""

from collections.abc import Iterable, Mapping
from uuid import UUID

from apps.access.models import BusinessUnit
from apps.access.rules.moves import Left
from apps.access.selectors import ancestors_for, unit_ids_below
from apps.core.models import User
from apps.halts.rules import HaltScope
from apps.halts.selectors import engaged_for, take_fence
from apps.policies.models import Budget, Waiver
from apps.policies.rules.budgets import BudgetScope
from apps.policies.rules.moves import Mover, Path, gained_rules, left_rules, name_of, unsure_rules
from apps.policies.rules.waivers import WaiverScope
from apps.policies.rules.weighing import RuleInForce
from apps.policies.selectors.releases import release_in_force_for, rules_for_release


def left_for(
    actor: User,
    *,
    before: BusinessUnit | None,
    after: BusinessUnit | None,
    agent: str = "",
    workflow: str = "",
    unit: str = "",
) -> Left:
    """What does not go along from ``before`` to ``after``, as ``access.selectors.left_by_moving`` asks.

    Halts, breakers and budgets of the agent or the workflow itself go along by its name (the last two to its new unit's
    people, ``services.moves``), and are not named. Takes the
    fence, so that nobody engages a halt before a transaction that moves has ended.
    """
    take_fence()
    old, new = _above(before), _above(after)
    gone, come = old.keys() - new.keys(), new.keys() - old.keys()
    release = release_in_force_for(actor)
    rules = rules_for_release(actor, release.pk if release else None).rules
    paths = _paths(unit, frozenset(old), frozenset(new)) if unit else [Path(frozenset(old), frozenset(new))]
    is_abroad = _top_currency(before, old, unit) != _top_currency(after, new, unit)
    mover = Mover(agent=agent, workflow=workflow, reads_unit=not unit, is_abroad=is_abroad)
    halts = engaged_for(actor).filter(scope=HaltScope.UNIT, target__in=gone)
    budgets = Budget.objects.filter(ended_at=None, scope=BudgetScope.UNIT, target__in=gone)
    waivers = Waiver.objects.filter(Waiver.usable(), scope=WaiverScope.UNIT, target__in=come).select_related("policy")
    return Left(
        rules=_names(left_rules(rules, paths, mover)),
        budgets=tuple(budgets.order_by("slug").values_list("slug", flat=True)),
        gained=_names(gained_rules(rules, paths, mover)),
        waivers=tuple(sorted(map(str, waivers))),
        unsure=_names(unsure_rules(rules, paths, mover)),
        halts=tuple(halts.order_by("target").values_list("target", flat=True)),
    )


def _above(unit: BusinessUnit | None) -> dict[str, str]:
    """The currencies of the unit and of all above it by slug, as the database has them now, nearest first."""
    ids = ancestors_for(None, unit.pk) if unit else []
    found = BusinessUnit.objects.in_bulk(ids)
    return {found[pk].slug: found[pk].currency for pk in ids}


def _top_currency(place: BusinessUnit | None, above: dict[str, str], unit: str) -> str:
    """The currency of the topmost unit; where a unit has none above it, that is its own."""
    if place is None:
        return str(BusinessUnit.objects.values_list("currency", flat=True).get(slug=unit))
    return [*above.values()][-1]


def _paths(unit: str, old: frozenset[str], new: frozenset[str]) -> list[Path]:
    """The ways up from the unit that moves and from each below it."""
    rows = {
        pk: (slug, parent)
        for pk, slug, parent in BusinessUnit.objects.filter(pk__in=unit_ids_below(unit)).values_list(
            "id", "slug", "parent_id"
        )
    }
    ways = [frozenset(_way(pk, rows)) for pk in rows]
    return [Path(way | old, way | new) for way in ways]


def _way(pk: UUID | None, rows: Mapping[UUID, tuple[str, UUID | None]]) -> Iterable[str]:
    while pk is not None and pk in rows:
        slug, pk = rows[pk]
        yield slug


def _names(rules: Iterable[RuleInForce]) -> tuple[str, ...]:
    return tuple(sorted(map(name_of, rules)))
