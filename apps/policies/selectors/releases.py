"""The release in force, compiled, and the ground on which an action is judged."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Any
from uuid import UUID

from django.db import connection

from apps.core.errors import UnavailableError
from apps.core.models import User
from apps.core.prepared import planned_once
from apps.policies.models import Release
from apps.policies.rules import RuleInForce, compile_rule, read_rules
from apps.policies.rules.budgets import Covering
from apps.policies.rules.waivers import Lift

GROUND = """
WITH RECURSIVE up AS (
    (SELECT slug, currency, parent_id, true AS own FROM access_businessunit WHERE id = %s
     UNION ALL SELECT slug, currency, parent_id, false FROM access_businessunit WHERE id = %s)
    UNION SELECT b.slug, b.currency, b.parent_id, up.own FROM access_businessunit b JOIN up ON b.id = up.parent_id
)
SELECT r.id, r.number, clock_timestamp(),
       ARRAY(SELECT ARRAY[slug, currency, CASE WHEN own THEN 'own' END, CASE WHEN parent_id IS NULL THEN 'top' END]
             FROM up),
       (SELECT json_agg(json_build_array(id, slug, name, measure, currency, cap, period, exhausted, queue) ORDER BY id)
        FROM policies_budget b WHERE ended_at IS NULL AND (
            scope = 'agent' AND target = %s OR scope = 'workflow' AND target = %s OR scope = 'connector' AND target = %s
            OR scope = 'unit' AND target IN (SELECT slug FROM up))),
       (SELECT json_agg(json_build_array(w.id, p.slug, w.rule, w.digest, m.username, a.username, w.until))
        FROM (SELECT * FROM policies_waiver WHERE state = 'live' AND %s
                 AND used < times AND until > clock_timestamp() AND (
                 scope = 'agent' AND target = %s OR scope = 'workflow' AND target = %s
                 OR scope = 'operation' AND target = %s
                 OR scope = 'unit' AND target IN (SELECT slug FROM up WHERE own))
              UNION ALL
              SELECT w.* FROM policies_waiver w JOIN policies_waiveruse u ON u.waiver_id = w.id
              WHERE u.action_id = %s AND w.state <> 'ended') w
        JOIN policies_policy p ON p.id = w.policy_id
        JOIN core_user m ON m.id = w.maker_id JOIN core_user a ON a.id = w.approver_id)
FROM (SELECT 1) AS one LEFT JOIN LATERAL (
    SELECT id, number FROM policies_release ORDER BY number DESC LIMIT 1
) AS r ON true
"""


@dataclass(frozen=True, slots=True)
class Ground:
    """What judging reads of the database, in one row: the release in force (0 without any), the time, the units.

    ``run_units``: those of the unit where the run was started and above, without ``units``. ``currencies``: of each of
    all these by slug, and of the topmost under the empty one. ``budgets``: those that the action falls under, also by
    where its run was started, in the order in which they are reserved. ``waivers``: those that take it in, not by where
    its run was started, or that it used already.
    """

    release_id: UUID | None
    number: int
    now: datetime
    units: frozenset[str]
    currencies: Mapping[str, str]
    budgets: tuple[Covering, ...] = ()
    waivers: tuple[Lift, ...] = ()
    run_units: frozenset[str] = frozenset()


class RulesInForce:
    """The compiled rules of one release, found by operation."""

    def __init__(self, rules: tuple[RuleInForce, ...]) -> None:
        self.rules = rules
        named = {operation for rule in rules for operation in rule.rule.scope.operations}
        self._general = tuple(rule for rule in rules if not rule.rule.scope.operations)
        self._named = {operation: self._about(operation) for operation in named}

    def about(self, operation: str) -> tuple[RuleInForce, ...]:
        """The rules whose scope does not leave out the operation, in the order of the release."""
        return self._named.get(operation, self._general)

    def _about(self, operation: str) -> tuple[RuleInForce, ...]:
        return tuple(
            rule for rule in self.rules if not rule.rule.scope.operations or operation in rule.rule.scope.operations
        )


NO_RULES = RulesInForce(())


def ground_for(
    actor: User,
    unit_id: UUID | None,
    *,
    run_unit_id: UUID | None = None,
    agent: str = "",
    workflow: str = "",
    connector: str = "",
    operation: str = "",
    is_fresh: bool = False,
    used_by: UUID | None = None,
) -> Ground:
    """The ground for an action in this unit: one query, each time, so that a publication acts on the next request.

    ``is_fresh``: with the waivers that could lift a rule for it; ``used_by``: with those that this action used.
    """
    started = None if run_unit_id == unit_id else run_unit_id
    waived: list[Any] = [is_fresh, agent, workflow, operation, used_by]
    with planned_once(), connection.cursor() as cursor:
        cursor.execute(GROUND, [unit_id, started, agent, workflow, connector, *waived])
        release_id, number, now, units, budgets, waivers = cursor.fetchone()
    currencies = {slug: currency for slug, currency, _, _ in units}
    tops = [("", currency) for _, currency, is_own, is_top in units if is_own and is_top]
    own = frozenset(slug for slug, _, is_own, _ in units if is_own)
    covering = tuple(Covering(UUID(found), *rest) for found, *rest in budgets or ())
    lifts = tuple(_lift_of(row) for row in waivers or ())
    return Ground(
        release_id, number or 0, now, own, currencies | dict(tops), covering, lifts, frozenset(currencies) - own
    )


def _lift_of(row: list[str]) -> Lift:
    found, policy, rule, digest, by, approved_by, until = row
    return Lift(UUID(found), policy, rule, digest, by, approved_by, datetime.fromisoformat(until))


def rules_for_release(actor: User, release_id: UUID | None) -> RulesInForce:
    """The compiled rules of a release, kept per process: a release never changes. Raises UnavailableError."""
    return NO_RULES if release_id is None else _rules_of(release_id)


@lru_cache(maxsize=8)
def _rules_of(release_id: UUID) -> RulesInForce:
    release = Release.objects.get(pk=release_id)
    try:
        return RulesInForce(tuple(rule for policy in release.policies for rule in _compiled(policy)))
    except (KeyError, TypeError, ValueError) as error:
        raise UnavailableError("The policies in force cannot be read.") from error


def _compiled(policy: dict[str, Any]) -> list[RuleInForce]:
    rules, findings = read_rules(policy["rules"])
    if findings:
        raise ValueError(str(findings[0]))
    return [
        compile_rule(
            rule, policy=policy["policy"], version=policy["version"], author=policy["author"], unit=policy["unit"]
        )
        for rule in rules
    ]


def release_number(actor: User | None = None) -> int:
    """The number of the release in force; 0 without any."""
    return Release.objects.order_by("-number").values_list("number", flat=True).first() or 0


def release_in_force_for(actor: User) -> Release | None:
    """The release in force; None before the first publication."""
    return Release.objects.select_related("published_by").order_by("-number").first()
