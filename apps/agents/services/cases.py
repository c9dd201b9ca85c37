"""Commands on the tests that are stored with an agent."""

from collections.abc import Mapping, Sequence
from typing import Any

from django.db import transaction
from django.utils.translation import gettext as _

from apps.access.services import require_manager
from apps.agents.models import Agent, AgentCase
from apps.agents.rules import AgentState
from apps.agents.rules.cases import case_problems
from apps.agents.services.agents import MANAGE
from apps.audit.services import record
from apps.core.errors import ConflictError, InvalidError, NotFoundError
from apps.core.models import User
from apps.core.rules import digest_of


@transaction.atomic
def set_cases(actor: User, *, agent: Agent, cases: Sequence[Mapping[str, Any]]) -> str:
    """Make an agent's stored tests exactly these (``name``, ``operation``, ``parameters``, ``expect``).

    ``changed`` or ``unchanged``. Raises InvalidError by ``place.key``, ConflictError for a retired agent.
    """
    require_manager(actor, agent.unit, MANAGE)
    agent = Agent.objects.select_for_update(no_key=True, of=("self",)).select_related("unit").get(pk=agent.pk)
    wanted = [{**case, "name": str(case["name"]).strip()} for case in cases]
    if problems := case_problems(wanted):
        raise InvalidError(errors={path: [problem] for path, problem in problems.items()})
    before = [case.said for case in agent.cases.order_by("name")]
    after = sorted(wanted, key=lambda case: str(case["name"]))
    if before == after:
        return "unchanged"
    if agent.state == AgentState.RETIRED:
        raise ConflictError(_("A retired agent stays as it is."))
    agent.cases.exclude(name__in=[case["name"] for case in after]).delete()
    for case in after:
        if case not in before:
            _write(actor, agent, case, {"agent": agent, "name": case["name"]})
    _tell(actor, agent, before)
    return "changed"


def _write(actor: User, agent: Agent, case: Mapping[str, Any], which: Mapping[str, Any]) -> AgentCase:
    said = {"operation": case["operation"], "parameters": case["parameters"], "expected": case["expect"]}
    values = {"agent": agent, "name": case["name"], **said, "made_by": actor}
    return AgentCase.objects.update_or_create(**which, defaults=values)[0]


def _tell(actor: User, agent: Agent, before: list[dict[str, Any]]) -> None:
    after = [case.said for case in agent.cases.order_by("name")]
    told = {"tests": len(after), "digest": digest_of(after), "before": digest_of(before)}
    record(actor, agent, "agent.tests_changed", payload=told)


@transaction.atomic
def add_case(
    actor: User, *, agent: Agent, name: str, operation: str, parameters: dict[str, Any], expect: str
) -> AgentCase:
    """Store one more test with an agent. Raises InvalidError by field."""
    require_manager(actor, agent.unit, MANAGE)
    Agent.objects.select_for_update(no_key=True, of=("self",)).get(pk=agent.pk)
    kept = [case.said for case in agent.cases.order_by("name")]
    more = {"name": name, "operation": operation, "parameters": parameters, "expect": expect}
    try:
        set_cases(actor, agent=agent, cases=[*kept, more])
    except InvalidError as error:
        raise InvalidError(errors={path.rpartition(".")[2]: texts for path, texts in error.errors.items()}) from error
    return AgentCase.objects.select_related("made_by").get(agent=agent, name=name.strip())


@transaction.atomic
def change_case(
    actor: User, *, agent: Agent, case: AgentCase, name: str, operation: str, parameters: dict[str, Any], expect: str
) -> AgentCase:
    """Say one otherwise. Raises InvalidError by field, NotFoundError where it is gone, ConflictError if retired."""
    require_manager(actor, agent.unit, MANAGE)
    agent = Agent.objects.select_for_update(no_key=True, of=("self",)).select_related("unit").get(pk=agent.pk)
    rows = list(agent.cases.select_related("made_by").order_by("name"))
    found = next((row for row in rows if row.pk == case.pk), None)
    if found is None:
        raise NotFoundError
    said = {"name": name.strip(), "operation": operation, "parameters": parameters, "expect": expect}
    wanted = [*(row.said for row in rows if row.pk != found.pk), said]
    if problems := case_problems(wanted):
        raise InvalidError(errors={path.rpartition(".")[2]: [problem] for path, problem in problems.items()})
    if said == found.said:
        return found
    if agent.state == AgentState.RETIRED:
        raise ConflictError(_("A retired agent stays as it is."))
    changed = _write(actor, agent, said, {"pk": found.pk})
    _tell(actor, agent, [row.said for row in rows])
    return changed


@transaction.atomic
def remove_case(actor: User, *, agent: Agent, name: str) -> None:
    """Remove one. Raises NotFoundError where there is none of this name."""
    require_manager(actor, agent.unit, MANAGE)
    Agent.objects.select_for_update(no_key=True, of=("self",)).get(pk=agent.pk)
    kept = [case.said for case in agent.cases.order_by("name")]
    left = [case for case in kept if case["name"] != name]
    if left == kept:
        raise NotFoundError
    set_cases(actor, agent=agent, cases=left)
