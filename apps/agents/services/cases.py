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
    agent = Agent.objects.select_for_update(of=("self",)).select_related("unit").get(pk=agent.pk)
    wanted = [{**case, "name": str(case["name"]).strip()} for case in cases]
    if problems := case_problems(wanted):
        raise InvalidError(errors={path: [problem] for path, problem in problems.items()})
    before = [case.said for case in agent.cases.order_by("name")]
    after = sorted(wanted, key=lambda case: str(case["name"]))
    if before == after:
        return "unchanged"
    if agent.state == AgentState.RETIRED:
        raise ConflictError(_("A retired agent stays as it is."))
    agent.cases.all().delete()
    AgentCase.objects.bulk_create(
        AgentCase(
            agent=agent,
            name=case["name"],
            operation=case["operation"],
            parameters=case["parameters"],
            expected=case["expect"],
            made_by=actor,
        )
        for case in after
    )
    told = {"tests": len(after), "digest": digest_of(after), "before": digest_of(before)}
    record(actor, agent, "agent.tests_changed", payload=told)
    return "changed"


@transaction.atomic
def add_case(actor: User, *, agent: Agent, name: str, operation: str, parameters: dict[str, Any], expect: str) -> None:
    """Store one more test with an agent. Raises InvalidError by field."""
    require_manager(actor, agent.unit, MANAGE)
    Agent.objects.select_for_update(of=("self",)).get(pk=agent.pk)
    kept = [case.said for case in agent.cases.order_by("name")]
    more = {"name": name, "operation": operation, "parameters": parameters, "expect": expect}
    try:
        set_cases(actor, agent=agent, cases=[*kept, more])
    except InvalidError as error:
        raise InvalidError(errors={path.rpartition(".")[2]: texts for path, texts in error.errors.items()}) from error


@transaction.atomic
def remove_case(actor: User, *, agent: Agent, name: str) -> None:
    """Remove one. Raises NotFoundError where there is none of this name."""
    require_manager(actor, agent.unit, MANAGE)
    Agent.objects.select_for_update(of=("self",)).get(pk=agent.pk)
    kept = [case.said for case in agent.cases.order_by("name")]
    left = [case for case in kept if case["name"] != name]
    if left == kept:
        raise NotFoundError
    set_cases(actor, agent=agent, cases=left)
