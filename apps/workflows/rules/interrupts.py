"""Interrupts: how frameworks say which calls of tools wait for people, and the answers that they resume with.

Three shapes, exactly as the frameworks send them: LangGraph's ``HumanInterrupt`` (one, or a list), LangChain's
``HITLRequest`` with all calls of a turn, and its ``ToolApprovalRequest`` with one.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from apps.core.rules import Moves
from apps.workflows.rules.answers import output_errors

MAX_CALLS = 20
TEXT_MAX = 20_000


class InterruptState(StrEnum):
    """Whether an approval was handed over. That happens once."""

    OPEN = "open"
    RESUMED = "resumed"


INTERRUPT_MOVES: Moves = {
    InterruptState.OPEN: frozenset({InterruptState.RESUMED}),
    InterruptState.RESUMED: frozenset(),
}


class Progress(StrEnum):
    """How an interrupt looks from outside: something is undecided, all is, or an approval was handed over."""

    WAITING = "waiting"
    READY = "ready"
    RESUMED = "resumed"


class Shape(StrEnum):
    """Who asks how."""

    HUMAN_INTERRUPT = "human_interrupt"
    HITL_REQUEST = "hitl_request"
    TOOL_APPROVAL = "tool_approval"


class Verdict(StrEnum):
    """What the plane says of one call. ``refuse`` is every no, whoever said it."""

    APPROVE = "approve"
    EDIT = "edit"
    REFUSE = "refuse"


class ShapeError(ValueError):
    """A payload that is none of the shapes, or takes too few answers; ``errors`` by path."""

    def __init__(self, errors: dict[str, list[str]]) -> None:
        super().__init__(str(errors))
        self.errors = errors


@dataclass(frozen=True, slots=True)
class Call:
    """One call of a tool that is asked for; ``where`` it stands in what was sent, its arguments at ``args_at``."""

    where: str
    args_at: str
    name: str
    args: dict[str, Any]
    description: str = ""
    cannot_take: frozenset[str] = field(default_factory=frozenset)


@dataclass(frozen=True, slots=True)
class Answer:
    """What is said of one call. ``parameters`` are those of an edit; ``hears``: the framework can be told why not."""

    name: str
    verdict: Verdict
    parameters: Mapping[str, Any]
    message: str
    hears: bool = True


def _closed(properties: dict[str, Any], *required: str) -> dict[str, Any]:
    return {"type": "object", "additionalProperties": False, "properties": properties, "required": list(required)}


NAME = {"type": "string", "minLength": 1, "maxLength": 120}
TEXT = {"type": "string", "maxLength": TEXT_MAX}
ARGS = {"type": "object"}
FLAG = {"type": "boolean"}
DECISIONS = ("approve", "edit", "reject", "respond")
FLAGS = ("allow_ignore", "allow_respond", "allow_edit", "allow_accept")

HUMAN_INTERRUPT = _closed(
    {
        "action_request": _closed({"action": NAME, "args": ARGS}, "action", "args"),
        "config": _closed(dict.fromkeys(FLAGS, FLAG), *FLAGS),
        "description": {**TEXT, "type": ["string", "null"]},
    },
    "action_request",
    "config",
)
HUMAN_INTERRUPTS = {"type": "array", "minItems": 1, "maxItems": MAX_CALLS, "items": HUMAN_INTERRUPT}
REVIEW_CONFIG = _closed(
    {
        "action_name": NAME,
        "allowed_decisions": {"type": "array", "minItems": 1, "items": {"enum": list(DECISIONS)}},
        "args_schema": {"type": "object"},
    },
    "action_name",
    "allowed_decisions",
)
HITL_REQUEST = _closed(
    {
        "action_requests": {
            "type": "array",
            "minItems": 1,
            "maxItems": MAX_CALLS,
            "items": _closed({"name": NAME, "args": ARGS, "description": TEXT}, "name", "args"),
        },
        "review_configs": {"type": "array", "minItems": 1, "maxItems": MAX_CALLS, "items": REVIEW_CONFIG},
    },
    "action_requests",
    "review_configs",
)
TOOL_APPROVAL = _closed(
    {"type": {"const": "tool_approval"}, "tool_call_id": TEXT, "name": NAME, "args": ARGS, "description": TEXT},
    "type",
    "tool_call_id",
    "name",
    "args",
)
INTERRUPT_SCHEMA = {"oneOf": [HUMAN_INTERRUPTS, HUMAN_INTERRUPT, HITL_REQUEST, TOOL_APPROVAL]}
"""What the plane's own description says an interrupt is; each is checked by the one that it looks like."""

ROOT = "interrupt"


def read_interrupt(payload: Any, response_schema: Mapping[str, Any] | None = None) -> tuple[Shape, list[Call]]:
    """The calls in their order. ``response_schema``: of a ``ToolApprovalRequest``, which says there what it takes.

    Raises ShapeError for what is none of the shapes, and for a call that could not be told a yes or a no.
    """
    match payload:
        case {"action_requests": _}:
            _require(HITL_REQUEST, payload)
            return Shape.HITL_REQUEST, list(_of_request(payload))
        case {"type": "tool_approval"}:
            _require(TOOL_APPROVAL, payload)
            allowed = _decisions_in(response_schema or {})
            return Shape.TOOL_APPROVAL, [_call(payload, ROOT, allowed, "response_schema")]
        case list():
            _require(HUMAN_INTERRUPTS, payload)
            return Shape.HUMAN_INTERRUPT, [_of_human(one, f"{ROOT}.{at}") for at, one in enumerate(payload)]
        case {"action_request": _}:
            _require(HUMAN_INTERRUPT, payload)
            return Shape.HUMAN_INTERRUPT, [_of_human(payload, ROOT)]
    raise ShapeError({ROOT: ["Send a HumanInterrupt, a list of them, a HITLRequest or a ToolApprovalRequest."]})


def _require(schema: Mapping[str, Any], payload: Any) -> None:
    if found := output_errors(schema, payload, ROOT):
        raise ShapeError(found)


def _of_human(one: Mapping[str, Any], where: str) -> Call:
    config, request = one["config"], one["action_request"]
    if not config["allow_accept"]:
        raise ShapeError(
            {f"{where}.config.allow_accept": ["A call that cannot be accepted is no action: ask a question."]}
        )
    if not (config["allow_ignore"] or config["allow_respond"]):
        raise ShapeError({f"{where}.config": ["Allow ignore or respond: rules and people may say no."]})
    takes = {"edit": config["allow_edit"], "request_changes": config["allow_respond"]}
    return Call(
        where,
        f"{where}.action_request.args",
        request["action"],
        request["args"],
        one.get("description") or "",
        frozenset(act for act, is_taken in takes.items() if not is_taken),
    )


def _of_request(payload: Mapping[str, Any]) -> Iterable[Call]:
    """A tool that is configured twice takes what both take."""
    allowed: dict[str, set[str]] = {}
    for config in payload["review_configs"]:
        decisions = set(config["allowed_decisions"])
        allowed[config["action_name"]] = allowed.get(config["action_name"], decisions) & decisions
    for at, request in enumerate(payload["action_requests"]):
        where = f"{ROOT}.action_requests.{at}"
        if request["name"] not in allowed:
            raise ShapeError({f"{where}.name": ["No review config names it."]})
        yield _call(request, where, allowed[request["name"]], f"{ROOT}.review_configs")


def _call(request: Mapping[str, Any], where: str, allowed: set[str], allowed_at: str) -> Call:
    if missing := sorted({"approve", "reject"} - allowed):
        text = f"“{request['name']}” must take {' and '.join(missing)}: rules and people may say yes or no."
        raise ShapeError({allowed_at: [text]})
    cannot = frozenset({"edit"} - allowed)
    return Call(where, f"{where}.args", request["name"], request["args"], request.get("description", ""), cannot)


def _decisions_in(schema: Mapping[str, Any]) -> set[str]:
    """The decisions that a JSON Schema of one answer lets through: the constant of ``type`` in each of its branches."""
    branches = schema.get("oneOf", [schema])
    definitions = schema.get("$defs", {})
    found = set()
    for branch in branches if isinstance(branches, list) else ():
        match branch:
            case {"$ref": str(ref)} if isinstance(definitions, Mapping):
                branch = definitions.get(ref.removeprefix("#/$defs/"))
        match branch:
            case {"properties": {"type": {"const": str(word)}}}:
                found.add(word)
    return found


def resume_value(shape: Shape, answers: Sequence[Answer]) -> Any:
    """What the framework resumes with, one answer for each call, in the order in which it asked."""
    if shape == Shape.HUMAN_INTERRUPT:
        return [_human_response(answer) for answer in answers]
    decisions = [_decision(answer) for answer in answers]
    return {"decisions": decisions} if shape == Shape.HITL_REQUEST else decisions[0]


def _human_response(answer: Answer) -> dict[str, Any]:
    match answer.verdict:
        case Verdict.APPROVE:
            return {"type": "accept", "args": None}
        case Verdict.EDIT:
            return {"type": "edit", "args": {"action": answer.name, "args": answer.parameters}}
    return {"type": "response", "args": answer.message} if answer.hears else {"type": "ignore", "args": None}


def _decision(answer: Answer) -> dict[str, Any]:
    match answer.verdict:
        case Verdict.APPROVE:
            return {"type": "approve"}
        case Verdict.EDIT:
            return {"type": "edit", "edited_action": {"name": answer.name, "args": answer.parameters}}
    return {"type": "reject", "message": answer.message}
