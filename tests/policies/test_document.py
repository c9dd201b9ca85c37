"""Every example of ``docs/policies.md`` is run, so that the document says what the language does."""

import re
from pathlib import Path
from typing import Any

import pytest

from apps.core.expressions import EvaluationError
from apps.policies.rules import compile_rule, read_cases, read_rule, read_rules, run_cases
from apps.policies.rules.cases import read_case
from apps.policies.rules.facts import HISTORY, VARIABLES
from apps.policies.rules.obligations import _READERS, read_obligations
from apps.policies.rules.quorums import _KEYS, read_quorums
from apps.policies.rules.sheets import SCOPES
from apps.workflows.rules.source import read_sources
from tests.factories.policies import make_rule

TEXT = (Path(__file__).resolve().parents[2] / "docs" / "policies.md").read_text()
BLOCKS = re.findall(r"^```yaml\n(.*?)^```", TEXT, re.DOTALL | re.MULTILINE)
VALUES = [source.value for block in BLOCKS for source in read_sources(block)]
UNITS = {"finance": ("", "EUR")}


def table(*heads: str) -> list[list[str]]:
    """The rows of the table with these heads, each cell without its backticks where it is one piece of code."""
    head = re.escape("| " + " | ".join(heads) + " |")
    found = re.search(rf"^{head}\n\|[-|]+\|\n((?:\|.*\|\n)+)", TEXT, re.MULTILINE)
    assert found is not None, heads
    rows = [re.split(r"(?<!\\)\|", line)[1:-1] for line in found[1].splitlines()]
    return [[re.sub(r"^`(.*)`$", r"\1", cell.strip()).replace("\\|", "|") for cell in row] for row in rows]


CONDITIONS = table("condition", "holds for", "does not hold for")
OBLIGATIONS = table("obligation", "as in", "means", "merged")
QUORUMS = table("key", "means", "left out")


def value_of(text: str) -> Any:
    (source,) = read_sources(text)
    return source.value


def outcome(condition: str, facts: str) -> Any:
    """What a condition gives for facts as a test states them."""
    rule = compile_rule(read_rule(make_rule(when=condition)))
    asked = {"name": "x", "expect": "allow", **value_of(facts)}
    asked["action"] = {"operation": "bank.pay", **asked.get("action", {})}
    case = read_case(asked)
    history = dict.fromkeys(rule.program.calls, 0) | dict(case.facts.history)
    seen = case.facts.__class__(
        **{name: getattr(case.facts, name) for name in case.facts.__dataclass_fields__ if name != "history"},
        history=history,
    )
    return rule.program.test(seen.activation())


def test_the_examples_are_there() -> None:
    assert len(VALUES) >= 4
    assert len(CONDITIONS) >= 15


@pytest.mark.parametrize(("condition", "holds", "fails"), CONDITIONS, ids=[row[0][:60] for row in CONDITIONS])
def test_each_condition_holds_and_does_not_hold_as_it_is_said(condition: str, holds: str, fails: str) -> None:
    assert outcome(condition, holds) is True
    assert outcome(condition, fails) is False


def test_a_condition_without_a_value_is_as_it_is_said() -> None:
    assert isinstance(outcome("action.amount_minor > 5", "{}"), EvaluationError)
    assert isinstance(outcome('action.parameters.iban == "x"', "{}"), EvaluationError)


def policy() -> dict[str, Any]:
    return next(value for value in VALUES if isinstance(value, dict) and value.get("kind") == "Policy")


def test_rules_compile_and_tests_pass() -> None:
    rules, findings = read_rules(policy()["rules"])
    assert not findings
    tests = next(value["tests"] for value in VALUES if isinstance(value, dict) and "tests" in value)
    cases, misfits = read_cases(tests, rules=[rule.slug for rule in rules], units=UNITS)
    assert not misfits
    results = run_cases(cases, [compile_rule(rule, unit="finance") for rule in rules], units=UNITS, unit="finance")
    assert [result.case.name for result in results if not result.has_passed] == []
    assert {result.effect.value for result in results if result.effect} == {"allow", "require_approval", "deny"}


def test_rules_that_stand_alone_compile() -> None:
    alone = [rule for value in VALUES if isinstance(value, list) for rule in value]
    assert alone
    rules, findings = read_rules(alone)
    assert not findings
    for rule in rules:
        compile_rule(rule)


def test_demands_that_stand_alone_are_read() -> None:
    alone = [value["obligations"] for value in VALUES if isinstance(value, dict) and set(value) == {"obligations"}]
    assert alone
    for demands in alone:
        read_rule(make_rule(effect="require_approval", queue="finance-approvals", obligations=demands))


@pytest.mark.parametrize(("name", "example"), [row[:2] for row in OBLIGATIONS], ids=[row[0] for row in OBLIGATIONS])
def test_each_obligation_is_read_as_it_is_written(name: str, example: str) -> None:
    written = value_of(example)
    assert list(written) == [name]
    if name == "quorum":
        assert read_quorums(written[name])
    else:
        assert read_obligations(written).as_json()


def test_the_tables_name_everything_and_nothing_else() -> None:
    assert {row[0] for row in OBLIGATIONS} == {*_READERS, "quorum"} - {"notify"}  # read, to be refused with its reason
    assert {row[0] for row in QUORUMS} == set(_KEYS)
    facts = " ".join(row[0] for row in table("name", "is"))
    for name in (*VARIABLES, *(function.name for function in HISTORY)):
        assert name in facts or f"`.{name.rpartition('.')[2]}" in facts, name
    assert all(f"`{scope}`" in TEXT for scope in SCOPES)
