"""The tests of a policy: run on its rules, and what came of each in words."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.utils.translation import gettext as _

from apps.access.models import BusinessUnit
from apps.core.expressions import ExpressionError
from apps.core.gate import visible
from apps.core.models import User
from apps.policies.models import Policy, PolicyVersion
from apps.policies.rules import (
    CaseResult,
    Effect,
    Judged,
    Outcome,
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
    """A test for people: its name, whether it passed, and in words what was expected, what came, and why.

    ``trace``: each rule in whose scope it is, and what became of it.
    """

    name: str
    has_passed: bool
    expected: str
    came: str
    trace: tuple[tuple[str, str], ...] = ()


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
    return [_card(result) for result in _tried(actor, compiled_version(version), version.tests, version.unit)]


def drafted_cases_for(actor: User, *, rules: object, tests: Sequence[object], unit: str) -> dict[int, CaseCard | str]:
    """Tests that are written nowhere yet by their places: what came of each, or what is wrong with it.

    Nothing is run while the rules do not fit.
    """
    units = units_known(actor)
    read, problems = read_rules(rules)
    cases, misfits = read_cases(list(tests), rules=[rule.slug for rule in read], units=units)
    found: dict[int, CaseCard | str] = {
        int(misfit.field.split(".")[1]): str(misfit) for misfit in misfits if misfit.field != "tests"
    }
    if problems or len(found) < len(misfits):  # rules that cannot be read, or more tests than there may be
        return found
    try:
        compiled = [compile_rule(rule, unit=unit) for rule in read]
    except ExpressionError:
        return found
    results = run_cases(cases, compiled, units=units, unit=unit)
    places = [place for place in range(len(tests)) if place not in found]
    return found | dict(zip(places, map(_card, results), strict=True))


def _card(result: CaseResult) -> CaseCard:
    expected, came = _sides(result)
    return CaseCard(result.case.name, result.has_passed, expected, came, tuple(map(_line, result.trace)))


def _line(line: Judged) -> tuple[str, str]:
    words = {Outcome.TRUE: _("its condition holds"), Outcome.FALSE: _("its condition does not hold")}
    said = words.get(line.outcome) or _("its condition has no value: %s") % line.error
    return line.rule, _("%s; it is in shadow, so it has no say") % said if line.is_shadow else said


def case_homes_for(actor: User, verdict: Mapping[str, Any]) -> list[Policy]:
    """The policies whose rules judged an action and which ``actor`` may change: where a test of it can be kept.

    Those whose rules had their say come first; where any had, those that only looked at it and had none come after.
    """
    said = {line["policy"] for line in verdict.get("rules") or ()}
    slugs = said | {line["policy"] for line in verdict.get("trace") or ()}
    if not slugs or actor.is_agent:
        return []
    found = visible(actor, "policies.publish_policy", Policy.objects.filter(slug__in=slugs).order_by("slug"))
    return sorted(found, key=lambda policy: policy.slug not in said)


def _tried(actor: User, rules: Sequence[RuleInForce], tests: object, unit: str) -> list[CaseResult]:
    if not tests:
        return []
    units = units_known(actor)
    cases, _misfits = read_cases(tests, rules=[rule.rule.slug for rule in rules], units=units)
    return run_cases(cases, rules, units=units, unit=unit)


def in_words(result: CaseResult) -> str:
    """What was expected of a test, and what came."""
    expected, came = _sides(result)
    return _("%(name)s: expected %(expected)s; came %(came)s.") % {
        "name": result.case.name,
        "expected": expected,
        "came": came,
    }


def _sides(result: CaseResult) -> tuple[str, str]:
    expected = _outcome(result.case.expect, (result.case.rule,) if result.case.rule else ())
    if result.effect is None:
        return expected, _("it could not be judged: %s") % result.error
    return expected, _outcome(result.effect, result.rules, result.reason)


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
