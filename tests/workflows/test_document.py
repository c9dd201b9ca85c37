"""Documents: what is read, what is refused, and where the message points."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from apps.workflows.rules.checks import Catalogue, OperationFacts, check_document
from apps.workflows.rules.durations import seconds_of, words_of
from apps.workflows.rules.schema import DOCUMENT, NOT_YET
from apps.workflows.rules.source import SourceError, read_source, read_sources

ORDER = (Path(__file__).parent / "purchase_order.yaml").read_text()
SMALL = """
kind: Workflow
slug: small
name: Small
unit: finance
input: {type: object, additionalProperties: false, properties: {n: {type: integer}}}
steps:
  look: {agent: look.at, output: {type: object, additionalProperties: false, properties: {ok: {type: boolean}}}}
  decide: {needs: [look], approval: {subject: "steps.look"}, queue: clerks, due: {after: 1h}}
"""


def problems(text: str, catalogue: Catalogue | None = None) -> list[str]:
    source = read_source(text)
    return [str(problem) for problem in check_document(source, *([catalogue] if catalogue else []))]


def changed(path: str, value: Any) -> str:
    """SMALL with one value changed, added or (None) taken away."""
    document = yaml.safe_load(SMALL)
    *way, last = path.split(".")
    at = document
    for part in way:
        at = at[part]
    if value is None:
        del at[last]
    else:
        at[last] = value
    return yaml.safe_dump(document, sort_keys=False)


def test_the_purchase_order_of_the_design_is_in_order() -> None:
    assert problems(ORDER) == []


def test_the_published_schema_is_current() -> None:
    published = json.loads((Path(__file__).parents[2] / "docs" / "workflow.schema.json").read_text())
    assert published == DOCUMENT, "Run manage.py workflow_schema."


@pytest.mark.parametrize(
    ("path", "value", "said"),
    [
        ("steps.look.frob", 1, "Unknown key 'frob'"),
        ("slug", "cost", "'cost' is taken: a page beside the workflows' dashboards is called so."),
        ("frob", 1, "Unknown key 'frob'"),
        ("name", None, "'name' is missing"),
        ("kind", "Policy", "'Policy' is none of Workflow"),
        ("steps.decide.due", None, "'due' is missing"),
        ("steps.decide.retry", {"max": 1}, "does not take 'retry'"),
        ("steps.look.form", {"schema": {}}, "exactly one kind, not agent and form"),
        ("steps.decide.due", {"after": "1x"}, "'1x' is not a duration"),
        ("steps.decide.due", {"after": "400d"}, "At most 366 days"),
        ("steps.look.timeout", 20, "Must be string, not integer"),
        ("steps.decide.needs", ["lok"], "There is no step 'lok'"),
        ("steps.decide.needs", ["look.maybe"], "look never ends with 'maybe'"),
        ("steps.look.needs", ["decide"], "in a circle"),
        ("steps.decide.outcomes", {"rejected": {"back_to": "decid", "max": 1}}, "'decid' does not come before"),
        ("steps.decide.outcomes", {"answered": {"back_to": "look", "max": 1}}, "never ends with 'answered'"),
        ("steps.decide.outcomes", {"rejected": {"back_to": "look"}}, "'max' is missing"),
        ("steps.decide.when", "steps.look.okay", "steps.look has no 'okay'"),
        ("steps.decide.when", "steps.look.ok + 1", "does not take"),
        ("steps.decide.when", "input.n", "Gives int, not bool"),
        ("steps.decide.when", "input.m == 1", "input has no 'm'"),
        ("steps.decide.when", "steps.decide.reason == ''", "does not come before"),
        ("steps.decide.when", "item == 1", "only in a step with for_each"),
        ("steps.decide.when", "1 +", "something is missing after “+”"),
        ("steps.decide.quorum", "'two'", "Gives string, not int"),
        ("steps.decide.quorum", [{"n": "'two'"}], "Gives string, not int"),
        ("steps.decide.quorum", {"n": "steps.look"}, "not int"),
        ("steps.decide.quorum", [], "should be non-empty"),
        ("steps.decide.quorum", {"over_minor": 5}, "'over_minor'"),
        ("steps.decide.quorum", {"n": 21}, "21"),
        ("steps.decide.quorum", [{"n": 1}, {"queue": "clerks"}], "clerks stands in two groups"),
        ("key", "input.n", "Gives int, not string"),
        ("steps.look.output", {"type": "objekt"}, "This is no JSON Schema"),
        ("steps.look.output", {"$ref": "http://example.com/s"}, "refers only to itself"),
        ("steps.look.join", {"min": 1}, "need “for_each”"),
        ("steps.look.on_error", {"then": "reroute"}, "says where"),
        ("steps.look.decide", [{"a": "true"}, {"a": "true"}], "decided twice"),
        ("steps.decide.due", {"after": "2h", "expires": "1h"}, "cannot expire before"),
        ("steps.for", {"agent": "look.at"}, "a word of the expression language"),
        ("steps.Look", {"agent": "look.at"}, "is no name"),
    ],
)
def test_a_misfit_is_named_where_it_stands(path: str, value: Any, said: str) -> None:
    found = problems(changed(path, value))
    assert any(said in problem for problem in found), found
    assert all(problem.startswith("line ") for problem in found)


@pytest.mark.parametrize("key", ["wait", "workflow", "join_needs", "operations", "check", "escalate_below", "cost"])
def test_what_is_not_executed_yet_is_refused_and_said_to_be_so(key: str) -> None:
    assert any(NOT_YET[key] in problem for problem in problems(changed(f"steps.look.{key}", "x")))


def test_decision_tables_and_reassigning_are_not_executed_yet() -> None:
    table = {"rule": {"table": {"inputs": [], "rows": []}}}
    assert any("Decision tables" in problem for problem in problems(changed("steps.rate", table)))
    due = {"after": "1h", "then": "reassign", "to": "clerks"}
    assert any("“reassign”" in problem for problem in problems(changed("steps.decide.due", due)))


def test_a_problem_carries_the_line_of_its_value() -> None:
    (problem,) = problems(ORDER.replace("timeout: 20m", "timeout: soon"))
    assert problem.startswith(f"line {ORDER.splitlines().index('    timeout: 20m') + 1}, column 5")
    assert "steps.validate_vendor.timeout" in problem


def test_what_a_document_refers_to_must_exist() -> None:
    catalogue = Catalogue(
        units=frozenset({"finance"}), queues=frozenset(), capabilities=frozenset(), operations={}, people=frozenset()
    )
    found = problems(SMALL, catalogue)
    assert any("There is no queue 'clerks'" in problem for problem in found)
    groups = [{"queue": "board"}, {"role": "auditor"}]
    named = problems(changed("steps.decide.quorum", groups), replace(catalogue, roles=frozenset({"clerk"})))
    assert any("There is no queue 'board'" in problem for problem in named)
    assert any("There is no role 'auditor'" in problem for problem in named)
    assert any("There is no agent with the capability 'look.at'" in problem for problem in found)


@pytest.mark.parametrize(
    ("effect", "step", "said"),
    [
        ("write", {"operation": "erp.do"}, "say how to “compensate” it"),
        ("irreversible", {"operation": "erp.do"}, "needs the parameter 'n'"),
        ("irreversible", {"operation": "erp.do", "with": {"n": "1", "m": "2"}}, "has no parameter 'm'"),
        ("irreversible", {"operation": "erp.undo", "with": {}}, "There is no operation 'erp.undo'"),
    ],
)
def test_operations_must_exist_take_the_parameters_and_be_reversible(effect: str, step: Any, said: str) -> None:
    parameters = {"type": "object", "additionalProperties": False, "required": ["n"], "properties": {"n": {}}}
    catalogue = Catalogue(operations={"erp.do": OperationFacts(effect, parameters)})
    assert any(said in problem for problem in problems(changed("steps.act", step), catalogue))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a: [1,", "This is not YAML"),
        ("a: 1\na: 2", "given twice"),
        ("a: !!python/object:os.system x", "is not taken"),
        ("a: &x 1\nb: {*x : 1}\n? [1]\n: 2", "A key is text"),
        ("", "One document is expected, not 0"),
        ("a: 1\n---\nb: 2", "One document is expected, not 2"),
    ],
)
def test_broken_yaml_is_refused_with_its_line(text: str, said: str) -> None:
    with pytest.raises(SourceError, match=said):
        read_source(text)


def test_aliases_cannot_multiply() -> None:
    bomb = "a: &a [" + ",".join("x" * 10) + "]\n"
    for before, name in zip("abcdefgh", "bcdefghi", strict=True):
        bomb += f"{name}: &{name} [" + ",".join([f"*{before}"] * 10) + "]\n"
    with pytest.raises(SourceError, match="More than"):
        read_source(bomb)


def test_yaml_is_read_in_its_json_subset() -> None:
    value = read_source("a: no\nb: 12:30\nc: 2026-01-01\nd: true\ne: ~\nf: 1.5\ng: 010").value
    assert value == {"a": "no", "b": "12:30", "c": "2026-01-01", "d": True, "e": None, "f": 1.5, "g": "010"}


def test_each_of_several_documents_keeps_its_own_text_and_lines() -> None:
    first, second = read_sources("a: 1\n---\nb: 2\n")
    assert (first.text.strip(), second.text.strip()) == ("a: 1", "b: 2")
    assert second.marks["b",].line == 3


@given(st.integers(1, 5_000), st.sampled_from("smhdw"))
def test_a_duration_survives_its_words(number: int, unit: str) -> None:
    try:
        seconds = seconds_of(f"{number}{unit}")
    except ValueError:
        return
    assert seconds_of(words_of(seconds)) == seconds


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)


@given(json_values, st.sampled_from(["steps", "steps.look", "steps.decide.due", "input", "sla", "steps.decide.needs"]))
def test_no_document_breaks_the_checks(value: Any, path: str) -> None:
    document = yaml.safe_load(SMALL)
    *way, last = path.split(".")
    at = document
    for part in way:
        at = at[part]
    at[last] = value
    for problem in check_document(read_source(json.dumps(document))):
        assert problem.message
