"""What rules may know of an action, under the names of the public interface."""

from collections.abc import Mapping, Set
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from apps.core.expressions import Activation, Declarations, Function, FunctionCall, Kind
from apps.core.rules import digest_of
from apps.policies.rules.documents import EVERYWHERE, Scope
from apps.policies.rules.obligations import DocumentError, seconds_of

VARIABLES: Mapping[str, Kind] = {
    "action.operation": Kind.STRING,
    "action.effect": Kind.STRING,
    "action.amount_minor": Kind.INT,
    "action.currency": Kind.STRING,
    "action.target": Kind.STRING,
    "action.parameters": Kind.MAP,
    "action.reference": Kind.STRING,
    "action.environment": Kind.STRING,
    "action.confidence": Kind.DOUBLE,
    "action.data_classes": Kind.STRINGS,
    "agent.slug": Kind.STRING,
    "agent.unit": Kind.STRING,
    "agent.risk": Kind.STRING,
    "agent.state": Kind.STRING,
    "agent.version": Kind.INT,
    "agent.owner": Kind.STRING,
    "agent.capabilities": Kind.STRINGS,
    "run.workflow": Kind.STRING,
    "run.step": Kind.STRING,
    "run.started_by": Kind.STRING,
    "run.key": Kind.STRING,
    "on_behalf_of": Kind.STRING,
    "now": Kind.TIMESTAMP,
}
_WORDS = (Kind.STRING, Kind.STRING, Kind.STRING)
HISTORY = (Function("history.count", _WORDS), Function("history.sum_minor", _WORDS))
"""``(operation, window, scope)``: what was asked before over all runs and agents, computed before rules are judged."""
WORLD = Declarations(VARIABLES, HISTORY)
"""What the condition of a rule may name."""


class HistoryScope(StrEnum):
    """Whose history: the same agent's, unit's or target's, or everybody's."""

    AGENT = "agent"
    UNIT = "unit"
    TARGET = "target"
    EVERYWHERE = "everywhere"


@dataclass(frozen=True, slots=True)
class Past:
    """One question to the past. ``operation`` is a slug; the window ends now."""

    operation: str
    window_s: int
    scope: HistoryScope


def past_of(call: FunctionCall) -> Past:
    """What a call asks. Raises DocumentError."""
    operation, window, scope = map(str, call.arguments)
    if scope not in set(HistoryScope):
        raise DocumentError(call.name, f"The scope is one of {', '.join(HistoryScope)}.")
    return Past(operation, seconds_of(call.name, window), HistoryScope(scope))


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentFacts:
    """Who asks. For a workflow's own step ``slug`` is empty, ``risk`` and ``owner`` are the workflow's."""

    slug: str = ""
    unit: str = ""
    risk: str = "medium"
    state: str = ""
    version: int = 0
    owner: str = ""
    capabilities: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class RunFacts:
    """In which run; everything empty outside one."""

    workflow: str = ""
    step: str = ""
    started_by: str = ""
    key: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """One action as rules see it.

    ``amount_minor`` and ``confidence`` are None where there is none: rules that name them then err, which counts as a
    match for deny and require_approval and as none for allow. ``unit_id`` is the action's unit; ``units`` are the
    slugs of that unit and all above it, ``run_units`` those of the unit where its run was started (``run_unit_id``) and
    above that are not among them, ``currencies`` those of all these units ("": of the topmost); they, ``now`` and
    ``history`` are filled in by ``evaluate_action`` where absent. ``action_id`` is the action's own, so that it is no
    part of its own history when it is judged again.
    """

    operation: str
    effect: str
    connector: str = ""
    parameters: dict[str, Any] = field(default_factory=dict)
    parameters_digest: str = ""
    amount_minor: int | None = None
    currency: str = ""
    target: str = ""
    reference: str = ""
    environment: str = "live"
    confidence: float | None = None
    is_compensable: bool = False
    agent: AgentFacts = AgentFacts()
    run: RunFacts = RunFacts()
    on_behalf_of: str = ""
    unit_id: UUID | None = None
    run_unit_id: UUID | None = None
    action_id: UUID | None = None
    data_classes: tuple[str, ...] = ()
    units: frozenset[str] | None = None
    run_units: frozenset[str] = frozenset()
    currencies: Mapping[str, str] = field(default_factory=dict)
    now: datetime | None = None
    history: Mapping[FunctionCall, int] = field(default_factory=dict)

    def values(self) -> dict[str, Any]:
        """The variables that have a value, by their qualified names."""
        values: dict[str, Any] = {
            "action.operation": self.operation,
            "action.effect": self.effect,
            "action.amount_minor": self.amount_minor,
            "action.currency": self.currency,
            "action.target": self.target,
            "action.parameters": self.parameters,
            "action.reference": self.reference,
            "action.environment": self.environment,
            "action.confidence": self.confidence,
            "action.data_classes": sorted(self.data_classes),
            "agent.slug": self.agent.slug,
            "agent.unit": self.agent.unit,
            "agent.risk": self.agent.risk,
            "agent.state": self.agent.state,
            "agent.version": self.agent.version,
            "agent.owner": self.agent.owner,
            "agent.capabilities": list(self.agent.capabilities),
            "run.workflow": self.run.workflow,
            "run.step": self.run.step,
            "run.started_by": self.run.started_by,
            "run.key": self.run.key,
            "on_behalf_of": self.on_behalf_of,
            "now": self.now,
        }
        return {name: value for name, value in values.items() if value is not None}

    def activation(self, reads: frozenset[str] | None = None, *, are_checked: bool = False) -> Activation:
        """The context for any number of rules, or for those that name no other variables. Raises ContextError.

        ``are_checked``: rules have seen these facts before, so that what is not read now need not be looked at.
        """
        values = self.values()
        if are_checked and reads is not None:
            values = {name: value for name, value in values.items() if name in reads}
        return WORLD.activation(values, self.history, reads=reads)

    def without_amounts(self) -> "Facts":
        """The same for rules whose amounts are in another currency: there is nothing that they could compare."""
        past = {call: value for call, value in self.history.items() if call.name != "history.sum_minor"}
        return replace(self, amount_minor=None, history=past)

    def as_json(self) -> dict[str, Any]:
        """What is kept with the verdict: everything but the parameters, which the action itself keeps."""
        kept = {name: value for name, value in self.values().items() if name not in {"action.parameters", "now"}}
        kept["now"] = self.now.isoformat() if self.now else None
        kept["units"] = sorted(self.units or ())
        if self.run_units:
            kept["run_units"] = sorted(self.run_units)
        kept["compensable"] = self.is_compensable
        if self.currencies:
            kept["currencies"] = dict(sorted(self.currencies.items()))
        if self.history:
            kept["history"] = {written(call): value for call, value in self.history.items()}
        return kept

    def digest(self, kept: dict[str, Any]) -> str:
        """The hash of everything that the rules saw: of ``kept``, which ``as_json`` gave, and of the parameters."""
        return digest_of({**kept, "parameters": self.parameters_digest or digest_of(self.parameters)})


def written(call: FunctionCall) -> str:
    """The name under which the value of a call is kept."""
    return f"{call.name}({', '.join(map(repr, call.arguments))})"


def covers(scope: Scope, facts: Facts, units: Set[str]) -> bool:
    """Whether a rule with this scope applies at all to the action, as one of ``units``."""
    return scope is EVERYWHERE or (
        _in(scope.operations, facts.operation)
        and _in(scope.connectors, facts.connector)
        and _in(scope.agents, facts.agent.slug)
        and _in(scope.versions, f"{facts.agent.slug}@{facts.agent.version}")
        and _in(scope.workflows, facts.run.workflow)
        and _in(scope.steps, facts.run.step)
        and _in(scope.environments, facts.environment)
        and (not scope.units or not scope.units.isdisjoint(units))
    )


def _in(wanted: frozenset[str], found: str) -> bool:
    return not wanted or found in wanted
