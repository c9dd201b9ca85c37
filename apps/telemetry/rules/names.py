"""What a span says by its attributes: GenAI's names of today and before, and OpenInference's.

Sources: the OpenTelemetry registry (``gen_ai.*``) and the OpenInference specification. Nothing here fails on odd
values: what is not of the kind that a name promises counts as not said.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

MOST_TOKENS = 10**10
MOST_DOLLARS = 10**6
LONGEST = 4096
"""Characters kept of one text."""
LONGEST_VERSION = 60

EMBEDDINGS = "embeddings"
LEAVES = frozenset({"chat", "text_completion", "generate_content", EMBEDDINGS})
"""Operations that call a model themselves; whatever stands above them adds up what they used."""
KINDS = {
    "LLM": "chat",
    "TOOL": "execute_tool",
    "AGENT": "invoke_agent",
    "CHAIN": "invoke_workflow",
    "WORKFLOW": "invoke_workflow",
    "RETRIEVER": "retrieval",
    "EMBEDDING": "embeddings",
    "RERANKER": "rerank",
    "GUARDRAIL": "guardrail",
    "EVALUATOR": "evaluate",
    "PROMPT": "prompt",
}
"""Kinds of OpenInference and Traceloop, by GenAI's operation; the last four have none, and keep their own word."""

OPERATION = ("gen_ai.operation.name",)
KIND = ("openinference.span.kind", "traceloop.span.kind")
PROVIDER = ("gen_ai.provider.name", "gen_ai.system", "llm.provider", "llm.system")
AGENT = ("gen_ai.agent.name", "agent.name")
AGENT_VERSION = ("gen_ai.agent.version",)
CONVERSATION = ("gen_ai.conversation.id", "session.id")
MODEL = ("gen_ai.response.model", "gen_ai.request.model", "llm.model_name", "embedding.model_name")
RESPONSE = ("gen_ai.response.id",)
TOOL = ("gen_ai.tool.name", "tool.name")
CALL = ("gen_ai.tool.call.id",)
INPUT = ("gen_ai.usage.input_tokens", "gen_ai.usage.prompt_tokens", "llm.token_count.prompt")
OUTPUT = ("gen_ai.usage.output_tokens", "gen_ai.usage.completion_tokens", "llm.token_count.completion")
TOTAL = ("llm.token_count.total",)
"""Both together; read where one of them is missing."""
CACHE_READ = ("gen_ai.usage.cache_read.input_tokens", "llm.token_count.prompt_details.cache_read")
REASONING = ("gen_ai.usage.reasoning.output_tokens", "llm.token_count.completion_details.reasoning")
CACHE_WRITE = ("gen_ai.usage.cache_creation.input_tokens", "llm.token_count.prompt_details.cache_write")

COST = "llm.cost.total"
PARTS_OF_COST = ("llm.cost.prompt", "llm.cost.completion")
"""In US dollars, as OpenInference has them; GenAI knows no cost. The parts are read where there is no total."""

CONTENT = (
    "gen_ai.input.messages", "gen_ai.output.messages", "gen_ai.system_instructions", "gen_ai.prompt",
    "gen_ai.completion", "gen_ai.tool.call.arguments", "gen_ai.tool.call.result", "gen_ai.tool.definitions",
    "gen_ai.retrieval", "llm.input_messages", "llm.output_messages", "llm.prompt", "llm.completions", "llm.choices",
    "llm.tools",
    "llm.function_call", "input.value", "input.images", "input.documents", "output.value",
    "output.images", "output.documents", "tool.parameters", "retrieval.documents",
    "embedding.embeddings", "embedding.text", "reranker.", "message.", "traceloop.entity.input",
    "traceloop.entity.output", "gen_ai.evaluation.explanation",
)  # fmt: skip
"""What attributes begin with whose values are what was said to a model, and what it said."""


@dataclass(frozen=True, slots=True)
class SpanFacts:
    """What is read from a span's attributes; empty or None where it does not say."""

    operation: str = ""
    provider: str = ""
    agent: str = ""
    agent_version: str = ""
    conversation: str = ""
    model: str = ""
    response_id: str = ""
    tool: str = ""
    tool_call_id: str = ""
    tokens: dict[str, int] | None = None
    """``input`` (cached ones too), ``output`` (reasoning too), ``cache_read``, ``cache_write``, ``reasoning``.

    ``reported_micro``: what the call cost by its sender's word, in millionths of a US dollar. The last two only where
    it says so; all of calls of models alone.
    """


def facts_of(attributes: Mapping[str, Any]) -> SpanFacts:
    """What the attributes say; the name of today goes before the older one."""
    operation = _text(attributes, OPERATION) or _of_kind(_text(attributes, KIND))
    model = _text(attributes, MODEL)
    return SpanFacts(
        operation=operation[:40],
        provider=_text(attributes, PROVIDER)[:120],
        agent=_text(attributes, AGENT)[:120],
        agent_version=_text(attributes, AGENT_VERSION)[:LONGEST_VERSION],
        conversation=_text(attributes, CONVERSATION)[:200],
        model=model[:120],
        response_id=_text(attributes, RESPONSE)[:200],
        tool=_text(attributes, TOOL)[:120],
        tool_call_id=_text(attributes, CALL)[:200],
        tokens=_tokens(attributes, operation) if operation in LEAVES and model else None,
    )


def without_content(attributes: Mapping[str, Any]) -> dict[str, Any]:
    """The attributes but those that carry what was said to a model and what it said."""
    return {name: value for name, value in attributes.items() if not name.startswith(CONTENT)}


def is_content_event(event: str) -> bool:
    """Whether an event's body is what was said to a model or what it said: GenAI's events carry nothing else."""
    return event.startswith(("gen_ai.", "openinference.", "traceloop."))


def _of_kind(kind: str) -> str:
    return KINDS.get(kind.upper(), "")


def _text(attributes: Mapping[str, Any], names: tuple[str, ...]) -> str:
    return next((said for name in names if isinstance(said := attributes.get(name), str) and said), "")


def _count(attributes: Mapping[str, Any], names: tuple[str, ...]) -> int | None:
    """The first whole number from 0 on; OpenTelemetry's JavaScript sends integers as doubles."""
    for name in names:
        said = attributes.get(name)
        whole = not isinstance(said, bool) and (
            isinstance(said, int) or (isinstance(said, float) and said.is_integer())
        )
        if whole and 0 <= (found := int(said or 0)) <= MOST_TOKENS:
            return found
    return None


def number_of_version(said: str) -> int | None:
    """The number of a version that an agent names as the plane does, ``3`` or ``v3``; None for any other name."""
    found = VERSION.fullmatch(said)
    return int(found[1]) if found else None


VERSION = re.compile(r"[vV]?([0-9]{1,9})")


def _tokens(attributes: Mapping[str, Any], operation: str) -> dict[str, int] | None:
    """Cached tokens beyond ``input`` were counted beside it, not in it: they are added."""
    fresh, output = _in_and_out(attributes, operation)
    if fresh is None and output is None:
        return None
    read, written = _count(attributes, CACHE_READ) or 0, _count(attributes, CACHE_WRITE) or 0
    whole = fresh or 0
    if read + written > whole:
        whole += read + written
    found = {"input": whole, "output": output or 0, "cache_read": read, "cache_write": written}
    if thought := min(_count(attributes, REASONING) or 0, found["output"]):
        found["reasoning"] = thought
    reported = _dollars(attributes, (found["input"], found["output"]))
    return found if reported is None else {**found, "reported_micro": reported}


def _in_and_out(attributes: Mapping[str, Any], operation: str) -> tuple[int | None, int | None]:
    """What went in and came out. A total gives what is missing of the two; alone it is of embeddings all that went in.

    Of anything else a total alone says nothing that has a price: one of the two is many times as dear as the other.
    """
    fresh, output, total = (_count(attributes, names) for names in (INPUT, OUTPUT, TOTAL))
    if total is None or (fresh is not None and output is not None):
        return fresh, output
    if operation == EMBEDDINGS:
        return total if fresh is None else fresh, output
    if fresh is None:
        return None if output is None else max(0, total - output), output
    return fresh, max(0, total - fresh)


def _dollars(attributes: Mapping[str, Any], tokens: tuple[int, int]) -> int | None:
    """What OpenInference says that the call cost, in millionths of a US dollar, never negative.

    ``tokens``: what went in and came out. A part of the cost is the whole of it where the other side has none.
    """
    said = attributes.get(COST)
    if said is not None:
        return round(said * 10**6) if _is_cost(said) else None
    sides = zip(PARTS_OF_COST, tokens, strict=True)
    if not all(name in attributes or not count for name, count in sides):
        return None  # of one side alone it is told what it cost
    parts = [attributes[name] for name in PARTS_OF_COST if name in attributes]
    return round(sum(parts) * 10**6) if parts and all(map(_is_cost, parts)) else None


def _is_cost(said: Any) -> bool:
    return not isinstance(said, bool) and isinstance(said, int | float) and 0 <= said <= MOST_DOLLARS
