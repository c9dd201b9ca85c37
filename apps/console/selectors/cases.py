"""A test of a policy begun from something that was asked in earnest: its facts, and what people said of it."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from django.utils.translation import gettext as _

from apps.agents.models import Action
from apps.agents.selectors import action_for
from apps.classification.rules import data_classes_in, marked, values_at
from apps.core.differences import masked
from apps.core.errors import ConflictError
from apps.core.models import User
from apps.oversight.rules import EscalationState, Kind
from apps.oversight.selectors import items_of_action
from apps.policies.rules import Effect
from apps.policies.rules.case_sheets import Question

ANSWERS = {EscalationState.APPROVED: Effect.ALLOW, EscalationState.REJECTED: Effect.DENY}
ABOUT_AGENT = ("slug", "unit", "risk", "state", "version", "capabilities")
PEOPLE = ("agent.owner", "run.started_by", "run.key", "on_behalf_of")
"""Facts that name people, or whom a run is about: a policy is read by more than an action."""


@dataclass(frozen=True, slots=True)
class BegunCase:
    """A test as a document; what was left out of it, by path; and whether it expects what people said."""

    case: dict[str, Any]
    left: list[str] = field(default_factory=list)
    is_answer: bool = False


def case_begun_for(actor: User, action_id: UUID, *, questions: list[Question]) -> BegunCase:
    """A test from an action that ``actor`` may see; it expects what people said, or else what policy said.

    ``questions``: what the policy's rules ask of the past. What carries a data class, is a secret or names people is
    left out, whoever asks: everybody who sees the policy reads its tests. Raises NotFoundError; ConflictError where
    people have not decided it yet, or what was written is erased.
    """
    action = action_for(actor, action_id)
    facts = action.verdict.get("facts")
    if action.erased_at is not None or not facts:
        raise ConflictError(_("What was written of it is erased or was never kept: no test can be made of it."))
    expect, is_answer = _expected(actor, action)
    left: list[str] = []
    parameters = _open(action.parameters, _seen(action), "parameters", left)
    case = {
        "name": f"{action.operation[:80]} {str(action.pk)[-8:]}",
        "action": _told(action, facts, parameters or {}, left),
        "agent": {name: facts.get(f"agent.{name}") for name in ABOUT_AGENT},
        "run": {name: facts.get(f"run.{name}") for name in ("workflow", "step")},
        "now": facts.get("now"),
        "history": _past(facts, questions, with_sums="amount" not in left),
        "expect": expect.value,
    }
    left += [name for name in PEOPLE if facts.get(name)]
    return BegunCase(_without_blanks(case), left, is_answer)


def _expected(actor: User, action: Action) -> tuple[Effect, bool]:
    asked = [item for item in items_of_action(actor, action) if item.kind == Kind.ACTION]
    if asked:
        if answer := ANSWERS.get(EscalationState(asked[-1].state)):
            return answer, True
        raise ConflictError(_("People have not said yes or no to it, so a test would not know what to expect."))
    return Effect(action.verdict["effect"]), False


def _seen(action: Action) -> Any:
    """The parameters with marks in the place of what carries a class, wherever it is quoted, and of secrets."""
    return masked(action.veil().over(marked(action.parameters, action.classed)))


def _open(value: Any, seen: Any, path: str, left: list[str]) -> Any:
    """``value`` without what is hidden in ``seen``; None where nothing is left of it."""
    if value == seen:
        return value
    if isinstance(value, Mapping) and isinstance(seen, Mapping) and value.keys() == seen.keys():
        parts = {name: _open(each, seen[name], f"{path}.{name}", left) for name, each in value.items()}
        return {name: part for name, part in parts.items() if part is not None or value[name] is None}
    left.append(path.removeprefix("parameters."))
    return None


def _told(action: Action, facts: Mapping[str, Any], parameters: dict[str, Any], left: list[str]) -> dict[str, Any]:
    told = {
        "operation": action.operation,
        "effect": action.effect,
        "connector": action.connector,
        "parameters": parameters,
        "amount_minor": action.amount_minor,
        "currency": action.currency,
        "target": action.target,
        "reference": action.reference,
        "environment": action.environment,
        "confidence": action.confidence,
        "is_compensable": facts.get("compensable"),
        "data_classes": sorted(data_classes_in(action.classed)),
    }
    classed = set(_classed_texts(action))  # too short ones are found by their path alone, and leave no mark
    if action.marked_target != action.target or action.target in classed:
        left.append("target")
        del told["target"]
    if action.veil().text(action.reference) != action.reference or action.reference in classed:
        left.append("reference")
        del told["reference"]
    if action.amount_minor is not None and action.amount_minor in set(_classed_numbers(action)):
        left.append("amount")
        del told["amount_minor"]
    return told


def _classed_texts(action: Action) -> Iterator[str]:
    for paths in action.classed.values():
        for path in paths:
            for value in values_at(action.parameters, path):
                if isinstance(value, str | int | float) and value != "":
                    yield str(value)


def _classed_numbers(action: Action) -> Iterator[int]:
    for paths in action.classed.values():
        for path in paths:
            for value in values_at(action.parameters, path):
                yield from _numbers(value)


def _numbers(value: Any) -> Iterator[int]:
    if isinstance(value, Mapping | list):
        for each in value.values() if isinstance(value, Mapping) else value:
            yield from _numbers(each)
    elif type(value) is int:
        yield value


def _past(facts: Mapping[str, Any], questions: list[Question], *, with_sums: bool) -> dict[str, int]:
    kept = facts.get("history") or {}
    asked = [question for question in questions if with_sums or not question.is_money]
    return {question.source: kept[question.kept] for question in asked if question.kept in kept}


def _without_blanks(case: dict[str, Any]) -> dict[str, Any]:
    parts = {
        name: {key: value for key, value in part.items() if value not in (None, "", [], {})}
        if isinstance(part, dict)
        else part
        for name, part in case.items()
    }
    return {name: part for name, part in parts.items() if part not in (None, "", {})}
