"""What stands between a request and the rules: halts, life, permission, schema. Each stage can only refuse."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from django.utils.translation import gettext as _

from apps.access.models import BusinessUnit
from apps.agents.models import Agent
from apps.agents.rules import Environment, Execution
from apps.agents.selectors import require_working
from apps.classification.rules import Classed, carried, united
from apps.connectors.models import Operation
from apps.connectors.rules import Money, is_within_limit, refused_paths
from apps.connectors.selectors import Permitted, permitted_operation_for
from apps.connectors.selectors.pins import refuse_quarantined
from apps.core.errors import InvalidError, NotAllowedError, NotFoundError
from apps.core.gate import holds
from apps.core.models import User
from apps.core.rules import ValueProblem, check_values
from apps.halts.selectors import require_running
from apps.oversight.rules import action_digest
from apps.policies.rules import AgentFacts, Facts, RunFacts, Verdict
from apps.workflows.models import Run
from apps.workflows.selectors.places import OUTSIDE, Place
from apps.workflows.selectors.veils import marks_of

__all__ = ["OUTSIDE", "Ask", "Place", "Weighed", "hiding", "weigh"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """What a principal asks to do, in its own words and values; ``cannot_take``, ``together`` as in ``Action``."""

    operation: str
    parameters: dict[str, Any]
    goal: str = ""
    reasoning: str = ""
    alternatives: list[Any] = field(default_factory=list)
    confidence: float | None = None
    sources: list[Any] = field(default_factory=list)
    evidence: list[Any] = field(default_factory=list)
    reference: str = ""
    on_behalf_of: str = ""
    execution: str = Execution.PLANE
    cannot_take: Sequence[str] = ()
    together: bool = False


@dataclass(frozen=True, slots=True)
class Weighed:
    """A request that may be judged: everything rules and people need to know of it, rendered by the plane."""

    agent: Agent | None
    unit: BusinessUnit
    permitted: Permitted
    digest: str
    money: Money | None
    target: str
    consequence: str
    on_behalf_of: User | None
    facts: Facts
    classed: dict[str, list[list[str]]]


def weigh(actor: User, ask: Ask, place: Place) -> Weighed:
    """Take a request through every stage before the rules. Raises what the first failing stage says.

    HaltedError, NotAllowedError (``agent_inactive``, ``not_allowed``), NotFoundError (no such operation, or not
    permitted), InvalidError (parameters that miss the schema).
    """
    agent: Agent | None = actor.agent if actor.is_agent else None
    unit = agent.unit if agent else place.unit
    assert unit is not None, "A workflow's own action names the workflow's unit."
    try:
        permitted = permitted_operation_for(actor, ask.operation)
    except NotFoundError:
        _require_life(agent, unit, place, ask.operation, connector="")
        refuse_quarantined(actor, ask.operation)
        if agent is None:
            raise
        raise NotFoundError(request_access=how_to_ask(ask.operation)) from None
    operation = permitted.operation
    _require_life(agent, unit, place, operation.slug, connector=operation.connector.slug)
    person = _person(ask.on_behalf_of, permitted)
    _require_fields(permitted, ask.parameters)
    _require_execution(operation.execution, ask.execution)
    money, target = permitted.money(ask.parameters), permitted.target(ask.parameters)
    _require_limit(permitted, money)
    classed = united(carried(operation.classed, ask.parameters), _brought(operation, ask.parameters, place))
    _require_cleared(operation, classed)
    digest = action_digest(operation.slug, ask.parameters)
    facts = Facts(
        operation=operation.slug,
        effect=operation.effect,
        connector=operation.connector.slug,
        parameters=ask.parameters,
        amount_minor=money.minor if money else None,
        currency=money.currency if money else "",
        target=target,
        reference=ask.reference,
        confidence=ask.confidence,
        is_compensable=operation.compensation is not None,
        agent=_agent_facts(agent, place),
        run=RunFacts(workflow=place.workflow, step=place.step, started_by=place.started_by, key=place.key),
        on_behalf_of=person.username if person else "",
        unit_id=unit.pk,
        run_unit_id=place.run_unit_id,
        environment=agent.environment if agent else Environment.LIVE,
        data_classes=tuple(classed),
    )
    consequence = _consequence(permitted, ask, classed, facts.environment)
    return Weighed(agent, unit, permitted, digest, money, target, consequence, person, facts, classed)


def _consequence(permitted: Permitted, ask: Ask, classed: Classed, environment: str) -> str:
    consequence = permitted.consequence(ask.parameters, classed)
    if environment != Environment.TEST:
        return consequence
    is_called = permitted.operation.connector.test_base_url and ask.execution != Execution.AGENT
    said = _("A test, called at the test address.") if is_called else _("A test, nothing is called.")
    return f"{said} {consequence}".strip()


def hiding(weighed: Weighed, ask: Ask, verdict: Verdict) -> Weighed:
    """The same with marks for what the rules that matched hide: all that is written of it says no more."""
    if not (names := verdict.obligations.redact):
        return weighed
    classed = weighed.permitted.operation.hiding(weighed.classed, names, ask.parameters)
    consequence = _consequence(weighed.permitted, ask, classed, weighed.facts.environment)
    return replace(weighed, classed=classed, consequence=consequence)


def _require_life(agent: Agent | None, unit: BusinessUnit, place: Place, operation: str, *, connector: str) -> None:
    require_running(
        units={unit.pk, place.run_unit_id or unit.pk},
        workflow=place.workflow,
        agent=agent.slug if agent else "",
        version=agent.acts_as if agent else "",
        connector=connector,
        operation=operation,
    )
    if agent:
        require_working(agent, tests=True)


def _person(username: str, permitted: Permitted) -> User | None:
    """The person on whose behalf is asked; permission is the intersection of both.

    Raises NotAllowedError alike for who may not and for who is not there: nobody learns here which names there are.
    """
    if not username:
        return None
    person = User.objects.filter(username=username, kind="human", is_active=True).first()
    if person is None or not holds(person, "connectors.use_operation", permitted.operation):
        said = _("There is nobody of this name who may use this operation, so nobody may for them.")
        raise NotAllowedError(said, errors={"on_behalf_of": [said]})
    return person


def _require_fields(permitted: Permitted, parameters: dict[str, Any]) -> None:
    if outside := refused_paths(parameters, permitted.fields, permitted.operation.path):
        errors = {f"parameters.{path}": [_("Your permission does not include this parameter.")] for path in outside}
        raise NotAllowedError(
            _("Your permission covers only some parameters of this operation."),
            errors=errors,
            request_access=how_to_ask(permitted.operation.slug, outside),
        )
    try:
        check_values(parameters)
    except ValueProblem as problem:
        raise InvalidError(errors={f"parameters.{problem.path}".rstrip("."): [str(problem)]}) from problem
    if found := permitted.errors(parameters):
        raise InvalidError(errors={f"parameters.{path}".rstrip("."): texts for path, texts in found.items()})


def _require_limit(permitted: Permitted, money: Money | None) -> None:
    if not is_within_limit(money, permitted.limit):
        amount = permitted.operation.amount or {}
        said = _("Your permission ends at %s; what has another currency or no amount is beyond it.") % permitted.limit
        raise NotAllowedError(said, errors={f"parameters.{amount.get('path', '')}".rstrip("."): [said]})


def _brought(operation: Operation, parameters: dict[str, Any], place: Place) -> dict[str, list[list[str]]]:
    """What a run hands on: classes of its input, outputs and answers keep hold of their values. Amounts carry none."""
    run = Run.objects.only("version", "input").filter(pk=place.run_id).first() if place.run_id else None
    if run is None:
        return {}
    amount = operation.amount or {}
    free = [str(amount.get(key, "")).split(".") for key in ("path", "currency_path")]
    found = marks_of(run).paths_in(parameters)
    kept = {slug: [path for path in paths if path not in free] for slug, paths in found.items()}
    return {slug: paths for slug, paths in kept.items() if paths}


def _require_cleared(operation: Operation, classed: dict[str, list[list[str]]]) -> None:
    if lacking := operation.not_cleared(classed):
        said = _("%(system)s is not cleared for the data classes that these parameters carry: %(classes)s.")
        told = said % {"system": operation.connector, "classes": ", ".join(lacking)}
        paths = [(slug, ".".join(path)) for slug in lacking for path in classed[slug]]
        errors = {f"parameters.{path}": [_("It carries the class %s.") % slug] for slug, path in paths}
        raise NotAllowedError(told, code="not_cleared", errors=errors, data_classes=lacking)


def how_to_ask(operation: str, fields: Sequence[str] | None = None) -> dict[str, Any]:
    """What a refusal says of how to ask for access: the same whether or not there is such an operation."""
    body = {"operation": operation} if fields is None else {"operation": operation, "fields": sorted(fields)}
    return {"method": "POST", "url": "/api/v1/me/access-requests/", "body": body}


def _require_execution(offered: str, wanted: str) -> None:
    if offered not in {"both", wanted}:
        raise InvalidError(errors={"execution": [_("This operation is carried out by the %s.") % offered]})


def _agent_facts(agent: Agent | None, place: Place) -> AgentFacts:
    if agent is None:
        return AgentFacts(risk=place.risk, owner=place.owner, unit=place.unit.slug if place.unit else "")
    return AgentFacts(
        slug=agent.slug,
        unit=agent.unit.slug,
        risk=agent.risk,
        state=agent.state,
        version=agent.version.number if agent.version else 0,
        owner=agent.owner.username,
        capabilities=tuple(agent.capabilities),
    )
