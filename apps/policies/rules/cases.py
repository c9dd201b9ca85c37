"""Tests that are stored with rules: what is asked, what should come of it, and what the rules say.

A case is judged by the rules of its own policy and by the judge that every action meets, so it is right or wrong
whatever other policies say. What it leaves out is absent; what the past is asked for and the case does not say is 0.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from apps.core.expressions import ContextError, ExpressionError, FunctionCall, Kind, compile_expression
from apps.core.rules import ValueProblem, canonical_json
from apps.policies.rules.documents import EVERY_AGENT, Effect, Finding
from apps.policies.rules.facts import WORLD, AgentFacts, Facts, RunFacts, past_of
from apps.policies.rules.obligations import DocumentError
from apps.policies.rules.verdicts import Judged, Verdict, judge
from apps.policies.rules.weighing import Reason, RuleInForce

MAX_CASES = 50
MAX_CASE_BYTES = 4_096
MAX_NAME = 120
MAX_INT = 2**53 - 1
"""What the canonical form takes."""
EXPECTED = (Effect.ALLOW, Effect.REQUIRE_APPROVAL, Effect.DENY)

type Units = Mapping[str, tuple[str, str]]
"""The slug of the unit above each, empty for the topmost, and each unit's currency."""

_WORDS: Mapping[type, str] = {
    str: "A text",
    int: "A whole number that is not negative",
    float: "A number from 0 to 1",
    bool: "true or false",
    list: "A list of texts",
    dict: "An object",
}
_PARTS: Mapping[str, Mapping[str, type]] = {
    "action": {
        "operation": str,
        "effect": str,
        "connector": str,
        "parameters": dict,
        "amount_minor": int,
        "currency": str,
        "target": str,
        "reference": str,
        "environment": str,
        "confidence": float,
        "is_compensable": bool,
        "data_classes": list,
    },
    "agent": {
        "slug": str,
        "unit": str,
        "risk": str,
        "state": str,
        "version": int,
        "owner": str,
        "capabilities": list,
    },
    "run": {"workflow": str, "step": str, "started_by": str, "key": str},
}
_KEYS = ("name", *_PARTS, "on_behalf_of", "now", "history", "expect", "rule")


@dataclass(frozen=True, slots=True)
class Case:
    """One test: the facts, the effect that should come of them and, where it says so, the rule that decides."""

    name: str
    facts: Facts
    expect: Effect
    rule: str = ""


@dataclass(frozen=True, slots=True)
class CaseResult:
    """What came of a case: ``effect`` is None where it could not be judged, and ``error`` says why.

    ``trace``: what became of each rule in whose scope it is.
    """

    case: Case
    effect: Effect | None
    rules: tuple[str, ...] = ()
    reason: str = ""
    error: str = ""
    trace: tuple[Judged, ...] = ()

    @property
    def has_passed(self) -> bool:
        """Whether what came is what was expected, by the rule that was expected."""
        return self.effect is self.case.expect and (not self.case.rule or self.case.rule in self.rules)

    def as_json(self) -> dict[str, Any]:
        """The result for the API."""
        return {
            "name": self.case.name,
            "passed": self.has_passed,
            "expected": {"effect": self.case.expect.value, "rule": self.case.rule},
            "came": {
                "effect": self.effect.value if self.effect else "",
                "rules": list(self.rules),
                "reason": self.reason,
                "error": self.error,
            },
        }


def read_cases(raw: object, *, rules: Iterable[str], units: Units) -> tuple[tuple[Case, ...], tuple[Finding, ...]]:
    """The tests of a document that can be read, and what is wrong with the others. ``rules``: the slugs there are."""
    if not isinstance(raw, list):
        return (), (Finding("tests", "A list of tests is wanted."),)
    if len(raw) > MAX_CASES:
        return (), (Finding("tests", f"More than {MAX_CASES} tests."),)
    known, names = set(rules), set[str]()
    cases: list[Case] = []
    findings: list[Finding] = []
    for place, item in enumerate(raw):
        try:
            case = read_case(item)
            _refuse_misnamed(case, names, known, units)
        except DocumentError as error:
            findings.append(Finding(f"tests.{place}.{error.field}".rstrip("."), error.message))
            continue
        names.add(case.name)
        cases.append(case)
    return tuple(cases), tuple(findings)


def _refuse_misnamed(case: Case, names: Collection[str], rules: Collection[str], units: Units) -> None:
    if case.name in names:
        raise DocumentError("name", "This name is given twice.")
    if case.rule and case.rule not in rules:
        raise DocumentError("rule", f"There is no rule {case.rule!r}.")
    if case.facts.agent.unit and case.facts.agent.unit not in units:
        raise DocumentError("agent.unit", f"There is no unit {case.facts.agent.unit!r}.")


def read_case(raw: object) -> Case:
    """One test of a document. Raises DocumentError."""
    if not isinstance(raw, dict):
        raise DocumentError("", "An object is wanted.")
    _refuse_unknown(raw, _KEYS, "")
    _refuse_large(raw)
    name = _word(raw, "name")
    if not name.strip() or len(name) > MAX_NAME:
        raise DocumentError("name", f"A name of 1 to {MAX_NAME} characters is wanted.")
    expect = raw.get("expect")
    if not isinstance(expect, str) or expect not in EXPECTED:
        raise DocumentError("expect", "One of allow, require_approval, deny is wanted.")
    return Case(name, _facts(raw), Effect(expect), _word(raw, "rule"))


def _refuse_unknown(raw: Mapping[str, Any], known: Iterable[str], at: str) -> None:
    if unknown := sorted(set(map(str, raw)) - set(known)):
        raise DocumentError(f"{at}{unknown[0]}", "Unknown key.")


def _refuse_large(raw: object) -> None:
    try:
        written = canonical_json(raw)
    except ValueProblem as error:
        raise DocumentError("", "Only texts, numbers, true, false, lists and objects are wanted.") from error
    if len(written) > MAX_CASE_BYTES:
        raise DocumentError("", f"At most {MAX_CASE_BYTES} bytes as JSON.")
    if b"\\u0000" in written:
        raise DocumentError("", "A text with the character 0 cannot be kept.")


def _word(raw: Mapping[str, Any], name: str) -> str:
    text = raw.get(name, "")
    if not isinstance(text, str):
        raise DocumentError(name, "A text is wanted.")
    return text


def _facts(raw: Mapping[str, Any]) -> Facts:
    action, agent, run = (_part(raw, name) for name in _PARTS)
    if not action.get("operation"):
        raise DocumentError("action.operation", "This is required.")
    if "capabilities" in agent:
        agent["capabilities"] = tuple(agent["capabilities"])
    if "data_classes" in action:
        action["data_classes"] = tuple(action["data_classes"])
    return Facts(
        **{"effect": "", **action},
        agent=AgentFacts(**agent),
        run=RunFacts(**run),
        on_behalf_of=_word(raw, "on_behalf_of"),
        now=_now(raw),
        history=_history(raw.get("history", {})),
    )


def _part(raw: Mapping[str, Any], part: str) -> dict[str, Any]:
    found, kinds = raw.get(part, {}), _PARTS[part]
    if not isinstance(found, dict):
        raise DocumentError(part, "An object is wanted.")
    _refuse_unknown(found, kinds, f"{part}.")
    for name, value in found.items():
        if not _is(value, kinds[name]):
            raise DocumentError(f"{part}.{name}", f"{_WORDS[kinds[name]]} is wanted.")
    return dict(found)


def _is(value: object, kind: type) -> bool:
    if kind is int:
        return type(value) is int and 0 <= value <= MAX_INT
    if kind is float:
        return type(value) in {int, float} and 0 <= float(str(value)) <= 1
    if kind is list:
        return isinstance(value, list) and all(isinstance(word, str) for word in value)
    return isinstance(value, kind)


def _now(raw: Mapping[str, Any]) -> datetime | None:
    text = _word(raw, "now")
    if not text:
        return None
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        found = None
    if found is None or found.tzinfo is None:
        raise DocumentError("now", "A time with its zone is wanted, such as 2027-01-31T09:00:00Z.")
    return found


def _history(raw: object) -> dict[FunctionCall, int]:
    if not isinstance(raw, dict):
        raise DocumentError("history", "An object is wanted.")
    found: dict[FunctionCall, int] = {}
    for source, value in raw.items():
        try:
            (call,) = compile_expression(str(source), WORLD, returns=Kind.INT).calls
            past_of(call)
        except (ExpressionError, ValueError, DocumentError) as error:
            wanted = 'A question to the past is wanted, such as history.count("bank.pay", "1d", "agent").'
            raise DocumentError("history", wanted) from error
        if not _is(value, int):
            raise DocumentError("history", f"{_WORDS[int]} is wanted.")
        found[call] = value
    return found


def run_cases(cases: Iterable[Case], rules: Sequence[RuleInForce], *, units: Units, unit: str) -> list[CaseResult]:
    """What ``rules`` say of each case. A case without a unit happens in ``unit``, that of the policy.

    Rules for a share of the agents are tried as if they had their say on all.
    """
    rules = [replace(rule, rule=replace(rule.rule, share=EVERY_AGENT)) for rule in rules]
    calls = {call: 0 for rule in rules for call in rule.program.calls}
    return [_run(case, rules, calls, *_ground(case.facts.agent.unit or unit, units)) for case in cases]


def _run(
    case: Case,
    rules: Sequence[RuleInForce],
    calls: Mapping[FunctionCall, int],
    above: frozenset[str],
    currencies: Mapping[str, str],
) -> CaseResult:
    facts = replace(case.facts, units=above, currencies=currencies, history={**calls, **case.facts.history})
    try:
        verdict = judge(rules, facts)
    except ContextError as error:
        return CaseResult(case, None, error=f"{error.path}: {error.message}")
    return CaseResult(case, verdict.effect, _deciding(verdict, rules), verdict.reason, trace=verdict.trace)


def _deciding(verdict: Verdict, rules: Sequence[RuleInForce]) -> tuple[str, ...]:
    """The matched rules that brought the effect: those of it, or those that demand what the action does not keep."""
    matched = {rule.rule: rule.effect for rule in verdict.rules}
    demands = {rule.rule.slug: rule.rule.obligations for rule in rules if rule.rule.slug in matched}
    if verdict.reason == Reason.LIMIT_EXCEEDED:
        return tuple(slug for slug in matched if demands[slug].limit_minor is not None)
    if verdict.reason == Reason.NOT_COMPENSABLE:
        return tuple(slug for slug in matched if demands[slug].compensable)
    return tuple(slug for slug, effect in matched.items() if effect is verdict.effect)


def _ground(unit: str, units: Units) -> tuple[frozenset[str], dict[str, str]]:
    """The unit with all above it, and their currencies, that of the topmost under the empty slug as well.

    Outside every unit amounts are in the currency of a topmost one, as they are where a policy covers everything.
    """
    currencies: dict[str, str] = {}
    here = top = unit
    while here in units and here not in currencies:
        top, currencies[here] = here, units[here][1]
        here = units[here][0]
    tops = [currency for slug, (above, currency) in units.items() if (slug == top if unit else not above)]
    return frozenset(currencies), currencies | ({"": tops[0]} if tops else {})
