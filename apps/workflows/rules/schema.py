"""The JSON Schema of the workflow document: what the plane executes today, and nothing else.

``docs/workflow.schema.json`` is generated from here (``manage.py workflow_schema``); a test keeps the two equal.
"""

from typing import Any

from apps.workflows.rules.durations import PATTERN
from apps.workflows.rules.states import Kind

STEP_NAME = r"^[a-z][a-z0-9_]{0,62}$"
SLUG = r"^[a-z0-9]+(?:[-_.][a-z0-9]+)*$"
RISKS = ["low", "medium", "high", "critical"]
MAX_STEPS = 300
MAX_QUORUM = 20
MAX_GROUPS = 10
MAX_STAGE = 9

CEL_WORDS = frozenset(
    {"true", "false", "null", "in", "as", "break", "const", "continue", "else", "for", "function", "if", "import",
     "let", "loop", "package", "namespace", "return", "var", "void", "while"}
)  # fmt: skip
"""Names that CEL keeps for itself."""

DASHBOARDS = (
    "agents", "cost", "data-quality", "event-logs", "goals", "overview", "oversight", "prices", "rates", "units",
    "unusual", "uptime",
)  # fmt: skip
"""Pages that stand beside the dashboards of workflows, under names that no workflow may have."""

COMMON = ("needs", "when", "outcomes", "risk")
KEYS: dict[Kind, tuple[str, ...]] = {
    Kind.AGENT: ("with", "output", "timeout", "retry", "on_error", "decide", "for_each", "join", "max_parallel"),
    Kind.OPERATION: ("with", "compensate", "retry", "on_error", "decide", "for_each", "join", "max_parallel"),
    Kind.APPROVAL: ("queue", "due", "exclude", "quorum"),
    Kind.FORM: ("queue", "due", "exclude"),
    Kind.RULE: ("decide", "on_error"),
}
"""The keys that each kind of step takes besides its own and ``COMMON``."""

NOT_YET = {
    "wait": "Steps of kind “wait” are not executed yet.",
    "workflow": "Steps of kind “workflow” are not executed yet.",
    "join_needs": "“join_needs” is not executed yet: a step waits for all its live edges.",
    "operations": "“operations” of an agent step is not executed yet.",
    "check": "“check” is not executed yet.",
    "escalate_below": "“escalate_below” is not executed yet.",
    "context": "“context” of an agent step is not executed yet.",
    "cost": "“cost” is not executed yet.",
    "data": "“data” is not executed yet.",
    "detached": "“detached” is not executed yet.",
    "lease": "“lease” is not executed yet.",
    "calendar": "“calendar” is not executed yet.",
    "parameters": "“parameters” of a template are not executed yet.",
    "template": "Templates are not executed yet.",
    "tests": "“tests” stored with a document are not executed yet.",
    "output": "“output” of a workflow is not executed yet.",
    "table": "Decision tables are not executed yet.",
    "reassign": "“reassign” is not executed yet; use escalate.",
}
"""Keys of the format that the plane refuses until it executes them, wherever they are not taken."""

CEL = {"type": "string", "minLength": 1, "maxLength": 2048, "description": "a CEL expression"}
DURATION = {"type": "string", "pattern": PATTERN, "description": "a duration such as 90s, 20m, 2h, 3d or 1w"}
SLUG_SCHEMA = {"type": "string", "pattern": SLUG, "maxLength": 63}
NAME = {"type": "string", "pattern": STEP_NAME}
QUANTITY = {"type": "integer", "minimum": 1, "maximum": 10_000}
TEMPLATE = {
    "type": "object",
    "maxProperties": 200,
    "description": "values; each text is a CEL expression",
    "additionalProperties": {"$ref": "#/$defs/template_value"},
}


def _closed(properties: dict[str, Any], *required: str, **more: Any) -> dict[str, Any]:
    return {
        "type": "object",
        "additionalProperties": False,
        "properties": properties,
        "required": list(required),
        **more,
    }


DEFINITIONS: dict[str, Any] = {
    "template_value": {
        "anyOf": [
            CEL,
            {"type": ["number", "boolean", "null"]},
            {"type": "array", "items": {"$ref": "#/$defs/template_value"}},
            {"type": "object", "additionalProperties": {"$ref": "#/$defs/template_value"}},
        ]
    },
    "json_schema": {"type": "object", "description": "a JSON Schema (draft 2020-12)"},
    "retry": _closed(
        {
            "max": {"type": "integer", "minimum": 0, "maximum": 100},
            "delay": DURATION,
            "factor": {"type": "number", "minimum": 1, "maximum": 100},
        },
        "max",
        description="how often a failed try is repeated; the wait grows by the factor, with full jitter",
    ),
    "on_error": _closed(
        {
            "then": {
                "type": "string",
                "pattern": r"^(escalate|reroute|continue|fail|outcome:[a-z][a-z0-9_]{0,62})$",
            },
            "to": SLUG_SCHEMA,
        },
        "then",
        description="what follows when no try is left; escalate is the default",
    ),
    "join": _closed(
        {"min": QUANTITY, "within": DURATION, "cancel_rest": {"type": "boolean"}},
        description="how many items must be done, by when, and whether the rest is then cancelled",
    ),
    "due": _closed(
        {
            "after": DURATION,
            "then": {
                "type": "string",
                "pattern": r"^(escalate|fail|outcome:[a-z][a-z0-9_]{0,62})$",
            },
            "to": SLUG_SCHEMA,
            "expires": DURATION,
        },
        "after",
        description="when people must have answered, and what follows; never an approval, never a rejection",
    ),
    "outcomes": {
        "type": "object",
        "minProperties": 1,
        "propertyNames": NAME,
        "additionalProperties": _closed(
            {
                "back_to": NAME,
                "max": {"type": "integer", "minimum": 1, "maximum": 100},
                "else": {"enum": ["fail", "outcome"]},
            },
            "back_to",
            "max",
        ),
        "description": "outcomes that send the work back to an earlier step",
    },
    "decide": {
        "type": "array",
        "minItems": 1,
        "maxItems": 50,
        "items": {
            "type": "object",
            "minProperties": 1,
            "maxProperties": 1,
            "propertyNames": NAME,
            "additionalProperties": CEL,
        },
        "description": "names of outcomes with a condition each; the first that holds wins",
    },
    "voters": _closed(
        {
            "n": {
                "anyOf": [{"type": "integer", "minimum": 1, "maximum": MAX_QUORUM}, CEL],
                "description": "how many; 1 if left out; one of several groups may be 0, and is then not asked",
            },
            "queue": SLUG_SCHEMA,
            "role": SLUG_SCHEMA,
            "distinct_units": {"type": "boolean", "description": "no two of them act for the same business unit"},
            "stage": {
                "type": "integer",
                "minimum": 1,
                "maximum": MAX_STAGE,
                "description": "asked once every lower stage is complete",
            },
        },
        minProperties=1,
        description="people who must approve; of the step's queue if it names none",
    ),
    "people_context": {"type": "object", "maxProperties": 50, "propertyNames": NAME, "additionalProperties": CEL},
}

STEP_PROPERTIES: dict[str, Any] = {
    "agent": {**SLUG_SCHEMA, "description": "a capability; any agent that has it may do the work"},
    "operation": {**SLUG_SCHEMA, "description": "an operation of a system of record"},
    "approval": _closed({"subject": CEL, "context": {"$ref": "#/$defs/people_context"}}, "subject"),
    "form": _closed(
        {"schema": {"$ref": "#/$defs/json_schema"}, "context": {"$ref": "#/$defs/people_context"}}, "schema"
    ),
    "rule": _closed({"value": CEL}, "value"),
    "needs": {
        "type": "array",
        "maxItems": 200,
        "uniqueItems": True,
        "items": {"type": "string", "pattern": r"^[a-z][a-z0-9_]{0,62}(\.[a-z][a-z0-9_]{0,62})?$"},
        "description": "steps that come before, each optionally with the outcome that leads here",
    },
    "when": {**CEL, "description": "false: this step is skipped and the flow goes on through it"},
    "with": TEMPLATE,
    "output": {"$ref": "#/$defs/json_schema"},
    "timeout": DURATION,
    "retry": {"$ref": "#/$defs/retry"},
    "on_error": {"$ref": "#/$defs/on_error"},
    "decide": {"$ref": "#/$defs/decide"},
    "for_each": {**CEL, "description": "a list; the step is done for each item"},
    "join": {"$ref": "#/$defs/join"},
    "max_parallel": QUANTITY,
    "queue": SLUG_SCHEMA,
    "due": {"$ref": "#/$defs/due"},
    "exclude": {"type": "array", "maxItems": 20, "items": CEL},
    "quorum": {
        "anyOf": [
            {"type": "integer", "minimum": 1, "maximum": MAX_QUORUM},
            CEL,
            {"$ref": "#/$defs/voters"},
            {"type": "array", "minItems": 1, "maxItems": MAX_GROUPS, "items": {"$ref": "#/$defs/voters"}},
        ],
        "description": "how many people must approve, one group of people, or several that must all approve",
    },
    "compensate": _closed({"operation": SLUG_SCHEMA, "with": TEMPLATE}, "operation"),
    "outcomes": {"$ref": "#/$defs/outcomes"},
    "risk": {"enum": RISKS},
}

REQUIRED_WITH: dict[Kind, tuple[str, ...]] = {Kind.APPROVAL: ("queue", "due"), Kind.FORM: ("queue", "due")}


def _takes(kind: Kind) -> dict[str, Any]:
    """For steps of ``kind``: the keys they take and those they must have."""
    return {
        "if": {"required": [kind.value]},
        "then": {
            "propertyNames": {"enum": sorted({kind.value, *COMMON, *KEYS[kind]})},
            "required": list(REQUIRED_WITH.get(kind, ())),
        },
    }


STEP: dict[str, Any] = {
    **_closed(STEP_PROPERTIES),
    "oneOf": [{"required": [kind.value]} for kind in Kind],
    "allOf": [_takes(kind) for kind in Kind],
    "dependentRequired": {"join": ["for_each"], "max_parallel": ["for_each"]},
}

DOCUMENT: dict[str, Any] = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "title": "Workflow",
    "description": "A map of steps, written in the order in which it is drawn.",
    **_closed(
        {
            "kind": {"const": "Workflow"},
            "slug": {
                "type": "string",
                "pattern": r"^[a-z0-9]+(?:-[a-z0-9]+)*$",
                "maxLength": 63,
                "not": {"enum": [*DASHBOARDS]},
            },
            "name": {"type": "string", "minLength": 1, "maxLength": 120},
            "description": {"type": "string", "maxLength": 2000},
            "unit": SLUG_SCHEMA,
            "owner": {"type": "string", "minLength": 1, "maxLength": 150},
            "risk": {"enum": RISKS},
            "input": {"$ref": "#/$defs/json_schema"},
            "key": {**CEL, "description": "text; at most one open run per key"},
            "exclusive": {**CEL, "description": "text; one run at a time holds it, the next waits in line"},
            "sla": _closed(
                {"after": DURATION, "then": {"enum": ["escalate", "fail"]}, "to": SLUG_SCHEMA},
                "after",
            ),
            "steps": {
                "type": "object",
                "minProperties": 1,
                "maxProperties": MAX_STEPS,
                "propertyNames": {**NAME, "not": {"enum": sorted(CEL_WORDS)}},
                "additionalProperties": {"$ref": "#/$defs/step"},
            },
        },
        "kind",
        "slug",
        "name",
        "unit",
        "steps",
    ),
    "$defs": {**DEFINITIONS, "step": STEP},
}
"""The published schema."""
