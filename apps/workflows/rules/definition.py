"""The compiled definition: what the planner reads. Built from the compiled JSON that a version keeps."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from apps.workflows.rules.durations import seconds_of
from apps.workflows.rules.graph import Graph
from apps.workflows.rules.states import HUMAN, Kind

FORMAT = 1


@dataclass(frozen=True, slots=True)
class Edge:
    """One entry of ``needs``; without an outcome it means the ordinary one."""

    source: str
    outcome: str | None = None


@dataclass(frozen=True, slots=True)
class Retry:
    """How often a failed try is repeated, and the bounds of the wait before it."""

    max: int = 0
    delay_s: float = 1.0
    factor: float = 2.0

    def wait_s(self, failures: int, jitter: float) -> float:
        """Seconds before the next try after ``failures`` (from 1): full jitter, at most an hour; ``jitter`` 0..1."""
        exponent = min(failures - 1, 64)
        return min(self.delay_s * self.factor**exponent, 3_600.0) * jitter


@dataclass(frozen=True, slots=True)
class OnError:
    """What follows when no try is left. ``then`` is escalate, reroute, continue, fail or outcome."""

    then: str = "escalate"
    to: str | None = None
    outcome: str | None = None
    to_people: bool = False


@dataclass(frozen=True, slots=True)
class Join:
    """How many items must be done (None: all), within how long, and whether the rest is then cancelled."""

    min: int | None = None
    within_s: int | None = None
    cancel_rest: bool = False


@dataclass(frozen=True, slots=True)
class Due:
    """When people must have answered. ``then`` is escalate (the inbox does it), fail or outcome (the planner does).

    ``unit`` is how ``after`` was written: where the queue has a calendar, ``d`` and ``w`` are working days and weeks.
    """

    after_s: int
    then: str = "escalate"
    to: str | None = None
    outcome: str | None = None
    expires_s: int | None = None
    unit: str = ""


@dataclass(frozen=True, slots=True)
class Back:
    """An outcome that reopens the region from ``to``, at most ``max`` times; then ``otherwise`` (fail or outcome)."""

    to: str
    max: int
    otherwise: str = "fail"


@dataclass(frozen=True, slots=True)
class Compensate:
    """The operation that takes a finished step back."""

    operation: str
    inputs: Any


@dataclass(frozen=True, slots=True)
class Sla:
    """When a run is late, and what follows."""

    after_s: int
    then: str = "escalate"
    to: str | None = None


@dataclass(frozen=True, slots=True)
class Voters:
    """``needed`` people (a number or CEL) of a queue (the step's, if empty), with ``role`` where one is named.

    They come from different units if ``distinct_units``; they are asked once every lower ``stage`` is complete.
    """

    needed: int | str = 1
    queue: str = ""
    role: str = ""
    distinct_units: bool = False
    stage: int = 1


@dataclass(frozen=True, slots=True)
class StepDef:
    """One step. ``target`` is the capability or the operation, ``schema`` the output's or the form's."""

    name: str
    kind: Kind
    target: str = ""
    needs: tuple[Edge, ...] = ()
    when: str | None = None
    inputs: Any = field(default_factory=dict)
    schema: Mapping[str, Any] | None = None
    decide: tuple[tuple[str, str], ...] = ()
    back: Mapping[str, Back] = field(default_factory=dict)
    for_each: str | None = None
    join: Join = Join()
    max_parallel: int | None = None
    retry: Retry = Retry()
    timeout_s: int | None = None
    on_error: OnError = OnError()
    compensate: Compensate | None = None
    subject: str | None = None
    context: Mapping[str, str] = field(default_factory=dict)
    queue: str | None = None
    due: Due | None = None
    exclude: tuple[str, ...] = ()
    quorum: tuple[Voters, ...] = (Voters(),)
    value: str | None = None
    risk: str | None = None

    @property
    def is_human(self) -> bool:
        """Whether people do it."""
        return self.kind in HUMAN

    @property
    def label(self) -> str:
        """The name as words: ``create_order`` is "Create order"."""
        return self.name.replace("_", " ").capitalize()

    @property
    def outcomes(self) -> tuple[str, ...]:
        """Every outcome that this step can end with."""
        match self.kind:
            case Kind.APPROVAL:
                found = ["approved", "rejected", "expired", *([CHANGES] if CHANGES in self.back else [])]
            case Kind.FORM:
                found = ["answered", "expired", *([CHANGES] if CHANGES in self.back else [])]
            case _:
                found = [name for name, _ in self.decide] or ["done"]
        if self.kind is Kind.OPERATION:
            found += PEOPLE_SAID_NO
        if self.on_error.outcome:
            found.append(self.on_error.outcome)
        if self.due and self.due.outcome:
            found.append(self.due.outcome)
        return tuple(dict.fromkeys(found))

    @property
    def changes(self) -> tuple[str, Back] | None:
        """The outcome with which people send the work back from their step, and where to; None if there is no way."""
        names = {Kind.APPROVAL: (CHANGES, "rejected"), Kind.FORM: (CHANGES,)}.get(self.kind, ())
        ways = ((name, self.back.get(name)) for name in names)
        return next(((name, back) for name, back in ways if back), None)

    def flows_through(self, outcome: str | None) -> bool:
        """Whether an edge that names no outcome carries ``outcome`` on."""
        match self.kind:
            case Kind.APPROVAL:
                return outcome == "approved"
            case Kind.FORM:
                return outcome == "answered"
            case Kind.OPERATION:
                return outcome not in PEOPLE_SAID_NO or outcome in {name for name, _ in self.decide}
            case _:
                return True


CHANGES = "changes_requested"
PEOPLE_SAID_NO = ["rejected", "expired", CHANGES]
"""Outcomes of an operation whose action people did not approve. They end the path, as an approval's do."""


@dataclass(frozen=True)
class Definition:
    """One version of a workflow, ready for the planner. ``steps`` are in the order in which they are drawn."""

    slug: str
    name: str
    unit: str
    steps: Mapping[str, StepDef]
    risk: str = "medium"
    owner: str = ""
    input: Mapping[str, Any] | None = None
    key: str | None = None
    exclusive: str | None = None
    sla: Sla | None = None

    @cached_property
    def graph(self) -> Graph:
        """The edges, for order, regions and drawing."""
        return Graph.of({name: [edge.source for edge in step.needs] for name, step in self.steps.items()})

    @cached_property
    def used_edges(self) -> frozenset[tuple[str, str]]:
        """(step, outcome) pairs that some step's ``needs`` names."""
        return frozenset(
            (edge.source, edge.outcome) for step in self.steps.values() for edge in step.needs if edge.outcome
        )

    def ends_path(self, name: str, outcome: str | None) -> bool:
        """Whether people said no at ``name`` and no edge leads on from there."""
        step = self.steps[name]
        return outcome in PEOPLE_SAID_NO and not step.flows_through(outcome) and (name, outcome) not in self.used_edges

    @property
    def operations(self) -> frozenset[str]:
        """Every operation that its steps and their compensations name."""
        found = {step.target for step in self.steps.values() if step.kind is Kind.OPERATION}
        return frozenset(found | {step.compensate.operation for step in self.steps.values() if step.compensate})


def compile_document(document: Mapping[str, Any], *, queues: frozenset[str] = frozenset()) -> dict[str, Any]:
    """The checked document as compact JSON: steps as a list, because jsonb keeps no order of keys."""
    compiled = {key: value for key, value in document.items() if key not in {"kind", "steps", "description"}}
    steps = []
    for name, step in document["steps"].items():
        kept = {"name": name, **step}
        if (to := step.get("on_error", {}).get("to")) is not None:
            kept["to_people"] = to in queues
        steps.append(kept)
    return {"format": FORMAT, **compiled, "steps": steps}


def definition_of(compiled: Mapping[str, Any]) -> Definition:
    """The definition in a version's compiled JSON."""
    sla = compiled.get("sla")
    return Definition(
        slug=compiled["slug"],
        name=compiled["name"],
        unit=compiled["unit"],
        steps={step["name"]: _step(step) for step in compiled["steps"]},
        risk=compiled.get("risk", "medium"),
        owner=compiled.get("owner", ""),
        input=compiled.get("input"),
        key=compiled.get("key"),
        exclusive=compiled.get("exclusive"),
        sla=Sla(seconds_of(sla["after"]), sla.get("then", "escalate"), sla.get("to")) if sla else None,
    )


def kind_of(step: Mapping[str, Any]) -> Kind:
    """The one kind of a checked step."""
    return next(kind for kind in Kind if kind.value in step)


def _step(raw: Mapping[str, Any]) -> StepDef:
    kind = kind_of(raw)
    own: Any = raw[kind.value]
    compensate = raw.get("compensate")
    return StepDef(
        name=raw["name"],
        kind=kind,
        target=own if isinstance(own, str) else "",
        needs=tuple(edge_of(text) for text in raw.get("needs", ())),
        when=raw.get("when"),
        inputs=raw.get("with", {}),
        schema=own["schema"] if kind is Kind.FORM else raw.get("output"),
        decide=tuple(next(iter(entry.items())) for entry in raw.get("decide", ())),
        back={
            name: Back(entry["back_to"], entry["max"], entry.get("else", "fail"))
            for name, entry in raw.get("outcomes", {}).items()
        },
        for_each=raw.get("for_each"),
        join=_join(raw.get("join", {})),
        max_parallel=raw.get("max_parallel"),
        retry=_retry(raw.get("retry", {})),
        timeout_s=seconds_of(raw["timeout"]) if "timeout" in raw else None,
        on_error=_on_error(raw),
        compensate=Compensate(compensate["operation"], compensate.get("with", {})) if compensate else None,
        subject=own.get("subject") if kind is Kind.APPROVAL else None,
        context=own.get("context", {}) if kind in HUMAN else {},
        queue=raw.get("queue"),
        due=_due(raw.get("due")),
        exclude=tuple(raw.get("exclude", ())),
        quorum=_quorum(raw.get("quorum", 1)),
        value=own["value"] if kind is Kind.RULE else None,
        risk=raw.get("risk"),
    )


def edge_of(text: str) -> Edge:
    """The edge that an entry of ``needs`` says: ``step`` or ``step.outcome``."""
    source, _, outcome = text.partition(".")
    return Edge(source, outcome or None)


def _quorum(raw: Any) -> tuple[Voters, ...]:
    if not isinstance(raw, list):
        return (Voters(raw),) if not isinstance(raw, dict) else (_voters(raw),)
    return tuple(map(_voters, raw))


def _voters(raw: Mapping[str, Any]) -> Voters:
    return Voters(
        raw.get("n", 1),
        raw.get("queue", ""),
        raw.get("role", ""),
        raw.get("distinct_units", False),
        raw.get("stage", 1),
    )


def _join(raw: Mapping[str, Any]) -> Join:
    within = raw.get("within")
    return Join(raw.get("min"), seconds_of(within) if within else None, raw.get("cancel_rest", False))


def _retry(raw: Mapping[str, Any]) -> Retry:
    return Retry(raw.get("max", 0), seconds_of(raw.get("delay", "1s")), raw.get("factor", 2.0))


def _then(raw: Mapping[str, Any]) -> tuple[str, str | None]:
    word, _, outcome = raw.get("then", "escalate").partition(":")
    return word, outcome or None


def _on_error(step: Mapping[str, Any]) -> OnError:
    raw = step.get("on_error", {})
    then, outcome = _then(raw)
    return OnError(then, raw.get("to"), outcome, bool(step.get("to_people", False)))


def _due(raw: Mapping[str, Any] | None) -> Due | None:
    if raw is None:
        return None
    then, outcome = _then(raw)
    after, expires = raw["after"], raw.get("expires")
    expires_s = seconds_of(expires) if expires else None
    return Due(seconds_of(after), then, raw.get("to"), outcome, expires_s, unit=after[-1])
