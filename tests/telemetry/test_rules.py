"""What spans say, name by name, and how they stand above each other."""

from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps.telemetry.rules import names, otlp
from apps.telemetry.rules.names import facts_of, number_of_version, without_content
from apps.telemetry.rules.trees import above, laid_out, leaves_of

ANY = st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.lists(st.text())
EVERY_NAME = sorted(
    {
        *names.OPERATION, *names.KIND, *names.PROVIDER, *names.AGENT, *names.CONVERSATION, *names.MODEL,
        *names.RESPONSE, *names.TOOL, *names.CALL, *names.INPUT, *names.OUTPUT, *names.CACHE_READ, *names.CACHE_WRITE,
        *names.TOTAL, *names.AGENT_VERSION, names.COST, *names.PARTS_OF_COST,
    }
)  # fmt: skip


@pytest.mark.parametrize(
    ("name", "value", "field", "read"),
    [
        ("gen_ai.operation.name", "execute_tool", "operation", "execute_tool"),
        ("openinference.span.kind", "LLM", "operation", "chat"),
        ("openinference.span.kind", "TOOL", "operation", "execute_tool"),
        ("openinference.span.kind", "RETRIEVER", "operation", "retrieval"),
        ("openinference.span.kind", "RERANKER", "operation", "rerank"),
        ("openinference.span.kind", "new", "operation", ""),
        ("traceloop.span.kind", "agent", "operation", "invoke_agent"),
        ("traceloop.span.kind", "workflow", "operation", "invoke_workflow"),
        ("gen_ai.provider.name", "some", "provider", "some"),
        ("gen_ai.system", "some", "provider", "some"),
        ("gen_ai.agent.name", "buyer", "agent", "buyer"),
        ("agent.name", "buyer", "agent", "buyer"),
        ("gen_ai.agent.version", "v3", "agent_version", "v3"),
        ("gen_ai.conversation.id", "c", "conversation", "c"),
        ("session.id", "c", "conversation", "c"),
        ("gen_ai.request.model", "m", "model", "m"),
        ("gen_ai.response.model", "m", "model", "m"),
        ("llm.model_name", "m", "model", "m"),
        ("gen_ai.response.id", "r", "response_id", "r"),
        ("gen_ai.tool.name", "t", "tool", "t"),
        ("tool.name", "t", "tool", "t"),
        ("gen_ai.tool.call.id", "k", "tool_call_id", "k"),
    ],
)
def test_each_name_is_read(name: str, value: str, field: str, read: str) -> None:
    assert getattr(facts_of({name: value}), field) == read


@pytest.mark.parametrize(
    ("told", "tokens"),
    [
        ({"gen_ai.usage.input_tokens": 9, "gen_ai.usage.output_tokens": 2}, (9, 2, 0, 0)),
        ({"gen_ai.usage.prompt_tokens": 9, "gen_ai.usage.completion_tokens": 2}, (9, 2, 0, 0)),
        ({"llm.token_count.prompt": 9.0, "llm.token_count.completion": 2}, (9, 2, 0, 0)),
        ({"gen_ai.usage.input_tokens": 9, "gen_ai.usage.prompt_tokens": 5}, (9, 0, 0, 0)),
        ({"gen_ai.usage.input_tokens": 9, "gen_ai.usage.cache_read.input_tokens": 4}, (9, 0, 4, 0)),
        ({"gen_ai.usage.input_tokens": 9, "gen_ai.usage.cache_creation.input_tokens": 4}, (9, 0, 0, 4)),
        ({"llm.token_count.prompt": 9, "llm.token_count.prompt_details.cache_read": 4}, (9, 0, 4, 0)),
        ({"llm.token_count.prompt": 9, "llm.token_count.prompt_details.cache_write": 4}, (9, 0, 0, 4)),
        ({"gen_ai.usage.input_tokens": 9, "gen_ai.usage.cache_read.input_tokens": 40}, (49, 0, 40, 0)),
        ({"llm.token_count.prompt": 9, "llm.token_count.total": 11}, (9, 2, 0, 0)),
        ({"llm.token_count.completion": 2, "llm.token_count.total": 11}, (9, 2, 0, 0)),
        ({"llm.token_count.prompt": 9, "llm.token_count.total": 4}, (9, 0, 0, 0)),
        ({"llm.token_count.prompt": 9, "llm.token_count.completion": 2, "llm.token_count.total": 99}, (9, 2, 0, 0)),
    ],
)
def test_tokens_are_read_in_each_spelling(told: dict[str, Any], tokens: tuple[int, ...]) -> None:
    read = facts_of({"gen_ai.operation.name": "chat", "gen_ai.request.model": "m", **told}).tokens
    assert read == dict(zip(("input", "output", "cache_read", "cache_write"), tokens, strict=True))
    assert facts_of({"gen_ai.operation.name": "invoke_agent", "gen_ai.request.model": "m", **told}).tokens is None


def test_a_total_alone_is_read_of_embeddings_and_of_nothing_that_also_answers() -> None:
    """What came out is several times as dear as what went in: nobody knows what a total of both cost."""
    told = {"llm.model_name": "m", "llm.token_count.total": 11}
    read = facts_of({"openinference.span.kind": "EMBEDDING", **told}).tokens
    assert read == {"input": 11, "output": 0, "cache_read": 0, "cache_write": 0}
    assert facts_of({"openinference.span.kind": "LLM", **told}).tokens is None


@pytest.mark.parametrize(
    ("told", "micro"),
    [
        ({"llm.cost.total": 0.25}, 250_000),
        ({"llm.cost.total": 0.25, "llm.cost.prompt": 9}, 250_000),
        ({"llm.cost.prompt": 0.25, "llm.cost.completion": 1}, 1_250_000),
        ({"llm.cost.completion": 1}, None),
        ({"llm.cost.prompt": 1}, None),
        ({"llm.cost.prompt": 1, "llm.token_count.completion": 0}, 1_000_000),
        ({"llm.cost.completion": 1, "llm.token_count.prompt": 0}, 1_000_000),
        ({"llm.cost.prompt": 1, "llm.cost.completion": -1}, None),
        ({"llm.cost.total": "much", "llm.cost.prompt": 1}, None),
        ({"llm.cost.total": True}, None),
        ({"llm.cost.total": float("nan")}, None),
        ({}, None),
    ],
)
def test_a_cost_is_read_whole_or_in_its_parts(told: dict[str, Any], micro: int | None) -> None:
    tokens = {"llm.token_count.prompt": 9, "llm.token_count.completion": 2}
    read = facts_of({"openinference.span.kind": "LLM", "llm.model_name": "m", **tokens, **told}).tokens
    assert read is not None
    assert read.get("reported_micro") == micro


@pytest.mark.parametrize(
    ("said", "number"),
    [("3", 3), ("v3", 3), ("V03", 3), ("1.4.2", None), ("", None), ("v", None), ("３", None), ("9" * 10, None)],
)
def test_versions_are_numbers_as_the_plane_has_them_or_just_names(said: str, number: int | None) -> None:
    assert number_of_version(said) == number


@given(st.dictionaries(st.sampled_from(EVERY_NAME), ANY))
def test_odd_values_are_not_said_and_cached_tokens_are_within(attributes: dict[str, Any]) -> None:
    tokens = facts_of({**attributes, "gen_ai.operation.name": "chat", "gen_ai.request.model": "m"}).tokens
    if tokens:
        assert tokens["cache_read"] + tokens["cache_write"] <= tokens["input"]
        assert min(tokens.values()) >= 0


def test_tokens_are_no_content() -> None:
    told = {"gen_ai.usage.prompt_tokens": 1, "llm.token_count.prompt": 1, "gen_ai.evaluation.score.value": 0.9}
    words = {"gen_ai.completion.0.content": "x", "llm.prompts": "x", "gen_ai.evaluation.explanation": "x"}
    assert without_content({**told, **words}) == told


@given(st.binary(max_size=200), st.sampled_from([otlp.PROTOBUF, otlp.JSON]))
def test_bytes_are_read_or_refused(body: bytes, kind: str) -> None:
    with suppress(otlp.UnreadableError):
        assert otlp.read_traces(body, kind)[1] <= len(body)


IDS = st.sampled_from("abcdefg")


@given(st.dictionaries(IDS, IDS), st.sets(IDS), st.sets(IDS))
def test_of_what_counts_nothing_stands_above_another_even_in_circles(
    parents: dict[str, str], telling: set[str], counted: set[str]
) -> None:
    leaves = leaves_of(telling, counted, parents)
    assert leaves <= telling - counted
    for one in leaves:
        assert not set(above(one, parents)) & (leaves | counted)


@given(st.dictionaries(IDS, IDS))
def test_every_span_is_laid_out_once_right_below_its_parent_even_in_circles(parents: dict[str, str]) -> None:
    laid = laid_out(parents)
    assert sorted(one for one, _ in laid) == sorted(parents)
    line = list[str]()
    for one, depth in laid:
        assert depth <= len(line)
        del line[depth:]
        assert depth == 0 or parents[one] == line[-1]
        line.append(one)
    for one, depth in laid:
        assert depth > 0 or parents[one] not in parents or _circles(one, parents)


def _circles(one: str, parents: dict[str, str]) -> bool:
    """Whether whoever goes up from there never arrives."""
    seen = set[str]()
    while one in parents and one not in seen:
        seen.add(one)
        one = parents[one]
    return one in seen
