"""The tests of a policy: run on its rules, and what came of each in words."""

from collections.abc import Sequence
from dataclasses import dataclass

from django.utils.translation import gettext as _

from apps.access.models import BusinessUnit
from apps.core.models import User
from apps.policies.models import PolicyVersion
from apps.policies.rules import (
    CaseResult,
    Effect,
    Reason,
    RuleInForce,
    Units,
    compile_rule,
    read_cases,
    read_rules,
    run_cases,
)
from apps.policies.selectors.policies import compiled_version


@dataclass(frozen=True, slots=True)
class CaseCard:
    """A test for people: its name, whether it passed, and in words what was expected and what came."""

    name: str
    has_passed: bool
    words: str


def units_known(actor: User) -> Units:
    """Every unit with the one above it and its currency: where a test happens."""
    assert actor.is_active
    rows = BusinessUnit.objects.values_list("slug", "parent__slug", "currency")
    return {slug: (above or "", currency) for slug, above, currency in rows}


def try_rules(actor: User, *, rules: object, tests: object, unit: str) -> list[CaseResult]:
    """What sound rules say of each test that can be read. Raises ExpressionError for rules that do not compile."""
    return _tried(actor, [compile_rule(rule, unit=unit) for rule in read_rules(rules)[0]], tests, unit)


def cases_for(actor: User, version: PolicyVersion | None) -> list[CaseCard]:
    """The tests of a version of a policy fetched for ``actor``, run now; none for no version."""
    if version is None or not version.tests:
        return []
    results = _tried(actor, compiled_version(version), version.tests, version.unit)
    return [CaseCard(result.case.name, result.has_passed, in_words(result)) for result in results]


def _tried(actor: User, rules: Sequence[RuleInForce], tests: object, unit: str) -> list[CaseResult]:
    if not tests:
        return []
    units = units_known(actor)
    cases, _misfits = read_cases(tests, rules=[rule.rule.slug for rule in rules], units=units)
    return run_cases(cases, rules, units=units, unit=unit)


def in_words(result: CaseResult) -> str:
    """What was expected of a test, and what came."""
    expected = _outcome(result.case.expect, (result.case.rule,) if result.case.rule else ())
    if result.effect is None:
        came = _("it could not be judged: %s") % result.error
    else:
        came = _outcome(result.effect, result.rules, result.reason)
    return _("%(name)s: expected %(expected)s; came %(came)s.") % {
        "name": result.case.name,
        "expected": expected,
        "came": came,
    }


def _outcome(effect: Effect, rules: Sequence[str], reason: str = "") -> str:
    words = {
        Effect.ALLOW: _("allowed"),
        Effect.REQUIRE_APPROVAL: _("asked of people"),
        Effect.DENY: _("denied"),
    }[effect]
    why = {
        Reason.NO_MATCHING_ALLOW: _("no rule allows it"),
        Reason.LIMIT_EXCEEDED: _("it is above the limit"),
        Reason.NOT_COMPENSABLE: _("it cannot be undone"),
    }
    by = [_("by %s") % ", ".join(rules)] if rules else []
    return ", ".join([" ".join([words, *by]), *([why[Reason(reason)]] if reason else [])])
