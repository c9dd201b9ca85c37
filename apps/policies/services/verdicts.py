"""Judging one action by the release in force."""

from dataclasses import replace
from functools import lru_cache
from typing import Any
from uuid import UUID

from django.db import connection

from apps.core.errors import InvalidError, UnavailableError
from apps.core.expressions import ContextError
from apps.core.models import User
from apps.policies.models import Release
from apps.policies.rules import Facts, RuleInForce, Verdict, compile_rule, judge, read_rules

GROUND = """
SELECT r.id, r.number, clock_timestamp(), ARRAY(
    WITH RECURSIVE up AS (
        SELECT slug, parent_id FROM access_businessunit WHERE id = %s
        UNION SELECT b.slug, b.parent_id FROM access_businessunit b JOIN up ON b.id = up.parent_id
    ) SELECT slug FROM up)
FROM (SELECT 1) AS one LEFT JOIN LATERAL (
    SELECT id, number FROM policies_release ORDER BY number DESC LIMIT 1
) AS r ON true
"""
"""Everything that judging reads: the release in force, the time, and the units above the action's. One row."""


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


@lru_cache(maxsize=8)
def rules_of(release_id: UUID) -> RulesInForce:
    """The compiled rules of a release, kept per process: a release never changes. Raises UnavailableError."""
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


def evaluate_action(actor: User, *, facts: Facts) -> Verdict:
    """What the release in force says of ``facts``. Writes nothing.

    Reads the release's number each time, so that a publication acts on the next request; compiled rules are kept per
    process. Raises InvalidError for values that rules may not see, UnavailableError if the release cannot be read.
    """
    with connection.cursor() as cursor:
        cursor.execute(GROUND, [facts.unit_id])
        release_id, number, now, units = cursor.fetchone()
    facts = replace(facts, now=facts.now or now, units=facts.units if facts.units is not None else frozenset(units))
    rules = rules_of(release_id).about(facts.operation) if release_id else ()
    try:
        return judge(rules, facts, release=number or 0)
    except ContextError as error:
        field = error.path.removeprefix("action.")
        raise InvalidError(errors={field: [f"This {error.message}."]}) from error
