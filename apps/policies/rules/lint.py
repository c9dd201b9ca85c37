"""What is odd about rules that are sound: it refuses nothing, and says what to do."""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import fields

from apps.core.expressions import EvaluationError, ExpressionError, path_of, walk
from apps.core.expressions.syntax import Literal
from apps.policies.rules.documents import EVERY_AGENT, STRICTNESS, Effect, Finding, Rule, Scope
from apps.policies.rules.facts import VARIABLES, WORLD
from apps.policies.rules.obligations import NONE
from apps.policies.rules.weighing import RuleInForce, compile_rule

AMOUNTS = frozenset({"action.amount_minor", "history.sum_minor", "history.count"})


def lint_rules(rules: Sequence[Rule], *, irreversible: Collection[str] = ()) -> tuple[Finding, ...]:
    """Warnings about rules that compile, in their order. ``irreversible``: operations that nobody can take back."""
    return tuple(finding for finding in _lint(rules, irreversible))


def _lint(rules: Sequence[Rule], irreversible: Collection[str]) -> Iterator[Finding]:
    for place, rule in enumerate(rules):
        try:
            compiled = compile_rule(rule)
        except ExpressionError:
            continue
        for field, message in (
            ("when", _constant(compiled)),
            ("obligations", _unlimited(compiled, irreversible)),
            ("when", _shadowed(rule, rules)),
        ):
            if message:
                yield Finding(f"rules.{place}.{field}", message, rule.slug, is_warning=True)


def _named(rule: RuleInForce) -> set[str]:
    """The variables and functions that the condition names."""
    names = {".".join(path) for path in map(path_of, walk(rule.program.tree)) if path}
    return names | {call.name for call in rule.program.calls}


def _constant(rule: RuleInForce) -> str:
    """A plain ``true`` is meant so, and a plain ``false`` is told of when rules are checked."""
    names = _named(rule)
    if isinstance(rule.program.tree, Literal) or rule.program.calls:
        return ""
    if any(name == known or name.startswith(f"{known}.") for name in names for known in VARIABLES):
        return ""
    value = rule.program.test(WORLD.activation({}))
    if isinstance(value, EvaluationError):
        return ""
    said = "always" if value else "never"
    return f"This is {said} true, whatever is asked: name what it should depend on, or write {str(value).lower()}."


def _unlimited(rule: RuleInForce, irreversible: Collection[str]) -> str:
    found = sorted(rule.rule.scope.operations & set(irreversible))
    if rule.rule.effect is not Effect.ALLOW or not found or rule.rule.obligations.limit_minor is not None:
        return ""
    if _named(rule) & AMOUNTS:
        return ""
    return (
        f"It allows {', '.join(found)}, which cannot be undone, without a limit: add obligations.limit, or ask people."
    )


def _shadowed(rule: Rule, rules: Sequence[Rule]) -> str:
    for other in rules:
        if other is not rule and not other.is_shadow and other.share == EVERY_AGENT and _hides(other, rule):
            return f"{other.slug} outranks it wherever it matches: remove one of them, or narrow {other.slug}."
    return ""


def _hides(other: Rule, rule: Rule) -> bool:
    """Whether nothing comes out otherwise for the rule, because a stricter one matches wherever it does."""
    if rule.effect is Effect.FLAG or STRICTNESS[other.effect] <= STRICTNESS[rule.effect]:
        return False
    is_silent = rule.obligations == NONE and not rule.risk and not rule.quorums
    if other.effect is not Effect.DENY and not is_silent:
        return False
    is_same = other.when.strip() == rule.when.strip() and other.currency == rule.currency
    return (other.when.strip() == "true" or is_same) and _takes_in(other.scope, rule.scope)


def _takes_in(wide: Scope, narrow: Scope) -> bool:
    pairs = [(getattr(wide, part.name), getattr(narrow, part.name)) for part in fields(Scope)]
    return all(not outer or (inner and inner <= outer) for outer, inner in pairs)
