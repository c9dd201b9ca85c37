"""The kinds of documents and their keys (interface.md 6). Policies and workflows look into their own bodies."""

from collections.abc import Iterator, Mapping
from typing import Any

from apps.access.rules import MAX_DAYS, MAX_LEVELS, MAX_REPEAT, WEEKDAYS
from apps.agents.rules import AgentState
from apps.agents.rules.cases import MAX_CASES as MAX_AGENT_CASES
from apps.agents.rules.cases import Expected
from apps.configuration.rules.classes import DATA_CLASS
from apps.configuration.rules.mappings import GROUP_MAPPING
from apps.configuration.rules.prices import PRICES, RATE_PER, price_name, rate_name
from apps.configuration.rules.shapes import (
    Day,
    Either,
    Finding,
    Keys,
    ListOf,
    Maybe,
    Micro,
    Misfit,
    Moment,
    Number,
    Object,
    OneOf,
    Path,
    Ref,
    Reference,
    Shape,
    Text,
    Truth,
    Whole,
)
from apps.configuration.rules.systems import CONNECTOR, NAME, OPERATION, SLUG, VARIABLE
from apps.connectors.rules import ConnectorState, OperationState
from apps.core.rules import Risk
from apps.halts.rules import BREAKABLE, MAX_WINDOW_S, BreakerKind
from apps.kpis.rules import Direction
from apps.kpis.rules.business import Aggregate
from apps.oversight.rules import MAX_ANNOUNCEMENT, MAX_PER_WEEK
from apps.policies.rules.budgets import Exhausted, Period
from apps.policies.rules.cases import MAX_CASES

ABSENT = "absent"
PRESENT = "active"
"""Of people: they are here, and come back where they had left. It is never exported."""
USERNAME = Text(150, 1, r"[A-Za-z0-9][A-Za-z0-9@.+_-]*", "A user name (letters, digits and @.+-_)")
CURRENCY = Text(3, 3, r"[A-Z]{3}", "A currency of ISO 4217")
GONE = OneOf((ABSENT,))
USED = OneOf((ConnectorState.ACTIVE, ConnectorState.DISABLED, ABSENT))
USABLE_OR_NOT = OneOf((OperationState.ACTIVE, OperationState.DISABLED, OperationState.QUARANTINED, ABSENT))
SECONDS = Whole(1, 10**8)

HELD_ROLE = Keys({"role": Ref("Role")}, {"unit": Maybe(Ref("BusinessUnit")), "until": Maybe(Moment())})
TARGET = Either(
    Ref("Queue"), Keys({}, {"queue": Ref("Queue"), "role": Ref("Role"), "user": Ref("User"), "rota": Ref("Rota")})
)
LEVEL = Keys({"after_s": SECONDS, "to": TARGET})
SLOTS = ListOf(Text(11, 11))
DRILLS = Keys({"per_week": Whole(1, MAX_PER_WEEK), "announcement": Text(MAX_ANNOUNCEMENT, 1)}, {"critical": Truth()})
EXCEPTION = Keys({"from": Text(40, 1), "until": Text(40, 1), "user": Ref("User")})
HOLIDAY = Either(Day(), Keys({"date": Day()}, {"name": NAME}))
USABLE = Either(
    Ref("Operation"),
    Keys(
        {"operation": Ref("Operation")},
        {
            "fields": Maybe(ListOf(Text(200, 1))),
            "until": Maybe(Moment()),
            "limit": Maybe(Keys({"amount_minor": Whole(0), "currency": Text(3, 3)}, {})),
        },
    ),
)
WORKABLE = Either(Ref("Workflow"), Keys({"workflow": Ref("Workflow")}, {"until": Maybe(Moment())}))
AGENT_CASE = Keys(
    {"name": Text(80, 1), "operation": Text(120, 1), "expect": OneOf(tuple(Expected))}, {"parameters": Object()}
)
COUNTED = Keys(
    {}, {"agent": Ref("Agent"), "unit": Ref("BusinessUnit"), "workflow": Ref("Workflow"), "connector": Ref("Connector")}
)
VERSION = Keys(
    {},
    {
        "model": Text(120),
        "provider": Text(120),
        "instructions": Text(100_000),
        "config": Object(),
        "changelog": Text(500),
    },
)

SHAPES: Mapping[str, Keys] = {
    "Calendar": Keys(
        {"slug": SLUG, "timezone": Text(60, 1), "hours": Keys({}, dict.fromkeys(WEEKDAYS, SLOTS))},
        {"name": NAME, "holidays": ListOf(HOLIDAY), "region": Text(40)},
    ),
    "BusinessUnit": Keys(
        {"slug": SLUG},
        {
            "name": NAME,
            "parent": Maybe(Ref("BusinessUnit")),
            "calendar": Maybe(Ref("Calendar")),
            "currency": CURRENCY,
            "timezone": Text(60, 1),
            "hourly_rate_minor": Whole(),
        },
    ),
    "Rota": Keys(
        {
            "slug": SLUG,
            "unit": Ref("BusinessUnit"),
            "timezone": Text(60, 1),
            "starts": Day(),
            "people": ListOf(Ref("User")),
        },
        {"name": NAME, "at": Text(5, 5), "days": Whole(1, MAX_DAYS), "exceptions": ListOf(EXCEPTION)},
    ),
    "GroupMapping": GROUP_MAPPING,
    "Role": Keys({"slug": SLUG, "permissions": ListOf(Text(80, 1))}, {"name": NAME}),
    "User": Keys(
        {"username": USERNAME},
        {
            "name": NAME,
            "email": Text(254, 3, r"[^@\s]+@[^@\s]+", "An e-mail address"),
            "roles": ListOf(HELD_ROLE),
            "password_env": VARIABLE,
        },
    ),
    "Queue": Keys(
        {"slug": SLUG, "unit": Ref("BusinessUnit"), "role": Ref("Role")},
        {
            "name": NAME,
            "sla_s": SECONDS,
            "expires_s": SECONDS,
            "unseen_after_s": Maybe(SECONDS),
            "escalation": ListOf(LEVEL, MAX_LEVELS),
            "repeat": Whole(0, MAX_REPEAT),
            "last_resort": Truth(),
            "calendar": Maybe(Ref("Calendar")),
            "drills": Maybe(DRILLS),
        },
    ),
    "ChatTarget": Keys(
        {"slug": SLUG},
        {
            "queue": Maybe(Ref("Queue")),
            "user": Maybe(Ref("User")),
            "url_env": VARIABLE,
            "allow_internal": Truth(),
        },
    ),
    "DataClass": DATA_CLASS,
    "Connector": CONNECTOR,
    "Operation": OPERATION,
    "Agent": Keys(
        {"slug": SLUG, "unit": Ref("BusinessUnit"), "owner": Ref("User")},
        {
            "name": NAME,
            "purpose": Text(500),
            "known_limits": Text(500),
            "risk": OneOf(tuple(Risk)),
            "capabilities": ListOf(Text(120, 1)),
            "version": VERSION,
            "operations": ListOf(USABLE),
            "workflows": ListOf(WORKABLE),
            "tests": ListOf(AGENT_CASE, MAX_AGENT_CASES),
            "limits": Keys({}, {"max_concurrent": Whole(1), "rate_per_minute": Whole(1)}),
        },
    ),
    "Policy": Keys(
        {"slug": SLUG, "rules": ListOf(Object(), 200)},
        {"name": NAME, "unit": Maybe(Ref("BusinessUnit")), "tests": ListOf(Object(), MAX_CASES)},
    ),
    "Budget": Keys(
        {"slug": SLUG, "scope": COUNTED, "period": OneOf(tuple(Period))},
        {
            "name": NAME,
            "owner": Ref("User"),
            "cap_minor": Whole(),
            "currency": CURRENCY,
            "cap_calls": Whole(),
            "exhausted": OneOf(tuple(Exhausted)),
            "queue": Ref("Queue"),
        },
    ),
    "Breaker": Keys(
        {
            "slug": SLUG,
            "counts": OneOf(tuple(BreakerKind)),
            "scope": OneOf(BREAKABLE),
            "threshold": Whole(1),
            "window_s": Whole(1, MAX_WINDOW_S),
        },
        {"name": NAME, "target": Text(120), "currency": CURRENCY, "cause": Text(130)},
    ),
    "Target": Keys(
        {"kpi": Text(40, 1), "value": Number()},
        {
            "slug": Text(120, 1),
            "workflow": Maybe(Ref("Workflow")),
            "direction": OneOf(("up", "down")),
            "tolerance": Number(),
        },
    ),
    "Baseline": Keys(
        {"kpi": Text(40, 1), "value": Number(), "from": Day()},
        {
            "slug": Text(120, 1),
            "workflow": Maybe(Ref("Workflow")),
            "source": Text(300),
            "n": Maybe(Whole()),
            "period": Text(80),
            "owner": Maybe(Ref("User")),
        },
    ),
    "Kpi": Keys(
        {
            "slug": SLUG,
            "name": NAME,
            "workflow": Ref("Workflow"),
            "value": Text(2048, 1),
            "aggregate": OneOf(tuple(Aggregate)),
            "direction": OneOf(tuple(Direction)),
        },
        {"unit": Text(20)},
    ),
    "Price": Keys(
        {"model": Text(120, 1), "from": Moment(), **dict.fromkeys(PRICES[:2], Micro())},
        {**dict.fromkeys(PRICES[2:], Micro()), "currency": CURRENCY},
    ),
    "Rate": Keys(
        {"per": OneOf(RATE_PER), "from": Moment(), "amount_minor": Number()},
        {
            "currency": CURRENCY,
            "source": Text(300),
            "unit": Ref("BusinessUnit"),
            "role": Ref("Role"),
            "agent": Ref("Agent"),
            "operation": Ref("Operation"),
            "workflow": Ref("Workflow"),
            "of_currency": CURRENCY,
        },
    ),
}
"""Keys besides ``kind`` and ``state``."""

STATES: Mapping[str, Shape] = {
    "User": OneOf((PRESENT, ABSENT)),
    "Connector": USED,
    "Operation": USABLE_OR_NOT,
    "Agent": OneOf((*AgentState, ABSENT)),
}

ORDER = (
    "Calendar", "BusinessUnit", "Role", "GroupMapping", "User", "Rota", "Queue", "ChatTarget", "DataClass", "Connector",
    "Operation", "Agent", "Workflow", "AgentWorkflows", "Policy", "Budget", "Breaker", "Kpi", "Target", "Baseline",
    "Price", "Rate",
)  # fmt: skip
"""What is made before what. The workflows of agents come after both."""

KINDS = tuple(kind for kind in ORDER if kind != "AgentWorkflows")


def name_key(kind: str) -> str:
    """The key that names an object."""
    return {"User": "username", "Price": "model", "Rate": "per"}.get(kind, "slug")


def slug_of(kind: str, value: Mapping[str, Any]) -> str:
    """How the object is called; empty if it has no name.

    Prices and rates are called by what they are about; targets and baselines may be.
    """
    if kind == "Price":
        return price_name(value.get("model"), value.get("from"))
    if kind == "Rate":
        return rate_name(value)
    found = value.get(name_key(kind))
    if isinstance(found, str) and found:
        return found
    if kind in {"Target", "Baseline"}:
        parts = [value.get("workflow") or "all", value.get("kpi"), value.get("from") if kind == "Baseline" else None]
        return ".".join(str(part) for part in parts if part)
    return ""


def look(kind: str, value: dict[str, Any]) -> Iterator[Finding]:
    """Everything that does not fit in a document of a known kind, and everything that it refers to."""
    if value.get("state") == ABSENT:
        yield from _look_absent(kind, value)
        return
    if kind == "Workflow":
        yield from _references_of_workflow(value)
        return
    shape = SHAPES[kind]
    optional = {**shape.optional, "kind": Text(), "state": STATES.get(kind, GONE)}
    yield from Keys(shape.required, optional).look(value, ())
    if kind == "Policy":
        yield from _references_of_policy(value)


def _look_absent(kind: str, value: dict[str, Any]) -> Iterator[Finding]:
    """Of what goes only the name counts; its other keys may stay, but must be known."""
    if not slug_of(kind, value):
        yield Misfit((), f"The key {name_key(kind)!r} is missing.")
    if kind == "Workflow":
        return
    shape = SHAPES[kind]
    known = {*shape.required, *shape.optional, "kind", "state"}
    for name in value:
        if name not in known:
            yield Misfit((name,), f"Unknown key {name!r}.")


def _references_of_policy(value: Mapping[str, Any]) -> Iterator[Finding]:
    rules = value.get("rules")
    for place, rule in enumerate(rules if isinstance(rules, list) else []):
        if not isinstance(rule, Mapping):
            continue
        queue, scope = rule.get("queue"), rule.get("scope")
        if isinstance(queue, str) and queue:
            yield Reference(("rules", place, "queue"), "Queue", queue)
        yield from _references_of_scope(scope, ("rules", place, "scope"))


SCOPED = {
    "operations": "Operation",
    "connectors": "Connector",
    "agents": "Agent",
    "workflows": "Workflow",
    "units": "BusinessUnit",
}


def _references_of_scope(scope: Any, path: Path) -> Iterator[Finding]:
    for key, kind in SCOPED.items():
        named = scope.get(key) if isinstance(scope, Mapping) else None
        for place, slug in enumerate(named if isinstance(named, list) else []):
            if isinstance(slug, str):
                yield Reference((*path, key, place), kind, slug, is_looked_up=False)


def _references_of_workflow(value: Mapping[str, Any]) -> Iterator[Finding]:
    """What is certain to be a reference; the workflow's own checks say the rest."""
    if not slug_of("Workflow", value):
        yield Misfit((), "The key 'slug' is missing.")
    for key, kind in (("unit", "BusinessUnit"), ("owner", "User")):
        if isinstance(value.get(key), str):
            yield Reference((key,), kind, value[key])
    steps = value.get("steps")
    for name, step in (steps if isinstance(steps, Mapping) else {}).items():
        operation = step.get("operation") if isinstance(step, Mapping) else None
        if isinstance(operation, str):
            yield Reference(("steps", name, "operation"), "Operation", operation)
